//! Restrictions, from the call that makes the key to the gate that keeps them.

use serde_json::{Value, json};

use crate::support::{House, KEYS, MODEL};
use crate::visitor::{GEMINI, refusal, text};

const LIST_MODELS: &str = "google.ai.generativelanguage.v1beta.ModelService.ListModels";
const SHA1: &str = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709";

/// What a caller of the gate is like.
type Caller<'caller> = (Option<&'caller str>, &'caller [(&'caller str, &'caller str)]);
const ANYBODY: Caller<'_> = (None, &[]);

/// A house with a key that is restricted so.
struct Guarded {
    house: House,
    string: String,
    consumer: String,
}

impl Guarded {
    async fn by(restrictions: Value) -> Self {
        let house = House::new().await;
        let key = house.new_key("one", json!({"restrictions": restrictions})).await;
        assert_eq!(house.key("one").await["restrictions"], key["restrictions"]);
        let consumer = text(&key, "/name").split('/').take(2).collect::<Vec<_>>().join("/");
        Self { house, string: text(&key, "/keyString"), consumer }
    }

    async fn lets_in(&self, (address, headers): Caller<'_>) {
        let answer = self.house.knock(&self.string, address, headers).await;
        assert_eq!(answer.http, 200, "{address:?} {headers:?} {}", answer.text());
    }

