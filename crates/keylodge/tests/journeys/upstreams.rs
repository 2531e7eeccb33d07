//! Models that are elsewhere: a server that speaks the Gemini API as Google's does, and one that speaks OpenAI's chat
//! completions as Ollama does. Both are real processes; callers speak Gemini to either.

use serde_json::{Value, json};

use crate::support::http::{Answer, Request, get, post, request};
use crate::support::manage::Owner;
use crate::support::server::{Server, scripted};
use crate::support::until;
use crate::support::upstream::{Upstream, header};

pub(crate) const OURS: &str = "our-own-key-at-the-upstream";
pub(crate) const CLAMPED: &str = "x-keylodge-max-output-tokens";
const FLASH: &str = "gemini-2.5-flash";
/// What either upstream answers where nothing caps it.
const ANSWER_TOKENS: u64 = 20;

pub(crate) struct Lodge {
    pub(crate) server: Server,
    pub(crate) key: String,
    pub(crate) upstream: Upstream,
}

/// A server with these models, in front of an upstream that is called `there`.
fn lodge(script: &str, kind: &str, base: &str, models: &str) -> Lodge {
    lodge_with_prices(script, kind, base, models, "'*' = '0 in, 1000 out'")
}

/// The same with these prices.
fn lodge_with_prices(script: &str, kind: &str, base: &str, models: &str, prices: &str) -> Lodge {
    let upstream = Upstream::start(script, &[OURS, "second-key", "busy-key"]);
    let start = scripted();
    let secret = start.folder().write("secret", OURS);
    let settings = format!(
        "[models]\n{models}\n[prices]\n{prices}\n\
         [upstreams.there]\nkind = '{kind}'\nurl = 'http://127.0.0.1:{}{base}'\nkey_file = '{}'\nsilence_seconds_max = 1\n",
        upstream.port,
        secret.display()
    );
    let server = start.settings(&settings).up();
    let key = server.key();
    Lodge { server, key, upstream }
}

pub(crate) fn google() -> Lodge {
    lodge("google_like.py", "gemini", "", "'mine' = 'script'\n'fast' = 'there/gemini-2.5-flash'\n'*' = 'there'")
}

pub(crate) fn ollama() -> Lodge {
    lodge("ollama_like.py", "openai", "/v1", "'gemini-2.5-flash' = 'there/qwen3:8b'\n'*' = 'there'")
}

impl Lodge {
    pub(crate) fn call(&self, request: Request) -> Answer {
        self.server.call(&request.key(&self.key))
    }

    /// A budget of so many dollars a day, for the project.
    pub(crate) fn budget(&self, dollars: &str) {
        self.limit(&json!({"metric": "COST", "window": "DAY", "value": dollars}));
    }

    /// A limit for the project.
    pub(crate) fn limit(&self, limit: &Value) {
        let limits = json!({ "limits": [limit] });
        let path = "/keylodge/v1/projects/default-project/limits";
        Owner::of(&self.server).call(request("PUT", path).body(limits.to_string())).good();
    }
}

fn call(model: &str, verb: &str, body: &Value) -> Request {
    post(format!("/v1beta/models/{model}:{verb}"), body)
}

fn hi() -> Value {
    json!({"contents": [{"parts": [{"text": "Hi"}]}]})
}

fn capped(tokens: u64) -> Value {
    json!({"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": tokens}})
}

/// The text of the first candidate.
#[track_caller]
fn text(answer: &Value) -> &str {
    answer["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {answer}"))
}

/// The chunks of a stream of server-sent events.
#[track_caller]
fn events(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let lines = text.lines().filter(|line| !line.is_empty());
    let json = |line: &str| serde_json::from_str(line.strip_prefix("data: ").expect("only data")).expect("JSON");
    lines.map(json).collect()
}

/// How many chunks there are, and why the last one is the last.
#[track_caller]
fn end(chunks: &[Value]) -> (usize, String) {
    let reason = |chunk: &Value| chunk["candidates"][0]["finishReason"].as_str().map(str::to_owned);
    let (last, before) = chunks.split_last().expect("chunks");
    assert!(before.iter().all(|chunk| reason(chunk).is_none()), "only the last says why: {chunks:?}");
    (chunks.len(), reason(last).unwrap_or_else(|| panic!("no end in {last}")))
}

