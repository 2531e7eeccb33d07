//! Refusals explained, and mended as the explanation says.

use serde_json::{Value, json};

use crate::support::{Answer, House, KEYS, MODEL};
use crate::visitor::{ADMIN, DAY, GEMINI, SECOND, refusal, text, texts};

const SHA1: &str = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709";
const LIST_MODELS: &str = "google.ai.generativelanguage.v1beta.ModelService.ListModels";

/// A caller: its address, and what it says of itself.
type Caller<'caller> = (Option<&'caller str>, &'caller [(&'caller str, &'caller str)]);
const ANYBODY: Caller<'_> = (None, &[]);

impl House {
    /// The explanation of a refusal.
    async fn explained(&self, refused: &Answer) -> Value {
        let id = refused.headers["x-keylodge-decision"].to_str().unwrap().to_owned();
        let explanation = self.manage("GET", &format!("/keylodge/v1/decisions/{id}"), None).await.ok();
        assert_eq!(explanation["decision"]["id"], id);
        explanation
    }
}

/// A key, a call of it that is refused, and what must be said of that.
struct Case {
    house: House,
    string: String,
}

impl Case {
    async fn of(body: Value) -> Self {
        let house = House::new().await;
        let string = house.new_string("one", body).await;
        Self { house, string }
    }

    /// Checks that the explanation names this rule alone and gives this command, and that the call passes once `mend` has
    /// done what the command would.
    async fn check(&self, caller: Caller<'_>, rule: &str, command: &str, mend: impl AsyncFnOnce(&House)) {
        let (address, headers) = caller;
        let answer = self.house.knock(&self.string, address, headers).await;
        let explanation = self.house.explained(&answer).await;

        assert_eq!(explanation["wouldPassNow"], false, "{explanation}");
        assert_eq!(texts(&explanation["changes"], "/rule"), [rule], "{explanation}");
        assert_eq!(explanation["changes"][0]["command"].as_str().unwrap_or_default(), command);
        assert!(!text(&explanation, "/changes/0/description").is_empty());
        let broken = explanation["rules"].as_array().unwrap().iter().filter(|step| step["now"] == "broken");
        assert_eq!(broken.map(|step| text(step, "/rule")).collect::<Vec<_>>(), [rule]);

        mend(&self.house).await;

        let after = self.house.explained(&answer).await;
        assert_eq!((&after["wouldPassNow"], &after["changes"]), (&json!(true), &Value::Null), "{after}");
        let then = after["rules"].as_array().unwrap().iter().find(|step| step["rule"] == rule).unwrap().clone();
        assert_eq!((then["then"].as_str(), then["now"].as_str()), (Some("broken"), Some("kept")));
        assert_eq!(self.house.knock(&self.string, address, headers).await.http, 200, "{rule}");
    }
}

/// What the command `keys update` sends.
async fn restrict(house: &House, restrictions: Value) {
    let path = format!("{KEYS}/one?updateMask=restrictions");
    house.manage("PATCH", &path, Some(json!({"restrictions": restrictions}))).await.ok();
}

