//! Keys as clients send them (bodies as gcloud and Google's Python client were recorded to send them), and as they go out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use keylodge_api::apikeys::{ClientKind, ClientPatch, Key, KeyPatch, NewKey, Restrictions as Wire};
use keylodge_api::{Detail, Status, proto_json};
use keylodge_rules::{AllowedIp, ClientRestriction, Referrer, Restrictions};
use serde_json::{Value, json};

const SHA1: &str = "DA:39:A3:EE:5E:6B:4B:0D:32:55:BF:EF:95:60:18:90:AF:D8:07:09";
const SHA1_OUT: &str = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709";

fn create(body: &Value) -> Result<NewKey, Status> {
    proto_json::parse_at("key", body.to_string().as_bytes())
}

/// What a key with these restrictions shows of them.
fn shown(restrictions: &Restrictions) -> Value {
    json!(Wire::of(restrictions))
}

/// The mistakes of a request: field and description.
fn mistakes<T: std::fmt::Debug>(read: Result<T, Status>) -> Vec<(String, String)> {
    let status = read.unwrap_err();
    let [Detail::BadRequest(violations)] = &status.details[..] else { panic!("one BadRequest: {status:?}") };
    violations.iter().map(|violation| (violation.field.clone(), violation.description.clone())).collect()
}

fn mistake(field: &str, description: &str) -> (String, String) {
    (field.to_owned(), description.to_owned())
}

/// Creates with these restrictions and expects to see those.
fn check_create(restrictions: &Value, expected: &Value) {
    let new = create(&json!({"restrictions": restrictions})).unwrap();
    assert_eq!(&shown(&new.restrictions), expected);
}

#[test]
fn every_create_of_gcloud_is_read() {
    let new = create(&json!({"annotations": {"a": "b", "c": "d"}, "displayName": "D", "restrictions": {}})).unwrap();
    assert_eq!((new.display_name.as_str(), new.annotations.len()), ("D", 2));
    assert!(new.restrictions.is_unrestricted());

    for same in [
        json!({"browserKeyRestrictions": {"allowedReferrers": ["https://www.example.com/*", "*.example.org"]}}),
        json!({"serverKeyRestrictions": {"allowedIps": ["198.51.100.0/24", "2001:db8::/64"]}}),
        json!({"iosKeyRestrictions": {"allowedBundleIds": ["com.example.ios", "com.example.ios2"]}}),
        json!({"apiTargets": [{"service": "generativelanguage.googleapis.com"}]}),
        json!({"apiTargets": [{"service": "jules.googleapis.com", "methods": ["CreateSession", "Get*"]}]}),
    ] {
        check_create(&same, &same);
    }
    let app = |fingerprint: &str| json!({"allowedApplications": [{"packageName": "com.example.a", "sha1Fingerprint": fingerprint}]});
    check_create(&json!({"androidKeyRestrictions": app(SHA1)}), &json!({"androidKeyRestrictions": app(SHA1_OUT)}));

    let bound = create(&json!({"restrictions": {}, "serviceAccountEmail": "a@p.iam.gserviceaccount.com"})).unwrap();
    assert_eq!(bound.service_account_email.as_deref(), Some("a@p.iam.gserviceaccount.com"));
}

#[test]
fn the_callers_spelling_and_order_come_back() {
    let given = json!({
        "server_key_restrictions": {"allowed_ips": ["198.51.100.7/24", "2001:DB8:0::1", "10.0.0.1"]},
        "api_targets": [{"service": "Jules.googleapis.com"}, {"service": "apikeys.googleapis.com", "methods": ["get*"]}],
    });
    let expected = json!({
        "serverKeyRestrictions": {"allowedIps": ["198.51.100.7/24", "2001:DB8:0::1", "10.0.0.1"]},
        "apiTargets": [{"service": "Jules.googleapis.com"}, {"service": "apikeys.googleapis.com", "methods": ["get*"]}],
    });

    check_create(&given, &expected);
}

#[test]
fn a_key_prints_its_restrictions_in_googles_order_and_reads_back() {
    let new = create(&json!({"restrictions": {
        "apiTargets": [{"service": "jules.googleapis.com"}],
        "iosKeyRestrictions": {"allowedBundleIds": ["com.example.ios"]},
    }}));
    let key = Key {
        restrictions: Wire::of(&new.unwrap().restrictions),
        service_account_email: "a@p.example".into(),
        ..Key::default()
    };

    let text = serde_json::to_string(&key).unwrap();
    let restrictions = r#""updateTime":"","restrictions":{"iosKeyRestrictions":{"allowedBundleIds":["com.example.ios"]},"apiTargets":[{"service":"jules.googleapis.com"}]},"etag":"","serviceAccountEmail":"a@p.example"}"#;
    assert!(text.ends_with(restrictions), "{text}");
    assert_eq!(serde_json::from_str::<Key>(&text).unwrap(), key);

    let plain = serde_json::to_string(&Key::default()).unwrap();
    assert!(!plain.contains("restrictions") && !plain.contains("serviceAccount"), "{plain}");
}