#[test]
fn a_call_of_gemini_goes_through_byte_for_byte_with_our_key() {
    let lodge = google();
    let odd = "{\"contents\": [ {\"parts\":[{\"text\":\"Gr\u{fc}ezi\"}]} ],\r\n \"labels\": {\"a\": \"b\"} }";

    let request = request("POST", "/v1beta/models/gemini-2.5-flash:generateContent").body(odd);
    let request = request.header("x-goog-api-client", "google-genai-sdk/1.70.0").header("accept-encoding", "gzip");
    let answer = lodge.call(request).good();

    let seen: Value = serde_json::from_str(text(&answer.json())).expect("it tells what it was sent");
    assert_eq!(
        (&seen["body"], &seen["path"]),
        (&json!(odd), &json!("/v1beta/models/gemini-2.5-flash:generateContent"))
    );
    assert_eq!(header(&seen, "x-goog-api-key"), [OURS]);
    assert_eq!(header(&seen, "x-goog-api-client"), ["google-genai-sdk/1.70.0"]);
    assert_eq!(header(&seen, "accept-encoding"), ["identity"], "counts are read in passing");
    assert_eq!(answer.header("x-keylodge-engine"), Some("there"));
    assert_eq!(answer.header(CLAMPED), None);
}

#[test]
fn a_name_can_stand_for_another_and_a_star_for_all_others() {
    let lodge = google();
    let path = |model: &str| {
        let answer = lodge.call(call(model, "generateContent", &hi())).good().json();
        let seen: Value = serde_json::from_str(text(&answer)).expect("it tells what it was sent");
        seen["path"].as_str().expect("a path").to_owned()
    };

    assert_eq!(path("fast"), "/v1beta/models/gemini-2.5-flash:generateContent");
    assert_eq!(path("whatever-comes-next"), "/v1beta/models/whatever-comes-next:generateContent");
    assert_eq!(lodge.call(call("mine", "generateContent", &hi())).good().header("x-keylodge-engine"), Some("script"));

    let list = lodge.call(get("/v1beta/models")).good().json();
    let names: Vec<_> = list["models"].as_array().expect("a list").iter().map(|model| model["name"].clone()).collect();
    assert_eq!(names, ["models/mine", "models/fast", "models/gemini-2.5-flash", "models/like-google"]);
    assert_eq!(lodge.call(get("/v1beta/models/like-google")).good().json()["displayName"], "like-google");
    assert_eq!(lodge.call(get("/v1beta/models/no-such")).status, 404);
    let tuned = lodge.call(post("/v1beta/tunedModels/x:generateContent", &hi()));
    assert_eq!(tuned.status, 404, "what is tuned is somebody's own");
}

#[test]
fn the_other_methods_of_models_go_through_too_and_batches_do_not() {
    let lodge = google();

    assert_eq!(lodge.call(call(FLASH, "countTokens", &hi())).good().json(), json!({"totalTokens": 5}));
    let embedded = lodge.call(call(FLASH, "embedContent", &json!({"content": {"parts": [{"text": "Hi"}]}})));
    assert_eq!(embedded.good().json()["embedding"]["values"], json!([0.5, 0.25]));
    let batch = lodge.call(call(FLASH, "batchGenerateContent", &json!({})));
    assert_eq!(batch.status, 404, "what a batch takes is beyond any limit here");
}

#[test]
fn streams_come_as_events_and_as_an_array() {
    for lodge in [google(), ollama()] {
        let answer = lodge.call(call(FLASH, "streamGenerateContent?alt=sse", &hi())).good();
        let (count, reason) = end(&events(&answer));
        assert!(count as u64 >= ANSWER_TOKENS && reason == "STOP", "{}", answer.text());
        assert_eq!(answer.header("alt-svc"), None, "that is about the upstream's house");

        let answer = lodge.call(call(FLASH, "streamGenerateContent", &hi())).good().json();
        let (_, reason) = end(answer.as_array().expect("an array"));
        assert_eq!(reason, "STOP");
    }
}