#[tokio::test]
async fn a_caller_is_added_to_those_the_key_is_for() {
    let ips = |list: Value| json!({"serverKeyRestrictions": {"allowedIps": list}});
    let case = Case::of(json!({"restrictions": ips(json!(["192.0.2.0/24"]))})).await;
    let command = "keylodge keys update one --project default-project --allowed-ips 192.0.2.0/24,203.0.113.5";
    let mend = async |house: &House| restrict(house, ips(json!(["192.0.2.0/24", "203.0.113.5"]))).await;
    case.check((Some("203.0.113.5"), &[]), "client", command, mend).await;

    let pages = |list: Value| json!({"browserKeyRestrictions": {"allowedReferrers": list}});
    let case = Case::of(json!({"restrictions": pages(json!(["*.example.org/*"]))})).await;
    let command = "keylodge keys update one --project default-project --allowed-referrers '*.example.org/*,https://www.example.com/x'";
    let mend =
        async |house: &House| restrict(house, pages(json!(["*.example.org/*", "https://www.example.com/x"]))).await;
    case.check((None, &[("referer", "https://www.example.com/x?q=1")]), "client", command, mend).await;

    let bundles = |list: Value| json!({"iosKeyRestrictions": {"allowedBundleIds": list}});
    let case = Case::of(json!({"restrictions": bundles(json!(["com.example.a"]))})).await;
    let command = "keylodge keys update one --project default-project --allowed-bundle-ids com.example.a,com.example.b";
    let mend = async |house: &House| restrict(house, bundles(json!(["com.example.a", "com.example.b"]))).await;
    case.check((None, &[("x-ios-bundle-identifier", "com.example.b")]), "client", command, mend).await;

    let app = |package: &str| json!({"packageName": package, "sha1Fingerprint": SHA1});
    let apps = |list: Value| json!({"androidKeyRestrictions": {"allowedApplications": list}});
    let case = Case::of(json!({"restrictions": apps(json!([app("com.example.a")]))})).await;
    let flag = |package: &str| format!(" --allowed-application sha1_fingerprint={SHA1},package_name={package}");
    let command =
        format!("keylodge keys update one --project default-project{}{}", flag("com.example.a"), flag("com.example.b"));
    let mend = async |house: &House| restrict(house, apps(json!([app("com.example.a"), app("com.example.b")]))).await;
    let caller: Caller<'_> = (None, &[("x-android-package", "com.example.b"), ("x-android-cert", SHA1)]);
    case.check(caller, "client", &command, mend).await;
}

#[tokio::test]
async fn a_caller_that_says_nothing_of_itself_is_told_to() {
    let pages = json!({"browserKeyRestrictions": {"allowedReferrers": ["www.example.com"]}});
    let case = Case::of(json!({"restrictions": pages})).await;

    let explanation = case.house.explained(&case.house.knock(&case.string, None, &[]).await).await;

    assert_eq!(explanation["changes"][0]["command"], Value::Null);
    assert!(text(&explanation, "/changes/0/description").contains("Referer"), "{explanation}");
}

#[tokio::test]
async fn a_method_is_added_to_those_the_key_is_for() {
    let targets = |methods: Value| json!({"apiTargets": [{"service": GEMINI, "methods": methods}]});
    let case = Case::of(json!({"restrictions": targets(json!(["Generate*"]))})).await;
    let command = format!(
        "keylodge keys update one --project default-project --api-target 'service={GEMINI},methods=Generate*;{LIST_MODELS}'"
    );
    let mend = async |house: &House| restrict(house, targets(json!(["Generate*", LIST_MODELS]))).await;
    case.check(ANYBODY, "api_target", &command, mend).await;

    let jules = || json!({"service": "jules.googleapis.com"});
    let case = Case::of(json!({"restrictions": {"apiTargets": [jules()]}})).await;
    let command = format!(
        "keylodge keys update one --project default-project --api-target service=jules.googleapis.com --api-target service={GEMINI},methods={LIST_MODELS}"
    );
    let mend = async |house: &House| {
        let target = json!({"service": GEMINI, "methods": [LIST_MODELS]});
        restrict(house, json!({"apiTargets": [jules(), target]})).await;
    };
    case.check(ANYBODY, "api_target", &command, mend).await;
}

