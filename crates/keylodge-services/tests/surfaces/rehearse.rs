//! Restrictions and limits, tried on what was called.

use serde_json::{Value, json};

use crate::support::{House, MODEL};
use crate::visitor::{DAY, GEMINI, HOUR, SECOND, peer, refusal, text, texts};

const REHEARSE: &str = "/keylodge/v1/projects/default-project/locations/global/keys/one:rehearse";

impl House {
    async fn rehearse(&self, body: Value) -> Value {
        self.manage("POST", REHEARSE, Some(body)).await.ok()
    }

    /// A call of a model, from an address.
    async fn ask_from(&self, key: &str, model: &str, address: &str) {
        let body = json!({"contents": [{"parts": [{"text": "Hi"}]}]}).to_string();
        let request = http::Request::post(format!("/v1beta/models/{model}:generateContent"));
        let mut request = request.header("x-goog-api-key", key).body(body.into()).unwrap();
        request.extensions_mut().insert(peer(address));
        self.send(request).await;
    }
}

/// A house in which a key was used: twice from 192.0.2.1, three times from 203.0.113.5, an hour apart.
async fn used() -> (House, String) {
    let house = House::new().await;
    let key = house.new_string("one", json!({})).await;
    for _ in 0..2 {
        house.ask_from(&key, MODEL, "192.0.2.1").await;
    }
    house.wait(HOUR);
    for _ in 0..3 {
        house.ask_from(&key, "gemini-2.5-pro", "203.0.113.5").await;
    }
    house.ask_from(&house.key.clone(), MODEL, "203.0.113.5").await;
    (house, key)
}

#[tokio::test]
async fn exactly_the_callers_that_would_be_refused_are_found_and_then_they_are() {
    let (house, key) = used().await;
    let restrictions = json!({"serverKeyRestrictions": {"allowedIps": ["192.0.2.0/24"]}});

    let rehearsal = house.rehearse(json!({"restrictions": restrictions})).await;

    let numbers = ["calls", "refusedCalls", "refusedAnywayCalls", "leftOutCalls"].map(|name| rehearsal[name].clone());
    assert_eq!(numbers, ["5", "3", "0", "0"].map(|text| json!(text)), "{rehearsal}");
    assert_eq!(rehearsal["rules"], json!([{"rule": "client", "calls": "3"}]));
    assert_eq!(
        rehearsal["examples"],
        json!([{
            "rule": "client", "caller": {"address": "203.0.113.5"}, "service": GEMINI,
            "method": "google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent", "model": "gemini-2.5-pro",
            "calls": "3", "firstTime": "2026-01-31T13:00:00Z", "lastTime": "2026-01-31T13:00:00Z",
        }])
    );

    let path = "/v2/projects/default-project/locations/global/keys/one?updateMask=restrictions";
    house.manage("PATCH", path, Some(json!({"restrictions": restrictions}))).await.ok();
    assert_eq!(house.knock(&key, Some("192.0.2.1"), &[]).await.http, 200);
    assert_eq!(house.knock(&key, Some("203.0.113.5"), &[]).await.http, 403);
    let again = house.rehearse(json!({"restrictions": restrictions})).await;
    assert_eq!((&again["calls"], &again["refusedAnywayCalls"]), (&json!("6"), &json!("1")));
}

#[tokio::test]
async fn models_hours_and_targets_are_tried_alike() {
    let (house, _) = used().await;
    let refused = async |body: Value| {
        let rehearsal = house.rehearse(body).await;
        (texts(&rehearsal["rules"], "/rule"), texts(&rehearsal["rules"], "/calls"))
    };
    let one = |rule: &str, calls: &str| (vec![rule.to_owned()], vec![calls.to_owned()]);

    assert_eq!(refused(json!({})).await, (vec![], vec![]));
    assert_eq!(refused(json!({"allowedModels": [MODEL]})).await, one("model", "3"));
    assert_eq!(refused(json!({"allowedHours": ["sat 13:00-14:00 Z"]})).await, one("hours", "2"));
    let jules = json!({"restrictions": {"apiTargets": [{"service": "jules.googleapis.com"}]}});
    assert_eq!(refused(jules).await, one("api_target", "5"));
    let both = json!({"allowedModels": [MODEL], "allowedHours": ["sat 13:00-14:00 Z"]});
    assert_eq!(
        refused(both).await,
        (vec!["model".to_owned(), "hours".to_owned()], vec!["3".to_owned(), "2".to_owned()])
    );
}

