//! What was used, as the calls made it.

use std::collections::BTreeMap;

use http_body_util::BodyExt as _;
use keylodge_gate::Holder;
use keylodge_rules::explain::is_refusal;
use keylodge_rules::quota::Metric;
use serde_json::{Value, json};

use crate::support::{House, MODEL};
use crate::visitor::{ADMIN, DAY, HOUR, encoded, refusal, text, texts};

const USAGE: &str = "/keylodge/v1/projects/default-project/usage";
const ALL: &str = "/keylodge/v1/usage";
const OTHER: &str = "gemini-2.5-pro";

impl House {
    /// A call of a model with a key.
    async fn ask(&self, key: &str, model: &str) -> u16 {
        let body = json!({"contents": [{"parts": [{"text": "Hi"}]}]}).to_string();
        let request = http::Request::post(format!("/v1beta/models/{model}:generateContent"));
        self.send(request.header("x-goog-api-key", key).body(body.into()).unwrap()).await.http
    }

    async fn usage(&self, query: &str) -> Value {
        self.manage("GET", &format!("{USAGE}{query}"), None).await.ok()["rows"].take()
    }
}

/// Each row as its text at a pointer, with its calls and tokens.
fn sums(rows: &Value, pointer: &str) -> Vec<(String, String, String, String)> {
    let rows = rows.as_array().into_iter().flatten();
    let sum = |row| (text(row, pointer), text(row, "/calls"), text(row, "/inputTokens"), text(row, "/outputTokens"));
    rows.map(sum).collect()
}

fn sum(name: &str, calls: u64) -> (String, String, String, String) {
    // The script reads 4 tokens and makes 3 each time.
    (name.to_owned(), calls.to_string(), (calls * 4).to_string(), (calls * 3).to_string())
}

#[tokio::test]
async fn what_an_ephemeral_token_is_used_for_counts_for_its_key() {
    let house = House::new().await;
    let token = house.make_token(&json!({"scope": "API", "uses": 2})).await;

    assert_eq!([house.ask(&token, MODEL).await, house.ask(&token, MODEL).await], [200, 200]);
    assert_eq!(house.ask(&token, MODEL).await, 403);

    let by_key = sums(&house.usage("?groupBy=key").await, "/key");
    // Making it was a call of the key, too, and so is one that is refused; neither has tokens.
    let [(key, calls, input, output)] = &by_key[..] else { panic!("{by_key:?}") };
    assert!(key.ends_with("/keys/default-key"), "{key}");
    assert_eq!((&**calls, &**input, &**output), ("4", "8", "6"));
}

#[tokio::test]
async fn totals_are_the_calls_that_were_made_by_key_and_by_model() {
    let house = House::new().await;
    let one = house.new_string("one", json!({})).await;
    let own = house.key.clone();
    for (key, model, calls) in [(&own, MODEL, 3), (&own, OTHER, 1), (&one, MODEL, 2)] {
        for _ in 0..calls {
            assert_eq!(house.ask(key, model).await, 200);
        }
    }

    let total = house.usage("").await;
    assert_eq!(sums(&total, "/beginTime"), [sum("2026-01-30T12:00:00Z", 6)]);
    assert_eq!(
        total[0]["cost"],
        json!({"currencyCode": "USD", "units": "0", "nanos": 170_000}),
        "of the model that has a price"
    );
    assert_eq!(total[0]["latency"]["buckets"], json!([{"within": "0.0001s", "calls": "6"}]));
    assert_eq!(total[0]["key"], Value::Null, "what was not told apart is absent");

    let mut by_key: Vec<_> = sums(&house.usage("?groupBy=key").await, "/key");
    by_key.iter_mut().for_each(|(key, ..)| *key = key.rsplit('/').next().unwrap().to_owned());
    by_key.sort();
    assert_eq!(by_key, [sum("default-key", 4), sum("one", 2)]);

    let mut by_model = sums(&house.usage("?groupBy=model").await, "/model");
    by_model.sort();
    assert_eq!(by_model, [sum(MODEL, 5), sum(OTHER, 1)]);
    let both = house.usage("?groupBy=key,model&keyId=one").await;
    assert_eq!(sums(&both, "/model"), [sum(MODEL, 2)]);
    let uid = text(&house.details("one").await, "/uid");
    assert_eq!(house.usage(&format!("?groupBy=key,model&keyId={uid}")).await, both);
    assert_eq!(house.usage(&format!("?model={OTHER}")).await[0]["calls"], "1");
    assert_eq!(house.manage("GET", ALL, None).await.ok()["rows"], total);
    assert_eq!(
        house.manage("GET", &format!("{ALL}?keyId={uid}&groupBy=project"), None).await.ok()["rows"][0]["calls"],
        "2"
    );
}