#[tokio::test]
async fn what_stopped_a_key_is_undone() {
    let case = Case::of(json!({})).await;
    let post = async |house: &House, path: String| drop(house.manage("POST", &path, Some(json!({}))).await.ok());
    let of_key = |verb: &str, flags: &str| format!("keylodge keys {verb} one --project default-project{flags}");

    case.house.manage("POST", &format!("{ADMIN}/keys/one:disable"), None).await.ok();
    let mend = async |house: &House| post(house, format!("{ADMIN}/keys/one:enable")).await;
    case.check(ANYBODY, "enabled", &of_key("enable", ""), mend).await;

    case.house.manage("DELETE", &format!("{KEYS}/one"), None).await.ok();
    let mend = async |house: &House| post(house, format!("{KEYS}/one:undelete")).await;
    case.check(ANYBODY, "not_deleted", &of_key("undelete", ""), mend).await;

    let service = format!("/v1/projects/default-project/services/{GEMINI}");
    post(&case.house, format!("{service}:disable")).await;
    let mend = async |house: &House| post(house, format!("{service}:enable")).await;
    let command = format!("keylodge services enable {GEMINI} --project default-project");
    case.check(ANYBODY, "service_on", &command, mend).await;

    case.house.manage("DELETE", "/v1/projects/default-project", None).await.ok();
    let mend = async |house: &House| post(house, "/v1/projects/default-project:undelete".to_owned()).await;
    case.check(ANYBODY, "project_active", "keylodge projects undelete default-project", mend).await;

    let settings = format!("{ADMIN}/settings");
    case.house.manage("PATCH", &settings, Some(json!({"standardKeysMustBeRestricted": true}))).await.ok();
    let mend = async |house: &House| restrict(house, json!({"apiTargets": [{"service": GEMINI}]})).await;
    case.check(ANYBODY, "restricted", &of_key("update", &format!(" --api-target service={GEMINI}")), mend).await;

    let expires = |time: &str| json!({"expireTime": time});
    let details = format!("{ADMIN}/keys/one");
    case.house.manage("PATCH", &details, Some(expires("2026-01-31T13:00:00Z"))).await.ok();
    case.house.wait(DAY);
    let mend =
        async |house: &House| drop(house.manage("PATCH", &details, Some(expires("2026-02-02T12:00:00Z"))).await.ok());
    case.check(ANYBODY, "not_expired", &of_key("set", " --expire-time 2026-02-02T12:00:00Z"), mend).await;
}

#[tokio::test]
async fn a_string_that_was_rotated_out_is_replaced_by_the_current_one() {
    let case = Case::of(json!({})).await;
    case.house.manage("POST", &format!("{ADMIN}/keys/one:rotate"), Some(json!({"overlap": "60s"}))).await.ok();
    case.house.wait(61 * SECOND);

    let explanation = case.house.explained(&case.house.knock(&case.string, None, &[]).await).await;

    let command = "keylodge keys get-key-string one --project default-project";
    assert_eq!(explanation["changes"][0]["command"], command, "{explanation}");
    let current = text(&case.house.manage("GET", &format!("{KEYS}/one/keyString"), None).await.ok(), "/keyString");
    assert_eq!(case.house.knock(&current, None, &[]).await.http, 200);
}

/// Every rule that speaks against the call has its change, not only the first; all of them together let it pass.
#[tokio::test]
async fn all_that_speaks_against_a_call_is_told_at_once() {
    let case = Case::of(json!({"restrictions": {
        "serverKeyRestrictions": {"allowedIps": ["192.0.2.0/24"]}, "apiTargets": [{"service": "jules.googleapis.com"}]}}));
    let case = case.await;
    let house = &case.house;
    let rules = json!({"allowedModels": ["gemma*"], "allowedHours": ["mon 00:00-01:00 Z"]});
    house.manage("PUT", &format!("{ADMIN}/keys/one/rules"), Some(rules)).await.ok();
    house.manage("POST", &format!("{ADMIN}/keys/one:disable"), None).await.ok();

    let request = http::Request::post(format!("/v1beta/models/{MODEL}:generateContent"));
    let mut request = request.header("x-goog-api-key", &case.string).body("{}".into()).unwrap();
    request.extensions_mut().insert(crate::visitor::peer("203.0.113.5"));
    let explanation = house.explained(&house.send(request).await).await;

    assert_eq!(explanation["decision"]["refusal"], "key_disabled");
    assert_eq!(explanation["decision"]["model"], MODEL);
    assert_eq!(explanation["decision"]["caller"], json!({"address": "203.0.113.5"}));
    assert_eq!(texts(&explanation["changes"], "/rule"), ["enabled", "api_target", "client", "model", "hours"]);
    let descriptions = texts(&explanation["changes"], "/description");
    assert_eq!(descriptions[3], format!("Add {MODEL} to the models that the key is for."));
    assert_eq!(descriptions[4], "Add 'sat 12:00-13:00 Z' to the hours of the key, or call within them.");
    let then: Vec<String> = texts(&explanation["rules"], "/then").into_iter().take(4).collect();
    assert_eq!(then, ["kept", "kept", "broken", "not_asked"]);
}