#[test]
fn every_mistake_is_named_with_its_field_and_place() {
    let found = mistakes(create(&json!({
        "displayName": "x".repeat(64),
        "serviceAccountEmail": "nobody",
        "restrictions": {
            "serverKeyRestrictions": {"allowedIps": ["198.51.100.0/24", "999.1.1.1", 5]},
            "apiTargets": [{"service": "jules.googleapis.com", "methods": ["Get*", "G*t"]}, {"methods": []}],
            "foo": 1,
        },
    })));

    let ips = "key.restrictions.server_key_restrictions.allowed_ips";
    let methods = "key.restrictions.api_targets[0].methods";
    assert_eq!(
        found,
        [
            mistake(
                ips,
                &format!(
                    "Invalid value at '{ips}[1]', \"999.1.1.1\": an allowed IP is an IPv4 or IPv6 address or a network in CIDR notation, as 198.51.100.0/24 or 2001:db8::/64."
                )
            ),
            mistake(&format!("{ips}[2]"), &format!("Invalid value at '{ips}[2]' (TYPE_STRING), 5")),
            mistake(
                methods,
                &format!(
                    "Invalid value at '{methods}[1]', \"G*t\": a method is named in full, by its last word or by a beginning with * as the last character, as GenerateContent or Get*."
                )
            ),
            mistake(
                "key.restrictions.api_targets[1].service",
                "Invalid API target: a target service is the DNS name of a service, as generativelanguage.googleapis.com."
            ),
            mistake(
                "key.restrictions",
                "Invalid JSON payload received. Unknown name \"foo\" at 'key.restrictions': Cannot find field."
            ),
            mistake(
                "key.service_account_email",
                "A service account is named by its e-mail address, as name@project.iam.gserviceaccount.com."
            ),
            mistake("key.display_name", "key.display_name must have at most 63 characters."),
        ]
    );
}

#[test]
fn each_list_has_its_rule() {
    let in_client = |field: &str, list: &str, entries: Value| {
        mistakes(create(&json!({"restrictions": {field: {list: entries}}})))
            .into_iter()
            .map(|(field, _)| field)
            .collect()
    };
    let referrers: Vec<String> = in_client("browserKeyRestrictions", "allowedReferrers", json!(["", "a b", ".*"]));
    let bundles: Vec<String> = in_client("iosKeyRestrictions", "allowedBundleIds", json!(["com.example.*"]));
    let apps = json!([{"packageName": "com.example.a", "sha1Fingerprint": "AA"}, {"sha1Fingerprint": SHA1}]);
    let apps: Vec<String> = in_client("androidKeyRestrictions", "allowedApplications", apps);

    assert_eq!(referrers, ["key.restrictions.browser_key_restrictions.allowed_referrers"; 2]);
    assert_eq!(bundles, ["key.restrictions.ios_key_restrictions.allowed_bundle_ids"]);
    let app = "key.restrictions.android_key_restrictions.allowed_applications";
    assert_eq!(apps, [format!("{app}[0].sha1_fingerprint"), format!("{app}[1].package_name")]);
}

#[test]
fn a_restriction_to_nobody_is_refused() {
    for (field, list) in [
        ("browserKeyRestrictions", "allowed_referrers"),
        ("serverKeyRestrictions", "allowed_ips"),
        ("androidKeyRestrictions", "allowed_applications"),
        ("iosKeyRestrictions", "allowed_bundle_ids"),
    ] {
        let found = mistakes(create(&json!({"restrictions": {field: {}}})));

        assert!(found[0].0.ends_with(list), "{found:?}");
        assert!(found[0].1.starts_with("An empty list would allow nobody."), "{found:?}");
    }
}

#[test]
fn two_client_restrictions_are_two_members_of_one_oneof() {
    let both = json!({
        "browserKeyRestrictions": {"allowedReferrers": ["www.example.com"]},
        "serverKeyRestrictions": {"allowedIps": ["192.0.2.1"]},
    });
    let description = "Invalid value at 'key.restrictions' (oneof), oneof field 'client_restrictions' is already set. Cannot set 'serverKeyRestrictions'";
    let expected = [mistake("key.restrictions", description)];

    assert_eq!(mistakes(create(&json!({"restrictions": both}))), expected);
    let outside_the_mask = json!({"restrictions": both}).to_string();
    assert_eq!(mistakes(KeyPatch::parse(Some("display_name"), outside_the_mask.as_bytes())), expected);
}