#[tokio::test]
async fn refused_calls_are_told_apart_by_their_outcome() {
    let house = House::new().await;
    let key = house.key.clone();
    house.ask(&key, MODEL).await;
    house.manage("POST", &format!("{ADMIN}/keys/default-key:disable"), None).await.ok();
    house.ask(&key, MODEL).await;

    let by_outcome = house.usage("?groupBy=outcome").await;

    let mut outcomes = texts(&by_outcome, "/outcome");
    outcomes.sort();
    assert_eq!(outcomes, ["key_disabled", "ok"]);
    assert_eq!(house.usage("?outcome=key_disabled").await[0]["calls"], "1");
}

#[tokio::test]
async fn rows_have_the_asked_step_and_range() {
    let house = House::new().await;
    let key = house.key.clone();
    for wait in [0, HOUR, DAY] {
        house.wait(wait);
        house.ask(&key, MODEL).await;
    }
    let hours = house.usage("?step=hour&startTime=2026-01-31T00:00:00Z").await;
    let days = house.usage("?step=day&startTime=2026-01-31T00:00:00Z").await;

    let begin = ["2026-01-31T12:00:00Z", "2026-01-31T13:00:00Z", "2026-02-01T13:00:00Z"];
    assert_eq!(texts(&hours, "/beginTime"), begin);
    assert_eq!(texts(&days, "/beginTime"), ["2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"]);
    assert_eq!(texts(&days, "/calls"), ["2", "1"]);
    let range = format!("?startTime={0}&endTime=2026-01-31T12:30:00Z", encoded("2026-01-31T13:00:00+01:00"));
    assert_eq!(texts(&house.usage(&range).await, "/calls"), ["1"]);
}

#[tokio::test]
async fn pages_have_together_what_one_has() {
    let house = House::new().await;
    let key = house.key.clone();
    for model in [MODEL, OTHER, "gemini-2.0-flash"] {
        house.ask(&key, model).await;
    }
    let whole = house.usage("?groupBy=model&step=minute").await;

    let (mut paged, mut token) = (Vec::new(), String::new());
    loop {
        let path = format!("{USAGE}?groupBy=model&step=minute&pageSize=1&pageToken={token}");
        let page = house.manage("GET", &path, None).await.ok();
        paged.extend(page["rows"].as_array().unwrap().iter().cloned());
        let Some(next) = page["nextPageToken"].as_str() else { break };
        token = next.to_owned();
    }

    assert_eq!((json!(paged), paged.len()), (whole, 3));
}

#[tokio::test]
async fn a_question_that_means_nothing_is_refused_by_its_field() {
    let house = House::new().await;

    for (query, field) in [
        ("?startTime=yesterday", "start_time"),
        ("?endTime=2026-02-31T00:00:00Z", "end_time"),
        ("?startTime=2026-02-01T00:00:00Z&endTime=2026-01-01T00:00:00Z", "start_time"),
        ("?step=week", "step"),
        ("?groupBy=key,colour", "group_by"),
        ("?pageToken=x", "page_token"),
        ("?pageSize=-1", "page_size"),
    ] {
        let answer = house.manage("GET", &format!("{USAGE}{query}"), None).await;
        assert_eq!(answer.wrong_fields(), [field], "{query}");
    }
    assert_eq!(house.manage("GET", &format!("{USAGE}?keyId=nobody"), None).await.refused(), refusal(404, "NOT_FOUND"));
    assert_eq!(house.manage("GET", &format!("{ALL}?keyId=nobody"), None).await.wrong_fields(), ["key_id"]);
}