#[tokio::test]
async fn models_and_hours_are_added_to_those_the_key_is_for() {
    let case = Case::of(json!({})).await;
    let house = &case.house;
    let narrow = async |rules: Value| house.manage("PUT", &format!("{ADMIN}/keys/one/rules"), Some(rules)).await.ok();
    let call = async || {
        let request = http::Request::post(format!("/v1beta/models/{MODEL}:generateContent"));
        let body = json!({"contents": [{"parts": [{"text": "Hi"}]}]}).to_string();
        house.send(request.header("x-goog-api-key", &case.string).body(body.into()).unwrap()).await
    };
    let set = |flags: &str| format!("keylodge keys rules set one --project default-project {flags}");

    narrow(json!({"allowedModels": ["gemma-*"]})).await;
    let explanation = house.explained(&call().await).await;
    assert_eq!(texts(&explanation["changes"], "/command"), [set(&format!("--allowed-models 'gemma-*,{MODEL}'"))]);
    narrow(json!({"allowedModels": ["gemma-*", MODEL]})).await;
    assert_eq!(call().await.http, 200);

    narrow(json!({"allowedHours": ["mon-fri 08:00-18:00 Z"]})).await;
    let explanation = house.explained(&call().await).await;
    let flags = "--allowed-hours 'mon,tue,wed,thu,fri 08:00-18:00 Z' --allowed-hours 'sat 12:00-13:00 Z'";
    assert_eq!(texts(&explanation["changes"], "/command"), [set(flags)]);
    narrow(json!({"allowedHours": ["mon-fri 08:00-18:00 Z", "sat 12:00-13:00 Z"]})).await;
    assert_eq!(call().await.http, 200);
}

#[tokio::test]
async fn limits_without_room_are_raised_just_enough() {
    let case = Case::of(json!({})).await;
    let house = &case.house;
    let limits = |requests: &str| {
        json!({"limits": [
            {"metric": "REQUESTS", "window": "DAY", "value": requests},
            {"metric": "COST", "window": "MONTH", "value": "12.5", "mode": "SHADOW"},
        ]})
    };
    let knock = async || house.knock(&case.string, None, &[]).await;
    let of = [(format!("{ADMIN}/limits"), "limits set"), (format!("{ADMIN}/keys/one/rules"), "keys rules set one")];
    for (path, command) in of {
        house.manage("PUT", &path, Some(limits("1"))).await.ok();
        house.wait(DAY);
        assert_eq!(knock().await.http, 200);

        let refused = knock().await;
        assert_eq!(refused.http, 429);
        let explanation = house.explained(&refused).await;
        let change = &explanation["changes"][0];

        assert_eq!(explanation["decision"]["refusal"], "limit_exceeded");
        let limit = json!({"metric": "REQUESTS", "window": "DAY", "model": "", "value": "1", "mode": "ENFORCED"});
        let reached = &explanation["decision"]["limits"][0];
        assert_eq!([&reached["limit"], &reached["used"], &reached["asked"]], [&limit, &json!("1"), &json!("1")]);
        assert_eq!((&change["rule"], &explanation["wouldPassNow"]), (&json!("limit"), &json!(true)), "{explanation}");
        assert!(text(change, "/description").contains("1 requests per day"), "{change}");
        let flags = "--project default-project --limit requests/day=2 --limit cost/month=12.5,shadow";
        assert_eq!(change["command"], format!("keylodge {command} {flags}"));
        house.manage("PUT", &path, Some(limits("2"))).await.ok();
        assert_eq!(knock().await.http, 200);
        let after = house.explained(&refused).await;
        assert_eq!(after["changes"][0]["command"], Value::Null, "{after}");
        house.manage("PUT", &path, Some(json!({"limits": []}))).await.ok();
    }
}