#[test]
fn a_key_has_at_most_1200_entries_over_all_lists() {
    let restrictions = |ips: usize| {
        json!({"restrictions": {
            "serverKeyRestrictions": {"allowedIps": vec!["192.0.2.1"; ips]},
            "apiTargets": [{"service": "jules.googleapis.com", "methods": ["Get*"]}],
        }})
    };

    assert!(create(&restrictions(1198)).is_ok());
    let description = "A key can have 1200 restriction entries in all; there are 1201.";
    assert_eq!(mistakes(create(&restrictions(1199))), [mistake("key.restrictions", description)]);
}

#[test]
fn a_key_bound_to_a_service_account_is_restricted_by_address_and_api_only() {
    let bound = |restrictions: Value| {
        create(&json!({"restrictions": restrictions, "serviceAccountEmail": "a@p.iam.gserviceaccount.com"}))
    };

    assert!(bound(json!({"serverKeyRestrictions": {"allowedIps": ["192.0.2.1"]}, "apiTargets": []})).is_ok());
    let found = mistakes(bound(json!({"browserKeyRestrictions": {"allowedReferrers": ["www.example.com"]}})));
    assert_eq!(found[0].0, "key.restrictions.browser_key_restrictions");
}

#[test]
fn a_service_account_must_look_like_an_address() {
    let check = |email: &str| create(&json!({"serviceAccountEmail": email}));

    for good in ["a@p.iam.gserviceaccount.com", "123-compute@developer.gserviceaccount.com"] {
        assert_eq!(check(good).unwrap().service_account_email.as_deref(), Some(good));
    }
    assert_eq!(check("").unwrap().service_account_email, None);
    for bad in ["nobody", "@p.com", "a@", "a@p", "a@@p.com", "a b@p.com", "a@p..com"] {
        assert!(check(bad).is_err(), "{bad}");
    }
}

fn server(ip: &str) -> ClientRestriction {
    ClientRestriction::Server(vec![AllowedIp::parse(ip).unwrap()])
}

/// A key with a client restriction and an API target.
fn old() -> Restrictions {
    let pages = ClientRestriction::Browser(vec![Referrer::parse("old.example.com").unwrap()]);
    let targets = create(&json!({"restrictions": {"apiTargets": [{"service": "old.googleapis.com"}]}}));
    Restrictions { client: Some(pages), ..targets.unwrap().restrictions }
}

fn old_shown() -> Value {
    json!({"browserKeyRestrictions": {"allowedReferrers": ["old.example.com"]}, "apiTargets": [{"service": "old.googleapis.com"}]})
}

fn update(mask: Option<&str>, body: &Value) -> KeyPatch {
    KeyPatch::parse(mask, body.to_string().as_bytes()).unwrap()
}

/// Updates a key and expects these restrictions afterwards.
fn check_update(mask: Option<&str>, restrictions: &Value, expected: &Value) -> KeyPatch {
    let name = "projects/P/locations/global/keys/K";
    let patch = update(mask, &json!({"name": name, "restrictions": restrictions}));
    assert_eq!(&shown(&patch.restrictions.apply(&old(), None).unwrap()), expected, "{mask:?} {restrictions}");
    patch
}

#[test]
fn every_update_of_gcloud_changes_what_its_mask_names() {
    let targets = &old_shown()["apiTargets"];
    let pages = json!({"browserKeyRestrictions": {"allowedReferrers": ["www.example.com/*"]}});
    let ips = json!({"serverKeyRestrictions": {"allowedIps": ["192.0.2.1"]}});
    let bundles = json!({"iosKeyRestrictions": {"allowedBundleIds": ["com.example.ios"]}});
    let apps = json!({"androidKeyRestrictions": {"allowedApplications": [{"sha1Fingerprint": SHA1_OUT, "packageName": "com.example.a"}]}});
    for (mask, client) in [
        ("restrictions.browser_key_restrictions", &pages),
        ("restrictions.server_key_restrictions", &ips),
        ("restrictions.ios_key_restrictions", &bundles),
        ("restrictions.android_key_restrictions", &apps),
    ] {
        let mut expected = client.clone();
        expected["apiTargets"] = targets.clone();
        check_update(Some(mask), client, &expected);
    }

    let named = update(
        Some("display_name"),
        &json!({"displayName": "D", "name": "projects/P/locations/global/keys/K", "restrictions": {}}),
    );
    assert_eq!(named, KeyPatch { display_name: Some("D".into()), ..KeyPatch::default() });

    let mut both = ips;
    both["apiTargets"] = json!([{"service": "jules.googleapis.com"}]);
    let mask = "display_name,restrictions.server_key_restrictions,restrictions.api_targets";
    check_update(Some(mask), &both, &both);

    let body = json!({"annotations": {"x": "y"}, "restrictions": {}});
    let annotated = update(Some("annotations"), &body);
    assert_eq!(annotated.annotations, Some([("x".to_owned(), "y".to_owned())].into()));
    assert_eq!(annotated.restrictions.apply(&old(), None).unwrap(), old());

    let cleared = check_update(Some("annotations"), &json!({}), &old_shown());
    assert_eq!(cleared, KeyPatch { annotations: Some([].into()), ..KeyPatch::default() });

    check_update(Some("restrictions"), &json!({}), &Value::Null);
    assert_eq!(check_update(Some(""), &json!({}), &old_shown()), KeyPatch::default());
}