#[tokio::test]
async fn only_calls_of_the_asked_days_are_tried() {
    let (house, _) = used().await;
    house.wait(2 * DAY);

    assert_eq!(house.rehearse(json!({"days": 1, "allowedModels": ["gemma"]})).await["calls"], "0");
    assert_eq!(house.rehearse(json!({"days": 3, "allowedModels": ["gemma"]})).await["refusedCalls"], "5");
}

#[tokio::test]
async fn a_limit_is_tried_on_minutes_and_days() {
    let (house, key) = used().await;
    // Two minutes of the clock, four calls within any 60 seconds that lie across them.
    house.wait(60 * SECOND);
    house.ask_from(&key, MODEL, "192.0.2.1").await;
    let limit = |metric: &str, window: &str, model: &str, value: &str| json!({"metric": metric, "window": window, "model": model, "value": value});

    let rehearsal = house
        .rehearse(json!({"limits": [
            limit("REQUESTS", "MINUTE", "", "2"),
            limit("INPUT_TOKENS", "MINUTE", "*", "11"),
            limit("REQUESTS", "DAY", MODEL, "3"),
            limit("OUTPUT_TOKENS", "DAY", "", "17"),
            limit("COST", "DAY", "", "0.0001"),
        ]}))
        .await;

    let limits = rehearsal["limits"].as_array().unwrap();
    let told =
        |at: usize| ["periods", "periodsOver", "peak", "overBy"].map(|name| text(&limits[at], &format!("/{name}")));
    assert_eq!(told(0), ["3", "1", "3", "1"], "{rehearsal}");
    assert_eq!(
        (&limits[0]["slidingPeakAtMost"], &limits[0]["peakTime"]),
        (&json!("4"), &json!("2026-01-31T13:00:00Z"))
    );
    assert_eq!(told(1), ["3", "1", "12", "1"]);
    assert_eq!(told(2), ["1", "0", "3", "0"]);
    assert_eq!((told(3), &limits[3]["slidingPeakAtMost"]), (["1", "1", "18", "1"].map(str::to_owned), &Value::Null));
    assert_eq!(limits[3]["peakTime"], "2026-01-31T08:00:00Z", "midnight in California");
    // Three calls of the model that has a price: four tokens at a millionth of a dollar, three at ten.
    assert_eq!(told(4), ["1", "1", "0.000102", "0.000002"]);
    let asked = json!({"metric": "COST", "window": "DAY", "model": "", "value": "0.0001", "mode": "ENFORCED"});
    assert_eq!(limits[4]["limit"], asked);
}

#[tokio::test]
async fn what_cannot_be_tried_is_refused_by_its_field() {
    let (house, _) = used().await;
    let wrong = async |body: Value| house.manage("POST", REHEARSE, Some(body)).await.wrong_fields();

    assert_eq!(wrong(json!({"days": 15})).await, ["days"]);
    assert_eq!(wrong(json!({"days": 0})).await, ["days"]);
    assert_eq!(wrong(json!({"allowedModels": ["a b"]})).await, ["allowed_models"]);
    assert_eq!(wrong(json!({"allowedHours": ["noon"], "colour": 1})).await, ["allowed_hours", ""]);
    let limit = |metric: &str, window: &str| json!({"metric": metric, "window": window, "value": "1"});
    let limits = json!({"limits": [limit("CALLS", "DAY"), limit("REQUESTS", "IN_FLIGHT"), limit("REQUESTS", "WEEK")]});
    assert_eq!(wrong(limits).await, ["limits[0].metric", "limits[1].window", "limits[2].window"]);
    assert_eq!(
        wrong(json!({"limits": [{"metric": "REQUESTS", "window": "DAY", "value": "-1"}]})).await,
        ["limits[0].value"]
    );
    let many = json!({"limits": vec![limit("REQUESTS", "DAY"); 33]});
    assert_eq!(wrong(many).await, ["limits"]);
    let empty = json!({"restrictions": {"serverKeyRestrictions": {"allowedIps": []}}});
    assert_eq!(wrong(empty).await, ["restrictions.server_key_restrictions.allowed_ips"]);

    let missing = house.manage("POST", &REHEARSE.replace("/one:", "/two:"), Some(json!({}))).await;
    assert_eq!(missing.refused(), refusal(404, "NOT_FOUND"));
}