/// A limit that is far away, so that it only counts.
fn far(metric: &str, model: &str) -> Value {
    json!({"metric": metric, "window": "DAY", "model": model, "value": "1000000"})
}

fn asked(text: &str) -> Value {
    json!({"contents": [{"parts": [{"text": text}]}]})
}

/// What the rows say that limits count: calls that were let through, tokens, billionths of a dollar.
fn counted(rows: &Value) -> [u64; 4] {
    let number = |row: &Value, pointer| text(row, pointer).parse::<u64>().unwrap();
    let let_through = rows.as_array().unwrap().iter().filter(|row| !is_refusal(row["outcome"].as_str().unwrap()));
    let_through.fold([0; 4], |sums, row| {
        let cost = number(row, "/cost/units") * 1_000_000_000 + row["cost"]["nanos"].as_u64().unwrap();
        let tokens = ["/inputTokens", "/outputTokens"].map(|pointer| number(row, pointer));
        [sums[0] + number(row, "/calls"), sums[1] + tokens[0], sums[2] + tokens[1], sums[3] + cost]
    })
}

/// Usage and limits are counted apart from each other, and must never disagree.
#[tokio::test]
async fn totals_are_what_the_limits_of_the_key_have_counted() {
    let house = House::with_script(
        "[[reply]]\ncontains = 'break'\ntokens = ['a', 'b']\nprompt_tokens = 5\nstatus = 503\nfail_after = 1
         [[reply]]\ntokens = ['Hel', 'lo', '.']\nprompt_tokens = 4",
    )
    .await;
    let rules = format!("{ADMIN}/keys/default-key/rules");
    let mut limits: Vec<Value> =
        ["REQUESTS", "INPUT_TOKENS", "OUTPUT_TOKENS", "COST"].map(|metric| far(metric, "")).into();
    limits.extend([far("REQUESTS", "*"), far("OUTPUT_TOKENS", "*")]);
    limits.push(json!({"metric": "REQUESTS", "window": "MINUTE", "value": "8"}));
    house.manage("PUT", &rules, Some(json!({ "limits": limits }))).await.ok();

    let [whole, streamed] =
        ["generateContent", "streamGenerateContent?alt=sse"].map(|method| format!("/v1beta/models/{MODEL}:{method}"));
    for _ in 0..2 {
        house.gemini(&whole, &asked("Hi")).await.ok();
    }
    assert_eq!(house.ask(&house.key, OTHER).await, 200);
    assert_eq!(house.gemini(&streamed, &asked("Hi")).await.http, 200);
    assert_eq!(house.gemini(&streamed, &asked("break")).await.http, 200);
    assert_eq!(house.gemini(&whole, &asked("break")).await.http, 503);
    assert_eq!(house.gemini(&whole, &json!({"contents": 1})).await.http, 400);
    let leaving = http::Request::post(&streamed).header("x-goog-api-key", &house.key);
    let mut left = house.begin(leaving.body(asked("Hi").to_string().into()).unwrap()).await;
    left.body_mut().frame().await.unwrap().unwrap();
    drop(left);
    assert_eq!(house.gemini(&whole, &asked("Hi")).await.http, 429);
    house.manage("POST", &format!("{ADMIN}/keys/default-key:disable"), None).await.ok();
    assert_eq!(house.gemini(&whole, &asked("Hi")).await.http, 400);

    let by_outcome = house.usage("?keyId=default-key&groupBy=outcome").await;
    let mut outcomes: Vec<_> =
        by_outcome.as_array().unwrap().iter().map(|row| (text(row, "/outcome"), text(row, "/calls"))).collect();
    outcomes.sort();
    let calls = |outcome: &str, calls: &str| (outcome.to_owned(), calls.to_owned());
    assert_eq!(
        outcomes,
        [
            calls("broken", "1"),
            calls("caller_gone", "1"),
            calls("http_400", "1"),
            calls("http_503", "1"),
            calls("key_disabled", "1"),
            calls("limit_exceeded", "1"),
            calls("ok", "4"),
        ]
    );
    let mut kept: BTreeMap<(Metric, String), u64> = BTreeMap::new();
    for row in house.lodge.judge.ledger().close() {
        assert!(matches!(row.holder, Holder::Key(_)), "the project has no limits");
        let model = row.lease.counter.model.map(|model| model.as_str().to_owned()).unwrap_or_default();
        kept.insert((row.lease.counter.metric, model), row.lease.used);
    }
    let kept = |metric, model: &str| kept[&(metric, model.to_owned())];
    let all =
        [Metric::Requests, Metric::InputTokens, Metric::OutputTokens, Metric::Cost].map(|metric| kept(metric, ""));
    assert_eq!(counted(&by_outcome), all);
    assert_eq!(all[0], 8);
    for model in [MODEL, OTHER] {
        let of_model = counted(&house.usage(&format!("?keyId=default-key&groupBy=outcome&model={model}")).await);
        assert_eq!(
            [of_model[0], of_model[2]],
            [Metric::Requests, Metric::OutputTokens].map(|metric| kept(metric, model))
        );
    }
}