#[test]
fn python_and_terraform_write_masks_in_camel_case() {
    let ips = json!({"serverKeyRestrictions": {"allowedIps": ["192.0.2.1"]}});

    check_update(Some("displayName,restrictions"), &ips, &ips);
    let mut with_targets = ips.clone();
    with_targets["apiTargets"] = old_shown()["apiTargets"].clone();
    check_update(Some("restrictions.serverKeyRestrictions"), &ips, &with_targets);
}

#[test]
fn setting_api_targets_keeps_the_client_restriction_and_clearing_them_too() {
    let mut expected = old_shown();
    expected["apiTargets"] = json!([{"service": "jules.googleapis.com"}]);
    check_update(Some("restrictions.api_targets"), &json!({"apiTargets": expected["apiTargets"]}), &expected);

    let client_only = json!({"browserKeyRestrictions": old_shown()["browserKeyRestrictions"]});
    check_update(Some("restrictions.api_targets"), &json!({}), &client_only);
}

#[test]
fn clearing_one_kind_of_client_restriction_leaves_another_kind_alone() {
    let targets_only = json!({"apiTargets": old_shown()["apiTargets"]});

    check_update(Some("restrictions.browser_key_restrictions"), &json!({}), &targets_only);
    let patch = check_update(Some("restrictions.server_key_restrictions"), &json!({}), &old_shown());
    assert_eq!(patch.restrictions.client, Some(ClientPatch::Lift(vec![ClientKind::Server])));
}

#[test]
fn without_a_mask_what_the_body_sets_is_replaced_and_nothing_else() {
    let targets = json!({"apiTargets": [{"service": "jules.googleapis.com"}]});

    check_update(None, &targets, &targets);
    check_update(None, &json!({}), &old_shown());
    assert_eq!(
        update(None, &json!({"displayName": "", "annotations": {}, "etag": "W/\"x\"", "uid": "u"})),
        KeyPatch { etag: Some("W/\"x\"".into()), ..KeyPatch::default() }
    );
}

#[test]
fn a_star_replaces_everything_and_clears_what_is_absent() {
    let patch = check_update(Some("*"), &json!({}), &Value::Null);

    assert_eq!((patch.display_name, patch.annotations), (Some(String::new()), Some([].into())));
}

#[test]
fn what_lies_outside_the_mask_need_only_be_of_the_right_form() {
    let bad_values = json!({"displayName": "x".repeat(64), "restrictions": {
        "serverKeyRestrictions": {"allowedIps": ["999.1.1.1"]},
        "apiTargets": [{"service": "x"}],
    }});
    let bad_form = json!({"displayName": 5, "restrictions": {"serverKeyRestrictions": {"allowedIps": [5]}, "foo": {}}});

    assert_eq!(update(Some("etag"), &bad_values), KeyPatch::default());
    assert_eq!(mistakes(KeyPatch::parse(Some("*"), bad_values.to_string().as_bytes())).len(), 3);
    assert_eq!(mistakes(KeyPatch::parse(Some("etag"), bad_form.to_string().as_bytes())).len(), 3);
}

#[test]
fn mistakes_of_mask_and_body_come_together() {
    let found = mistakes(KeyPatch::parse(Some("foo"), br#"{"bar": 1}"#));

    let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["update_mask", "key"]);
}

#[test]
fn an_update_may_not_break_the_rules_together_with_what_was_there() {
    let pages = json!({"restrictions": {"browserKeyRestrictions": {"allowedReferrers": ["www.example.com"]}}});
    let pages = update(None, &pages).restrictions;
    let targets = vec![json!({"service": "jules.googleapis.com"}); 1200];
    let targets =
        update(Some("restrictions.api_targets"), &json!({"restrictions": {"apiTargets": targets}})).restrictions;
    let of_machine = Restrictions { client: Some(server("192.0.2.1")), api_targets: Vec::new() };

    let too_many = mistakes(targets.apply(&of_machine, None));
    assert_eq!(too_many[0].0, "key.restrictions");
    let bound = mistakes(pages.apply(&of_machine, Some("a@p.example")));
    assert_eq!(bound[0].0, "key.restrictions.browser_key_restrictions");
    assert!(pages.apply(&of_machine, None).is_ok());
}
