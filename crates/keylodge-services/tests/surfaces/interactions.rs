//! The Interactions API.

use axum::body::Body;
use http::Request;
use keylodge_rules::ProjectNumber;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

use crate::support::{Answer, House, MODEL, NOON};

const PATH: &str = "/v1beta/interactions";

/// Answers that end when somebody ends them.
const SLOW: &str = "[[reply]]\ncontains = 'slow'\ntext = 'never said'\ndelay_ms = 60000\n\
                    [[reply]]\ntokens = ['Hel', 'lo', '.']";

fn hi(more: &Value) -> Value {
    let mut body = json!({"model": MODEL, "input": "Hi"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

impl House {
    async fn interact(&self, more: &Value) -> Answer {
        self.gemini(PATH, &hi(more)).await
    }

    async fn of_interactions(&self, method: &str, rest: &str, key: &str) -> Answer {
        let request = Request::builder().method(method).uri(format!("{PATH}{rest}")).header("x-goog-api-key", key);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// A key of a project of its own.
    async fn key_of(&self, project: &str) -> String {
        self.new_project(project).await;
        let keys = format!("/v2/projects/{project}/locations/global/keys?keyId=theirs");
        let made = self.manage("POST", &keys, Some(json!({}))).await.ok();
        made["response"]["keyString"].as_str().unwrap().to_owned()
    }

    async fn look(&self, rest: &str) -> Answer {
        self.of_interactions("GET", rest, &self.key).await
    }

    async fn revised(&self, revision: &str) -> Answer {
        let request = Request::post(PATH).header("x-goog-api-key", &self.key).header("api-revision", revision);
        self.send(request.body(Body::from(hi(&json!({})).to_string())).unwrap()).await
    }
}

/// Status, word and message of an error.
#[track_caller]
fn said_no(answer: &Answer) -> (u16, String, String) {
    let body = answer.json();
    let error = body["error"].as_object().unwrap_or_else(|| panic!("{body}"));
    assert_eq!(error.len(), 2, "a message and a word, nothing else: {body}");
    (answer.http, error["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
}

#[track_caller]
fn word(answer: &Answer) -> (u16, String) {
    let (http, word, _) = said_no(answer);
    (http, word)
}

fn id(interaction: &Value) -> String {
    interaction["id"].as_str().unwrap().to_owned()
}

/// Names and data of a stream's events, without its end.
#[track_caller]
fn events(answer: &Answer) -> Vec<(String, Value)> {
    assert_eq!((answer.http, answer.headers["content-type"].to_str().unwrap()), (200, "text/event-stream"));
    let text = answer.text();
    let told = text.strip_suffix("event: done\ndata: [DONE]\n\n").unwrap_or_else(|| panic!("it ends: {text}"));
    let read = |event: &str| {
        let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["event_type"], name, "clients look for the name in the data");
        (name.to_owned(), data)
    };
    told.split_terminator("\n\n").map(read).collect()
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

fn text(events: &[(String, Value)]) -> String {
    events.iter().filter_map(|(_, data)| data["delta"]["text"].as_str()).collect()
}

#[tokio::test]
async fn an_answer_has_steps_and_is_found_again() {
    let house = House::new().await;

    let made = house.interact(&json!({"service_tier": "standard"})).await;
    let body = made.ok();

    assert_eq!(made.headers["x-keylodge-engine"], "script");
    assert_eq!(
        body,
        json!({
            "id": body["id"],
            "object": "interaction",
            "status": "completed",
            "model": MODEL,
            "created": "2026-01-31T12:00:00Z",
            "updated": "2026-01-31T12:00:00Z",
            "service_tier": "standard",
            "steps": [{"type": "model_output", "content": [{"type": "text", "text": "Hello."}]}],
            "usage": {"total_tokens": 7, "total_input_tokens": 4, "total_output_tokens": 3, "total_thought_tokens": 0,
                "total_cached_tokens": 0, "total_tool_use_tokens": 0,
                "input_tokens_by_modality": [{"modality": "text", "tokens": 4}]},
        })
    );
    assert!(id(&body).starts_with("v1_"), "{body}");
    assert_eq!(house.look(&format!("/{}", id(&body))).await.ok(), body);
    let with_input = house.look(&format!("/{}?include_input=true&stream=false", id(&body))).await.ok();
    assert_eq!(
        with_input["steps"],
        json!([{"type": "user_input", "content": [{"type": "text", "text": "Hi"}]}, body["steps"][0]])
    );
    for path in ["/v1/interactions", "/v1alpha/interactions/"] {
        assert_eq!(house.gemini(path, &hi(&json!({"model": format!("models/{MODEL}")}))).await.http, 200, "{path}");
    }
}

#[tokio::test]
async fn a_conversation_goes_on_from_what_was_kept() {
    let house = House::with_script("[[reply]]\ntokens = ['Hel', 'lo', '.']").await;

    let first = house.interact(&json!({})).await.ok();
    let second = house.interact(&json!({"previous_interaction_id": id(&first)})).await.ok();
    let third = house.interact(&json!({"previous_interaction_id": id(&second)})).await.ok();

    assert_eq!(second["previous_interaction_id"], first["id"]);
    let read = |answer: &Value| answer["usage"]["total_input_tokens"].as_u64().unwrap();
    assert!(read(&first) < read(&second) && read(&second) < read(&third), "{first} {second} {third}");
    assert_eq!(third["steps"].as_array().map(Vec::len), Some(1), "what was said before is not said again");
}

#[tokio::test]
async fn what_was_not_stored_or_is_deleted_or_over_or_another_s_is_not_found() {
    let house = House::new().await;
    let not_found = |answer: &Answer| assert_eq!(word(answer), (404, "not_found".to_owned()));

    let unstored = house.interact(&json!({"store": false})).await.ok();
    not_found(&house.look(&format!("/{}", id(&unstored))).await);
    not_found(&house.interact(&json!({"previous_interaction_id": id(&unstored)})).await);

    let deleted = id(&house.interact(&json!({})).await.ok());
    let after = id(&house.interact(&json!({"previous_interaction_id": deleted})).await.ok());
    assert_eq!(house.of_interactions("DELETE", &format!("/{deleted}"), &house.key).await.ok(), json!({}));
    not_found(&house.look(&format!("/{deleted}")).await);
    not_found(&house.of_interactions("DELETE", &format!("/{deleted}"), &house.key).await);
    not_found(&house.interact(&json!({"previous_interaction_id": after})).await);

    let kept = id(&house.interact(&json!({})).await.ok());
    let strangers = house.key_of("team-blue").await;
    for method in ["GET", "DELETE"] {
        not_found(&house.of_interactions(method, &format!("/{kept}"), &strangers).await);
    }
    not_found(&house.of_interactions("POST", &format!("/{kept}/cancel"), &strangers).await);
    assert_eq!(house.look(&format!("/{kept}")).await.http, 200);

    house.clock.store(NOON + 56 * 24 * 60 * 60 * 1_000_000, Ordering::SeqCst);
    not_found(&house.look(&format!("/{kept}")).await);
    keylodge_services::purge::step(&house.lodge).await.unwrap();
    let project = ProjectNumber::parse("1").unwrap();
    assert_eq!(house.lodge.interactions.chain(project, &kept, house.lodge.now(), 9).await.unwrap(), []);
}

#[tokio::test]
async fn of_too_many_the_oldest_goes() {
    let house = House::new().await;

    let mut ids = Vec::new();
    for second in 0..6 {
        house.clock.store(NOON + second * 1_000_000, Ordering::SeqCst);
        ids.push(id(&house.interact(&json!({})).await.ok()));
    }

    assert_eq!(house.look(&format!("/{}", ids[0])).await.http, 404, "a project keeps five here");
    for kept in &ids[1..] {
        assert_eq!(house.look(&format!("/{kept}")).await.http, 200);
    }
}

#[tokio::test]
async fn what_was_said_is_sealed_on_disk() {
    let house = House::new().await;
    house.interact(&json!({"input": "the secret of the lodge"})).await.ok();
    house.lodge.interactions.close().await;

    for file in ["interactions.db", "interactions.db-wal"] {
        let bytes = std::fs::read(house.folder.path().join(file)).unwrap_or_default();
        for clear in ["the secret of the lodge", "Hello.", "model_output"] {
            assert!(!bytes.windows(clear.len()).any(|window| window == clear.as_bytes()), "{clear} in {file}");
        }
    }
}

#[tokio::test]
async fn a_stream_is_events_of_the_current_revision() {
    let house = House::new().await;

    let answer = house.interact(&json!({"stream": true})).await;

    let events = events(&answer);
    assert_eq!(
        names(&events),
        [
            "interaction.created",
            "interaction.status_update",
            "step.start",
            "step.delta",
            "step.delta",
            "step.delta",
            "step.stop",
            "interaction.completed"
        ]
    );
    assert_eq!(events[0].1["interaction"]["status"], "in_progress");
    assert_eq!(events[2].1["step"], json!({"type": "model_output"}));
    assert_eq!((events[2].1["index"].clone(), text(&events)), (json!(0), "Hello.".to_owned()));
    let completed = &events[7].1["interaction"];
    assert_eq!((&completed["status"], &completed["usage"]["total_tokens"]), (&json!("completed"), &json!(7)));
    let id = completed["id"].as_str().unwrap();
    assert_eq!(house.look(&format!("/{id}")).await.ok()["steps"][0]["content"][0]["text"], "Hello.", "it was kept");

    // After any of them, the rest can be had again.
    for (at, (_, data)) in events.iter().enumerate() {
        let after = data["event_id"].as_str().unwrap();
        let again = house.look(&format!("/{id}?stream=true&last_event_id={after}")).await;
        assert_eq!(text(&self::events(&again)), text(&events[at + 1..]), "after event {at}");
    }
    let wrong = house.look(&format!("/{id}?stream=true&last_event_id=made-up")).await;
    assert_eq!(word(&wrong), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn a_stream_that_breaks_says_so_and_how_it_ended() {
    let house = House::with_script("[[reply]]\ntext = 'one two three'\nstatus = 503\nfail_after = 1").await;

    let events = events(&house.interact(&json!({"stream": true})).await);

    let (_, error) = events.iter().find(|(name, _)| name == "error").unwrap();
    assert_eq!(error["error"]["code"], "service_unavailable");
    let (name, last) = events.last().unwrap();
    assert_eq!((name.as_str(), &last["interaction"]["status"]), ("interaction.completed", &json!("failed")));
    assert_eq!(last["interaction"]["errors"][0]["code"], "service_unavailable");
}

#[tokio::test]
async fn in_the_background_it_is_answered_without_anybody_waiting() {
    let house = House::with_script(SLOW).await;

    let begun = house.interact(&json!({"background": true})).await.ok();
    assert_eq!((&begun["status"], &begun["steps"]), (&json!("in_progress"), &json!([])));
    // A stream follows it to its end, whenever that is.
    let followed = house.look(&format!("/{}?stream=true", id(&begun))).await;
    assert_eq!(text(&events(&followed)), "Hello.");
    let done = house.look(&format!("/{}", id(&begun))).await.ok();
    assert_eq!((&done["status"], &done["steps"][0]["content"][0]["text"]), (&json!("completed"), &json!("Hello.")));

    let streamed = house.interact(&json!({"background": true, "stream": true})).await;
    assert_eq!(text(&events(&streamed)), "Hello.");
    let unstored = house.interact(&json!({"background": true, "store": false})).await;
    assert_eq!(word(&unstored), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn what_is_answered_in_the_background_can_be_ended() {
    let house = House::with_script(SLOW).await;
    let slow = json!({"background": true, "input": "slow"});
    let cancel = async |id: &str| house.of_interactions("POST", &format!("/{id}/cancel"), &house.key).await;

    let begun = id(&house.interact(&slow).await.ok());
    assert_eq!(house.look(&format!("/{begun}")).await.ok()["status"], "in_progress");
    let too_early = house.interact(&json!({"previous_interaction_id": begun})).await;
    assert_eq!(word(&too_early), (400, "failed_precondition".to_owned()));
    assert_eq!(cancel(&begun).await.ok()["status"], "cancelled");
    assert_eq!(house.look(&format!("/{begun}")).await.ok()["status"], "cancelled");
    assert_eq!(word(&cancel(&begun).await), (400, "failed_precondition".to_owned()));

    let begun = id(&house.interact(&slow).await.ok());
    house.of_interactions("DELETE", &format!("/{begun}"), &house.key).await.ok();
    assert_eq!(house.look(&format!("/{begun}")).await.http, 404);
}

#[tokio::test]
async fn one_project_does_not_take_all_the_room_in_the_background() {
    let house = House::with_script(SLOW).await;
    let slow = json!({"background": true, "input": "slow"});
    let theirs = house.key_of("team-blue").await;

    let mut begun = Vec::new();
    for _ in 0..16 {
        begun.push(id(&house.interact(&slow).await.ok()));
    }
    let (http, code, message) = said_no(&house.interact(&slow).await);
    assert_eq!((http, code.as_str()), (429, "rate_limit_exceeded"), "{message}");
    let of_others = Request::post(PATH).header("x-goog-api-key", &theirs);
    assert_eq!(house.send(of_others.body(Body::from(hi(&slow).to_string())).unwrap()).await.http, 200);

    house.lodge.background.stop().await;
    let mut ended = Vec::new();
    for id in begun {
        let found = house.look(&format!("/{id}")).await;
        ended.extend((found.http == 200).then(|| found.json()["status"].clone()));
    }
    assert_eq!(ended, ["cancelled"; 5], "as many as a project may have here");
    assert_eq!(house.interact(&slow).await.http, 200, "room was given back");
}

#[tokio::test]
async fn of_what_is_said_only_that_is_kept() {
    let house = House::new().await;
    let said =
        json!([{"type": "user_input", "note": "x", "content": [{"type": "text", "text": "Hi", "annotations": [1]}]}]);

    let made = house.interact(&json!({"input": said})).await.ok();

    let found = house.look(&format!("/{}?include_input=true", id(&made))).await.ok();
    assert_eq!(found["steps"][0], json!({"type": "user_input", "content": [{"type": "text", "text": "Hi"}]}));
    let deep = (0..120).fold(json!("x"), |inner, _| json!([inner]));
    for (more, field) in [
        (json!({"input": [{"type": "function_call", "id": "a", "name": "f", "arguments": {"x": deep}}]}), "'input'"),
        (json!({"labels": {"a": 1}}), "'labels'"),
        (json!({"labels": {"a": "x".repeat(300)}}), "'labels'"),
        (json!({"previous_interaction_id": "x".repeat(300)}), "'previous_interaction_id'"),
    ] {
        let (http, _, message) = said_no(&house.interact(&more).await);
        assert!(http == 400 && message.contains(field), "{field}: {message}");
    }
}

#[tokio::test]
async fn what_a_stop_left_unanswered_has_failed_after_the_next_start() {
    let house = House::with_script(SLOW).await;
    let begun = id(&house.interact(&json!({"background": true, "input": "slow"})).await.ok());

    // As after a start: nobody in this process answers it.
    assert_eq!(keylodge_services::settle_interactions(&house.lodge).await.unwrap(), 1);

    let project = house.lodge.interactions.in_progress().await.unwrap();
    assert_eq!(project, []);
    // The one that still answers it here comes too late.
    house.of_interactions("POST", &format!("/{begun}/cancel"), &house.key).await.ok();
    let found = house.look(&format!("/{begun}")).await.ok();
    assert_eq!((&found["status"], &found["errors"][0]["code"]), (&json!("failed"), &json!("aborted")));
}

#[tokio::test]
async fn the_revision_before_is_refused_and_never_answered_wrongly() {
    let house = House::new().await;

    for revision in ["2026-05-20", "2026-06-01"] {
        assert_eq!(house.revised(revision).await.ok()["status"], "completed", "{revision}");
    }
    let (http, code, message) = said_no(&house.revised("2026-05-07").await);
    assert_eq!((http, code.as_str()), (400, "invalid_request"));
    assert!(message.starts_with("The legacy Interactions API schema is no longer supported."), "{message}");
    assert_eq!(word(&house.revised("newest").await), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn errors_have_words() {
    let house = House::new().await;
    let with = |key: &str| {
        let request = Request::post(PATH).header("x-goog-api-key", key);
        house.send(request.body(Body::from(hi(&json!({})).to_string())).unwrap())
    };

    let wrong = said_no(&with("nonsense").await);
    assert_eq!(
        wrong,
        (400, "invalid_request".to_owned(), "API key not valid. Please pass a valid API key.".to_owned())
    );
    assert_eq!(word(&with("").await), (403, "permission_denied".to_owned()));
    for (more, http, code) in [
        (json!({"made_up": 1}), 400, "parameter_unknown"),
        (json!({"input": null}), 400, "invalid_request"),
        (json!({"model": "none"}), 404, "model_not_found"),
        (json!({"previous_interaction_id": "v1_none"}), 404, "not_found"),
        (json!({"generation_config": {"temperature": 9}}), 400, "invalid_request"),
    ] {
        assert_eq!(word(&house.interact(&more).await), (http, code.to_owned()), "{more}");
    }
    assert_eq!(word(&house.look("/v1_none").await), (404, "not_found".to_owned()));
    assert_eq!(word(&house.look("").await), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn what_the_model_cannot_do_is_named_where_the_caller_wrote_it() {
    let house = House::new().await;
    let image = json!({"type": "image", "data": "aGk=", "mime_type": "image/png"});
    let text = json!({"type": "text", "text": "Look"});
    let step = json!({"type": "user_input", "content": [text, image]});
    let unique = json!({"type": "array", "uniqueItems": true});
    let function =
        json!({"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": unique}}});
    let format = json!({"type": "text", "mime_type": "application/json", "schema": unique});
    let any = json!({"tool_choice": "any"});

    for (more, place) in [
        (json!({"input": image}), "'input'"),
        (json!({"input": [text, image]}), "'input[1]'"),
        (json!({"input": step}), "'input.content[1]'"),
        (json!({"input": [step, step]}), "'input[1].content[1]'"),
        (json!({"tools": [{"type": "google_search"}]}), "'tools[0]'"),
        (
            json!({"tools": [{"type": "google_search"}, function], "generation_config": any}),
            "'tools[1].parameters.properties[a].uniqueItems'",
        ),
        (json!({"response_format": [format]}), "'response_format[0].schema.uniqueItems'"),
        (json!({"response_format": unique}), "'response_format.uniqueItems'"),
        (json!({"generation_config": any}), "'generation_config.tool_choice'"),
        (json!({"generation_config": {"temperature": 9}}), "* generation_config.temperature:"),
        (json!({"response_modalities": ["image"]}), "'response_modalities'"),
        (json!({"cached_content": "cachedContents/a"}), "'cached_content'"),
    ] {
        let (http, word, message) = said_no(&house.interact(&more).await);
        assert_eq!((http, word.as_str()), (400, "invalid_request"), "{message}");
        assert!(message.contains(place), "{more}: {message}");
    }
}