#[tokio::test]
async fn who_would_be_refused_by_what_is_on_trial_can_be_read_out() {
    let house = House::new().await;
    let one = house.new_string("one", json!({})).await;
    let trial = json!({"restrictions": {"serverKeyRestrictions": {"allowedIps": ["192.0.2.0/24"]}}});
    house.manage("PUT", &format!("{ADMIN}/keys/one/rules"), Some(json!({ "shadow": trial }))).await.ok();
    let limit = json!({"metric": "REQUESTS", "window": "MINUTE", "value": "6", "mode": "SHADOW"});
    house.manage("PUT", &format!("{ADMIN}/limits"), Some(json!({"limits": [limit]}))).await.ok();
    for (address, calls) in [("192.0.2.1", 2), ("203.0.113.5", 3)] {
        for _ in 0..calls {
            assert_eq!(house.knock(&one, Some(address), &[]).await.http, 200, "trials refuse nobody");
        }
    }
    for _ in 0..3 {
        assert_eq!(house.knock(&house.key, None, &[]).await.http, 200);
    }

    let rows = house.usage("?groupBy=key,shadow").await;
    let mut told: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let key = text(row, "/key").rsplit('/').next().unwrap().to_owned();
            (key, text(row, "/shadow"), text(row, "/calls"))
        })
        .collect();
    told.sort();
    let row = |key: &str, shadow: &str, calls: &str| (key.to_owned(), shadow.to_owned(), calls.to_owned());
    assert_eq!(
        told,
        [
            row("default-key", "", "1"),
            row("default-key", "limit_exceeded", "2"),
            row("one", "", "2"),
            row("one", "client", "3"),
        ]
    );
    assert_eq!(house.usage("?shadow=client").await[0]["calls"], "3");

    // The addresses behind them, as the rehearsal of the same rules tells.
    let rehearsal =
        house.manage("POST", "/keylodge/v1/projects/default-project/locations/global/keys/one:rehearse", Some(trial));
    let rehearsal = rehearsal.await.ok();
    assert_eq!(texts(&rehearsal["examples"], "/caller/address"), ["203.0.113.5"]);
    assert_eq!(rehearsal["refusedCalls"], "3");
}