#[tokio::test]
async fn a_string_that_nobody_knows_is_looked_up_where_the_caller_has_it() {
    let house = House::new().await;
    let answer = house.knock(keylodge_rules::KeyString::issue(&[77; 32]).reveal(), None, &[]).await;

    let explanation = house.explained(&answer).await;

    assert_eq!(explanation["changes"][0]["rule"], "credential");
    assert_eq!(explanation["changes"][0]["command"], "keylodge keys lookup --file -");
    assert!(texts(&explanation["rules"], "/then").iter().all(|then| then == "not_asked"));
    assert_eq!((&explanation["decision"]["key"], &explanation["wouldPassNow"]), (&Value::Null, &json!(false)));
}

#[tokio::test]
async fn decisions_are_listed_newest_first_by_key_and_refusal_and_in_pages() {
    let house = House::new().await;
    let one = house
        .new_string("one", json!({"restrictions": {"serverKeyRestrictions": {"allowedIps": ["192.0.2.1"]}}}))
        .await;
    let two = house.new_string("two", json!({})).await;
    house.manage("POST", &format!("{ADMIN}/keys/two:disable"), None).await.ok();
    for key in [&one, &two, &one] {
        house.knock(key, Some("203.0.113.5"), &[]).await;
    }

    let list = async |query: &str| house.manage("GET", &format!("{ADMIN}/decisions{query}"), None).await.ok();
    let refusals = |page: &Value| texts(&page["decisions"], "/refusal");
    assert_eq!(refusals(&list("").await), ["address_blocked", "key_disabled", "address_blocked"]);
    assert_eq!(refusals(&list("?keyId=two").await), ["key_disabled"]);
    assert_eq!(refusals(&list("?refusal=address_blocked").await).len(), 2);
    let first = list("?pageSize=2").await;
    let second = list(&format!("?pageSize=2&pageToken={}", text(&first, "/nextPageToken"))).await;
    assert_eq!((refusals(&first).len(), refusals(&second)), (2, vec!["address_blocked".to_owned()]));
    assert_eq!(second["nextPageToken"], Value::Null);
    assert!(text(&first, "/decisions/1/key").ends_with("/keys/two"));
}

#[tokio::test]
async fn a_decision_of_others_reads_as_missing() {
    let house = House::new().await;
    house.new_project("team-blue").await;
    house.manage("POST", &format!("{ADMIN}/keys/default-key:disable"), None).await.ok();
    let id = |answer: Answer| answer.headers["x-keylodge-decision"].to_str().unwrap().to_owned();
    let ours = id(house.knock(&house.key, None, &[]).await);
    let nobody_s = id(house.knock("kl_wrong", None, &[]).await);
    let here = house.operator("user:vi@example.com", &[("projects/default-project", "roles/viewer")]).await;
    let there = house.operator("user:wu@example.com", &[("projects/team-blue", "roles/viewer")]).await;

    let explain =
        async |token: &str, id: &str| house.as_(token, "GET", &format!("/keylodge/v1/decisions/{id}"), None).await;
    explain(&here, &ours).await.ok();
    explain(&house.token, &nobody_s).await.ok();
    let missing = explain(&there, "nosuch").await.error();
    assert_eq!((missing.0, missing.1.as_str()), (404, "NOT_FOUND"));
    for (token, id) in [(&there, &ours), (&there, &nobody_s), (&here, &nobody_s)] {
        assert_eq!(explain(token, id).await.error(), missing);
    }
    let list = house.as_(&there, "GET", &format!("{ADMIN}/decisions"), None).await;
    assert_eq!(list.refused(), refusal(403, "PERMISSION_DENIED"));
}