    /// Checks the whole error against Google's; `extra` is what its metadata has besides service and consumer.
    async fn refuses(&self, (address, headers): Caller<'_>, reason: &str, message: &str, extra: Value) {
        let answer = self.house.knock(&self.string, address, headers).await;
        let mut metadata = extra;
        metadata["service"] = json!(GEMINI);
        metadata["consumer"] = json!(self.consumer);
        let expected = json!({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED", "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com",
             "metadata": metadata},
            {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": message}]}});
        assert_eq!(answer.json(), expected, "{address:?} {headers:?}");
    }
}

#[tokio::test]
async fn a_server_key_is_good_at_its_addresses_only() {
    let ips = json!(["192.0.2.10", "198.51.100.0/24", "2001:db8::/64", "127.0.0.1"]);
    let guarded = Guarded::by(json!({"serverKeyRestrictions": {"allowedIps": ips}})).await;

    for address in ["192.0.2.10", "198.51.100.255", "2001:db8::1", "::ffff:192.0.2.10", "127.0.0.1"] {
        guarded.lets_in((Some(address), &[])).await;
    }
    for (address, named) in [("203.0.113.5", "203.0.113.5"), ("::ffff:203.0.113.5", "203.0.113.5"), ("::1", "::1")] {
        let message = format!(
            "The provided API key has an IP address restriction. The originating IP address of the call ({named}) violates this restriction."
        );
        let claims: Caller<'_> = (Some(address), &[("x-forwarded-for", "192.0.2.10")]);
        guarded.refuses(claims, "API_KEY_IP_ADDRESS_BLOCKED", &message, json!({"callerIp": named})).await;
    }
    assert_eq!(guarded.house.lets_in(&guarded.string).await, 403, "no address at all");
}

#[tokio::test]
async fn a_browser_key_is_good_on_its_pages_only() {
    let pages =
        json!(["www.example.com/*", "*.example.org/*", "https://secure.test/*", "port.test:8080/*", "one.test/path"]);
    let guarded = Guarded::by(json!({"browserKeyRestrictions": {"allowedReferrers": pages}})).await;

    for page in [
        "https://www.example.com/any/path?query#fragment",
        "http://WWW.example.com:81/",
        "https://deep.sub.example.org/",
        "https://secure.test/x",
        "http://port.test:8080/",
        "https://one.test/path",
    ] {
        guarded.lets_in((None, &[("referer", page)])).await;
    }
    for page in [
        "https://example.com/",
        "https://example.org/",
        "http://secure.test/x",
        "http://port.test/",
        "https://one.test/path/more",
        "https://www.example.com.evil.test/",
        "https://evil.test/www.example.com/",
    ] {
        let message = format!("Requests from referer {page} are blocked.");
        let extra = json!({"httpReferrer": page});
        guarded.refuses((None, &[("referer", page)]), "API_KEY_HTTP_REFERRER_BLOCKED", &message, extra).await;
    }
    let message = "Requests from referer <empty> are blocked.";
    guarded.refuses(ANYBODY, "API_KEY_HTTP_REFERRER_BLOCKED", message, json!({"httpReferrer": "<empty>"})).await;
}

#[tokio::test]
async fn a_pattern_that_means_nothing_is_kept_and_lets_nobody_in() {
    let pages = json!(["my*.example.com/*", "www.example.*/*", "http*://www.example.com", ".*"]);
    let guarded = Guarded::by(json!({"browserKeyRestrictions": {"allowedReferrers": pages}})).await;

    for page in ["https://my.example.com/", "https://www.example.org/", "https://www.example.com", "https://a.test/"] {
        let answer = guarded.house.knock(&guarded.string, None, &[("referer", page)]).await;
        assert_eq!(answer.reason().0, "API_KEY_HTTP_REFERRER_BLOCKED", "{page}");
    }
}

#[tokio::test]
async fn an_android_key_is_good_in_its_apps_only() {
    let app = json!({"packageName": "com.example.a", "sha1Fingerprint": SHA1});
    let guarded = Guarded::by(json!({"androidKeyRestrictions": {"allowedApplications": [app]}})).await;
    let lower = SHA1.to_lowercase();

    guarded.lets_in((None, &[("x-android-package", "com.example.a"), ("x-android-cert", SHA1)])).await;
    guarded.lets_in((None, &[("x-android-package", "com.example.a"), ("x-android-cert", &lower)])).await;

    let reason = "API_KEY_ANDROID_APP_BLOCKED";
    let message = |named: &str| format!("Requests from this Android client application {named} are blocked.");
    let other = SHA1.replace("DA", "DB");
    for (package, sha1) in [("com.example.b", SHA1), ("com.example.a", &*other)] {
        let claims = [("x-android-package", package), ("x-android-cert", sha1)];
        guarded.refuses((None, &claims), reason, &message(package), json!({"androidPackage": package})).await;
    }
    guarded.refuses(ANYBODY, reason, &message("<empty>"), json!({"androidPackage": "<empty>"})).await;
}

#[tokio::test]
async fn an_ios_key_is_good_in_its_apps_only() {
    let guarded = Guarded::by(json!({"iosKeyRestrictions": {"allowedBundleIds": ["com.example.a"]}})).await;
    let reason = "API_KEY_IOS_APP_BLOCKED";
    let message = |named: &str| format!("Requests from this iOS client application {named} are blocked.");

    guarded.lets_in((None, &[("x-ios-bundle-identifier", "com.example.a")])).await;
    let other = (None, &[("x-ios-bundle-identifier", "com.example.a.b")][..]);
    let extra = json!({"iosBundleId": "com.example.a.b"});
    guarded.refuses(other, reason, &message("com.example.a.b"), extra).await;
    guarded.refuses(ANYBODY, reason, &message("<empty>"), json!({"iosBundleId": "<empty>"})).await;
}

#[tokio::test]
async fn a_key_is_good_for_its_services_only() {
    let guarded = Guarded::by(json!({"apiTargets": [{"service": "jules.googleapis.com"}]})).await;

    let message = format!("Requests to this API {GEMINI} method {LIST_MODELS} are blocked.");
    let extra = json!({"apiName": GEMINI, "methodName": LIST_MODELS});
    guarded.refuses(ANYBODY, "API_KEY_SERVICE_BLOCKED", &message, extra).await;
    let upper = json!({"apiTargets": [{"service": "jules.googleapis.com"}, {"service": GEMINI.to_uppercase()}]});
    Guarded::by(upper).await.lets_in(ANYBODY).await;
}

#[tokio::test]
async fn a_key_is_good_for_its_methods_only() {
    let check = async |methods: Value, lists: u16, generates: u16| {
        let target = json!({"service": GEMINI, "methods": methods});
        let guarded = Guarded::by(json!({"apiTargets": [target]})).await;
        assert_eq!(guarded.house.lets_in(&guarded.string).await, lists, "{target}");
        let path = format!("/v1beta/models/{MODEL}:generateContent");
        let request = http::Request::post(path).header("x-goog-api-key", &guarded.string);
        let body = json!({"contents": [{"parts": [{"text": "Hi"}]}]}).to_string();
        assert_eq!(guarded.house.send(request.body(body.into()).unwrap()).await.http, generates, "{target}");
    };

    check(json!([]), 200, 200).await;
    check(json!(["GenerateContent"]), 403, 200).await;
    check(json!(["list*"]), 200, 403).await;
    check(json!(["google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent"]), 403, 200).await;
    check(json!(["google.ai.generativelanguage.v1.GenerativeService.GenerateContent"]), 403, 403).await;
    check(json!([format!("{GEMINI}.List*"), "Count*"]), 200, 403).await;
    check(json!(["Count*", "EmbedContent"]), 403, 403).await;
}

#[tokio::test]
async fn the_service_is_looked_at_before_the_caller_and_both_must_fit() {
    let both = |service: &str| json!({"serverKeyRestrictions": {"allowedIps": ["192.0.2.1"]}, "apiTargets": [{"service": service}]});

    let guarded = Guarded::by(both("jules.googleapis.com")).await;
    let answer = guarded.house.knock(&guarded.string, Some("203.0.113.5"), &[]).await;
    assert_eq!(answer.reason().0, "API_KEY_SERVICE_BLOCKED");
    let guarded = Guarded::by(both(GEMINI)).await;
    guarded.lets_in((Some("192.0.2.1"), &[])).await;
    assert_eq!(
        guarded.house.knock(&guarded.string, Some("192.0.2.2"), &[]).await.reason().0,
        "API_KEY_IP_ADDRESS_BLOCKED"
    );
}

/// Checks which fields of a new key the server complains of.
async fn check(body: Value, wrong: &[&str]) {
    let house = House::new().await;
    let answer = house.manage("POST", &format!("{KEYS}?keyId=one"), Some(body.clone())).await;
    assert_eq!(answer.wrong_fields(), wrong, "{body} {}", answer.text());
    assert_eq!(house.manage("GET", &format!("{KEYS}/one"), None).await.refused(), refusal(404, "NOT_FOUND"));
}

#[tokio::test]
async fn what_can_be_no_restriction_is_refused_by_name() {
    let ips = "key.restrictions.server_key_restrictions.allowed_ips";
    for ip in ["999.1.1.1", "198.51.100.0/33", "host.example.com", "192.0.2.1-192.0.2.9", ""] {
        check(json!({"restrictions": {"serverKeyRestrictions": {"allowedIps": [ip]}}}), &[ips]).await;
    }
    let pages = "key.restrictions.browser_key_restrictions.allowed_referrers";
    for page in ["", "a.test b.test"] {
        check(json!({"restrictions": {"browserKeyRestrictions": {"allowedReferrers": [page]}}}), &[pages]).await;
    }
    let apps = "key.restrictions.android_key_restrictions.allowed_applications[0]";
    let app = json!({"packageName": "com.example.a", "sha1Fingerprint": "DA39"});
    let body = json!({"restrictions": {"androidKeyRestrictions": {"allowedApplications": [app]}}});
    check(body, &[&format!("{apps}.sha1_fingerprint")]).await;
    let body =
        json!({"restrictions": {"apiTargets": [{"service": "no service"}, {"service": GEMINI, "methods": ["G*t"]}]}});
    check(body, &["key.restrictions.api_targets[0].service", "key.restrictions.api_targets[1].methods"]).await;
}

#[tokio::test]
async fn mistakes_in_several_restrictions_are_told_together() {
    let restrictions = json!({"serverKeyRestrictions": {"allowedIps": ["1.2.3.4", "5.6.7.8/99"], "foo": 1},
                              "apiTargets": [{"service": GEMINI}, {"service": "", "methods": ["*", "**"]}]});
    let body = json!({"displayName": 5, "annotations": ["x"], "restrictions": restrictions});
    let house = House::new().await;
    let mut fields = house.manage("POST", &format!("{KEYS}?keyId=9"), Some(body)).await.wrong_fields();
    fields.sort();
    assert_eq!(
        fields,
        [
            "key.annotations",
            "key.display_name",
            "key.restrictions.api_targets[1].methods",
            "key.restrictions.api_targets[1].service",
            "key.restrictions.server_key_restrictions",
            "key.restrictions.server_key_restrictions.allowed_ips",
            "key_id",
        ]
    );
}

#[tokio::test]
async fn two_kinds_of_caller_exclude_each_other() {
    let house = House::new().await;
    let both = json!({"browserKeyRestrictions": {"allowedReferrers": ["a.test"]}, "serverKeyRestrictions": {"allowedIps": ["1.2.3.4"]}});

    let error = house.manage("POST", KEYS, Some(json!({"restrictions": both}))).await.error();

    let message = "Invalid value at 'key.restrictions' (oneof), oneof field 'client_restrictions' is already set. Cannot set 'serverKeyRestrictions'";
    assert_eq!(error, (400, "INVALID_ARGUMENT".to_owned(), message.to_owned()));
}

#[tokio::test]
async fn a_key_has_at_most_twelve_hundred_entries() {
    let entries = |count: u32| {
        let ips: Vec<String> = (0..count).map(|at| format!("10.0.{}.{}", at / 256, at % 256)).collect();
        json!({"restrictions": {"serverKeyRestrictions": {"allowedIps": ips}}})
    };
    let house = House::with_bodies(64 * 1024).await;

    house.new_key("full", entries(1200)).await;
    let answer = house.manage("POST", KEYS, Some(entries(1201))).await;
    assert_eq!(answer.wrong_fields(), ["key.restrictions"]);
}

#[tokio::test]
async fn a_key_that_acts_for_a_service_account_can_be_restricted_to_addresses_and_services() {
    let house = House::new().await;
    let account = "ci@default-project.iam.gserviceaccount.com";
    let body = |restrictions: Value| json!({"serviceAccountEmail": account, "restrictions": restrictions});

    let fits = json!({"serverKeyRestrictions": {"allowedIps": ["192.0.2.1"]}, "apiTargets": [{"service": GEMINI}]});
    let key = house.new_key("one", body(fits)).await;
    assert_eq!(key["serviceAccountEmail"], account);
    assert_eq!(house.key("one").await["serviceAccountEmail"], account);
    assert_eq!(house.knock(&text(&key, "/keyString"), Some("192.0.2.1"), &[]).await.http, 200);

    let pages = json!({"browserKeyRestrictions": {"allowedReferrers": ["a.test"]}});
    check(body(pages.clone()), &["key.restrictions.browser_key_restrictions"]).await;
    let update = format!("{KEYS}/one?updateMask=restrictions");
    let answer = house.manage("PATCH", &update, Some(json!({"restrictions": pages}))).await;
    assert_eq!(answer.wrong_fields(), ["key.restrictions.browser_key_restrictions"]);
    check(json!({"serviceAccountEmail": "not an address"}), &["key.service_account_email"]).await;
    check(json!({"serviceAccountEmail": "nobody@example.com"}), &["key.service_account_email"]).await;
    house.operator("serviceAccount:ci@example.com", &[]).await;
    house.new_key("known", json!({"serviceAccountEmail": "ci@example.com"})).await;
}

#[tokio::test]
async fn binding_a_key_to_a_service_account_takes_more_than_making_keys() {
    let house = House::new().await;
    let editor = house.operator("user:ed@example.com", &[("projects/default-project", "roles/editor")]).await;
    let body = json!({"serviceAccountEmail": "ci@default-project.iam.gserviceaccount.com"});

    house.as_(&editor, "POST", KEYS, Some(json!({}))).await.ok();
    let answer = house.as_(&editor, "POST", KEYS, Some(body)).await;
    assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"));
}