#[test]
fn a_budget_shortens_answers_says_so_and_is_charged_what_they_took() {
    for lodge in [google(), ollama()] {
        // A token of output costs a thousandth of a dollar.
        lodge.budget("0.030");

        let whole = lodge.call(call(FLASH, "generateContent", &capped(100))).good();
        assert_eq!(whole.header(CLAMPED), Some("30"));
        assert_eq!(whole.json()["usageMetadata"]["candidatesTokenCount"], ANSWER_TOKENS);

        let rest = lodge.call(call(FLASH, "streamGenerateContent?alt=sse", &hi())).good();
        assert_eq!(rest.header(CLAMPED), Some("10"), "20 of 30 are used");
        let chunks = events(&rest);
        assert_eq!(end(&chunks).1, "MAX_TOKENS");

        let refused = lodge.call(call(FLASH, "generateContent", &hi()));
        assert_eq!((refused.status, &refused.json()["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
        let sent: Vec<_> = lodge.upstream.seen().iter().map(|seen| seen["body"].clone()).collect();
        assert_eq!(sent.len(), 2, "what is refused is not sent");
        assert!(
            sent[0].as_str().is_some_and(|body| body.contains("30")),
            "the cap is the one thing that changes: {sent:?}"
        );
        assert_eq!(sent[0].as_str().map(|body| body.contains("Hi")), Some(true));
    }
}

#[test]
fn a_stream_that_goes_on_past_its_cap_is_ended_at_the_budget_with_a_proper_last_chunk() {
    for lodge in [google(), ollama()] {
        lodge.budget("0.010");

        let sse = lodge.call(call("endless", "streamGenerateContent?alt=sse", &hi())).good();

        let chunks = events(&sse);
        let (count, reason) = end(&chunks);
        assert!(reason == "MAX_TOKENS" && (10..=13).contains(&count), "{count} chunks, {reason}");
        until("the upstream knows that nobody listens", || lodge.upstream.seen()[0]["left"] == true);
    }
    let lodge = google();
    lodge.budget("0.010");
    let array = lodge.call(call("endless", "streamGenerateContent", &hi())).good().json();
    assert_eq!(end(array.as_array().expect("an array")).1, "MAX_TOKENS");
}

#[test]
fn a_caller_who_leaves_ends_the_call_at_the_upstream() {
    for lodge in [google(), ollama()] {
        let mut connection = lodge.server.connect();
        connection.begin(&call("endless", "streamGenerateContent?alt=sse", &hi()).key(&lodge.key));
        connection.piece().expect("it begins");
        drop(connection);

        until("the upstream knows that nobody listens", || lodge.upstream.seen()[0]["left"] == true);
    }
}

#[test]
fn a_stream_that_dies_ends_as_its_form_allows() {
    let lodge = google();
    let mut connection = lodge.server.connect();
    let broken = connection.try_call(&call("dies", "streamGenerateContent?alt=sse", &hi()).key(&lodge.key));
    assert!(broken.is_err(), "what is relayed breaks off as it broke off: {broken:?}");

    let lodge = ollama();
    let answer = lodge.call(call("dies", "streamGenerateContent?alt=sse", &hi())).good();
    let last = events(&answer).pop().expect("an event");
    assert_eq!((&last["error"]["code"], &last["error"]["status"]), (&json!(503), &json!("UNAVAILABLE")), "{last}");
}

#[test]
fn an_upstream_that_falls_silent_in_the_middle_of_an_answer_is_given_up() {
    let lodge = google();
    let mut connection = lodge.server.connect();

    let broken = connection.try_call(&call("silent", "streamGenerateContent?alt=sse", &hi()).key(&lodge.key));

    assert!(broken.is_err(), "{broken:?}");
}

#[test]
fn a_key_that_lets_no_call_through_gives_way_to_another() {
    let lodge = google();
    let path = "/keylodge/v1/upstreams/there/credentials";
    let mut owner = Owner::of(&lodge.server);
    for (id, key) in [("busy", "busy-key"), ("second", "second-key")] {
        let body = json!({"displayName": id, "secret": key, "quotaProject": id});
        owner.call(post(path, &body)).good();
    }

    for _ in 0..6 {
        lodge.call(call(FLASH, "generateContent", &hi())).good();
    }

    let with: Vec<String> = lodge.upstream.seen().iter().map(|seen| header(seen, "x-goog-api-key").concat()).collect();
    assert!(with.iter().filter(|key| *key == "busy-key").count() <= 1, "it cools down: {with:?}");
    assert!(with.contains(&"second-key".to_owned()) && with.contains(&OURS.to_owned()), "the others share: {with:?}");
}

#[test]
fn what_a_server_of_chat_completions_can_do_is_done_in_gemini_s_words() {
    let lodge = ollama();
    let tools = json!([{"functionDeclarations": [{"name": "weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}}]}]);
    let asked =
        json!({"contents": hi()["contents"], "tools": tools, "systemInstruction": {"parts": [{"text": "Be brief."}]}});
    let called = lodge.call(call(FLASH, "generateContent", &asked)).good().json();
    let part = &called["candidates"][0]["content"]["parts"];
    let function = part.as_array().and_then(|parts| parts.iter().find_map(|part| part.get("functionCall")));
    assert_eq!(function.map(|function| &function["args"]), Some(&json!({"city": "Basel"})), "{called}");

    let schema = json!({"type": "OBJECT", "properties": {"city": {"type": "STRING"}}});
    let config = json!({"responseMimeType": "application/json", "responseSchema": schema});
    let asked = json!({"contents": hi()["contents"], "generationConfig": config});
    let said = lodge.call(call(FLASH, "generateContent", &asked)).good().json();
    assert_eq!(text(&said), "{\"city\": \"Basel\"}");

    let image = json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}});
    let asked = json!({"contents": [{"role": "user", "parts": [{"text": "What is it?"}, image]}]});
    lodge.call(call(FLASH, "generateContent", &asked)).good();
    let sent = lodge.upstream.seen().pop().expect("three calls");
    let chat: Value = serde_json::from_str(sent["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(chat["messages"][0]["content"][1]["image_url"]["url"], "data:image/png;base64,iVBORw0KGgo=", "{chat}");
    assert_eq!((&chat["model"], sent["path"].as_str()), (&json!("qwen3:8b"), Some("/v1/chat/completions")));
    assert_eq!(header(&sent, "authorization"), [format!("Bearer {OURS}")]);
}

#[test]
fn what_it_cannot_do_is_refused_by_name() {
    let lodge = ollama();

    let refused = lodge.call(call(
        FLASH,
        "generateContent",
        &json!({"contents": hi()["contents"], "cachedContent": "cachedContents/1"}),
    ));
    assert_eq!(
        (refused.status, refused.json()["error"]["details"][0]["fieldViolations"][0]["field"].clone()),
        (400, json!("cached_content"))
    );
    let gone = lodge.call(call("no-such-model", "generateContent", &hi()));
    assert_eq!((gone.status, &gone.json()["error"]["status"]), (404, &json!("NOT_FOUND")));
    assert_eq!(lodge.call(call(FLASH, "countTokens", &hi())).status, 404);
    let models = lodge.call(get("/v1beta/models")).good().json();
    assert_eq!(models["models"][0]["supportedGenerationMethods"], json!(["generateContent", "bidiGenerateContent"]));
    assert_eq!(models["models"][1]["name"], "models/qwen3:8b");
}

#[test]
fn an_upstream_that_is_gone_is_unavailable_and_costs_nothing() {
    for mut lodge in [google(), ollama()] {
        lodge.budget("0.030");
        lodge.upstream.stop();

        let gone = lodge.call(call(FLASH, "generateContent", &hi()));

        assert_eq!((gone.status, &gone.json()["error"]["status"]), (503, &json!("UNAVAILABLE")), "{}", gone.text());
        let again = lodge.call(call(FLASH, "generateContent", &hi()));
        assert_eq!(again.status, 503, "what was reserved was given back");
    }
}

#[test]
fn no_caller_can_have_the_counts_left_out_of_an_answer() {
    let lodge = google();
    lodge.budget("0.030");

    for query in ["fields=candidates", "$fields=candidates", "alt=proto", "$alt=media"] {
        let refused = lodge.call(call(FLASH, &format!("generateContent?{query}"), &hi()));
        let field = &refused.json()["error"]["details"][0]["fieldViolations"][0]["field"];
        assert!(refused.status == 400 && query.contains(field.as_str().expect("a field")), "{}", refused.text());
    }
    assert_eq!(lodge.upstream.seen(), Vec::<Value>::new());

    let odd = call(FLASH, "generateContent?callback=x&$.xgafv=1&anything=1&prettyPrint=false", &capped(30));
    lodge.call(odd.header("x-goog-fieldmask", "candidates").header("x-http-method-override", "GET")).good();
    let seen = &lodge.upstream.seen()[0];
    assert_eq!(seen["path"], "/v1beta/models/gemini-2.5-flash:generateContent?prettyPrint=false");
    for gone in ["x-goog-fieldmask", "x-http-method-override"] {
        assert_eq!(header(seen, gone), Vec::<&str>::new());
    }
    let rest = lodge.call(call(FLASH, "generateContent", &capped(30))).good();
    assert_eq!(rest.header(CLAMPED), Some("10"), "20 of 30 were counted");
}

#[test]
fn who_gives_a_call_up_before_its_answer_has_it_charged_all_the_same() {
    for lodge in [google(), ollama()] {
        lodge.budget("0.030");

        let late = lodge.call(call("slow", "generateContent", &capped(20)).header("x-server-timeout", "0.3"));
        assert_eq!(late.status, 504, "{}", late.text());
        let mut connection = lodge.server.connect();
        connection.send(&call("slow", "generateContent", &capped(5)).key(&lodge.key));
        until("it is sent", || lodge.upstream.seen().len() == 2);
        drop(connection);
        until("the upstream knows that nobody listens", || lodge.upstream.seen()[1]["left"] == true);

        let rest = lodge.call(call(FLASH, "generateContent", &capped(20))).good();
        assert_eq!(rest.header(CLAMPED), Some("5"), "25 of 30 may have been made");
    }
}

#[test]
fn an_answer_in_one_piece_comes_whole_even_where_it_is_longer_than_was_asked_for() {
    for lodge in [google(), ollama()] {
        lodge.budget("0.010");

        let whole = lodge.call(call("over", "generateContent", &capped(10))).good().json();

        assert_eq!(whole["usageMetadata"]["candidatesTokenCount"], ANSWER_TOKENS, "{whole}");
        assert_eq!(lodge.call(call(FLASH, "generateContent", &capped(1))).status, 429, "and is charged as it is");
    }
}

#[test]
fn a_limit_in_shadow_changes_nothing_of_a_call() {
    for lodge in [google(), ollama()] {
        lodge.limit(&json!({"metric": "OUTPUT_TOKENS", "window": "DAY", "value": "5", "mode": "SHADOW"}));

        let stream = lodge.call(call("over", "streamGenerateContent?alt=sse", &capped(5))).good();

        let (count, reason) = end(&events(&stream));
        assert!(count as u64 >= ANSWER_TOKENS && reason == "STOP", "{}", stream.text());
        assert_eq!(stream.header(CLAMPED), None);
        lodge.call(call(FLASH, "generateContent", &hi())).good();
        let sent = lodge.upstream.seen()[1]["body"].as_str().expect("text").to_lowercase();
        assert!(!sent.contains("max"), "{sent}");
    }
}

#[test]
fn an_answer_that_does_not_say_what_it_took_is_charged_what_was_reserved_and_an_error_nothing() {
    let lodge = ollama();
    lodge.budget("0.030");

    let sorry = lodge.call(call("sorry", "generateContent", &hi()));
    assert_eq!(sorry.status, 503, "{}", sorry.text());
    let sorry = lodge.call(call("sorry", "streamGenerateContent?alt=sse", &hi()));
    assert_eq!(events(&sorry)[0]["error"]["code"], 503, "{}", sorry.text());
    let mute = lodge.call(call("mute", "generateContent", &capped(20))).good();
    assert_eq!((mute.header(CLAMPED), mute.json().get("usageMetadata")), (None, None));

    let rest = lodge.call(call(FLASH, "generateContent", &capped(20))).good();
    assert_eq!(rest.header(CLAMPED), Some("10"), "20 of 30 were reserved");
}

#[test]
fn what_google_says_of_our_key_never_reaches_a_caller() {
    let lodge = google();

    for model in ["suspended", "leaky"] {
        for verb in ["generateContent", "streamGenerateContent?alt=sse"] {
            let answer = lodge.call(call(model, verb, &hi()));
            assert_eq!((answer.status, answer.text().contains(OURS)), (503, false), "{}", answer.text());
        }
    }
}

#[test]
fn a_budget_lets_nothing_through_that_has_no_price() {
    let (models, prices) = ("'*' = 'there'", "'qwen3:8b' = '0 in, 1000 out'");
    for lodge in [
        lodge_with_prices("google_like.py", "gemini", "", models, prices),
        lodge_with_prices("ollama_like.py", "openai", "/v1", models, prices),
    ] {
        lodge.call(call("over", "generateContent", &hi())).good();
        lodge.budget("0.030");

        let refused = lodge.call(call("over", "generateContent", &hi()));
        let error = &refused.json()["error"];
        assert_eq!((refused.status, &error["status"]), (400, &json!("FAILED_PRECONDITION")), "{}", refused.text());
        assert_eq!(lodge.upstream.seen().len(), 1, "it was not sent");
        lodge.call(call("qwen3:8b", "generateContent", &hi())).good();
    }
}

#[test]
fn a_body_may_name_the_model_as_the_path_does_and_no_other() {
    let lodge = google();
    let embed = |name: &str| json!({"requests": [{"model": name, "content": {"parts": [{"text": "Hi"}]}}]});

    lodge.call(call("fast", "batchEmbedContents", &embed("models/fast"))).good();
    let sent = lodge.upstream.seen()[0]["body"].as_str().expect("text").to_owned();
    assert!(sent.contains("\"models/gemini-2.5-flash\"") && !sent.contains("models/fast"), "{sent}");
    assert_eq!(lodge.call(call("fast", "batchEmbedContents", &embed("models/dear"))).status, 400);
    lodge.budget("0.030");
    assert_eq!(lodge.call(call("cheap", "embedContent", &json!({"model": "models/dear"}))).status, 400);
    assert_eq!(lodge.call(call("%2E%2E", "generateContent", &hi())).status, 404);
    assert_eq!(lodge.call(call(&"x".repeat(101), "generateContent", &hi())).status, 404);
    assert_eq!(lodge.upstream.seen().len(), 1);
}

#[test]
fn tokens_of_upstreams_are_in_the_metrics_and_texts_to_embed_are_charged_by_what_they_can_be() {
    for lodge in [google(), ollama()] {
        lodge.call(call(FLASH, "generateContent", &hi())).good();
        lodge.call(call(FLASH, "streamGenerateContent?alt=sse", &hi())).good();
        let metrics = Owner::of(&lodge.server).call(get("/metrics")).good().text();
        for line in ["keylodge_tokens_total{direction=\"input\"} 10", "keylodge_tokens_total{direction=\"output\"} 40"]
        {
            assert!(metrics.contains(line), "{line} in {metrics}");
        }
    }

    let lodge = google();
    lodge.limit(&json!({"metric": "INPUT_TOKENS", "window": "DAY", "value": "100"}));
    let embed = json!({"requests": [{"content": {"parts": [{"text": "x".repeat(60)}]}}]});
    lodge.call(call(FLASH, "batchEmbedContents", &embed)).good();
    assert_eq!(lodge.call(call(FLASH, "batchEmbedContents", &embed)).status, 429, "the answer says no counts");
}
