//! Sessions: how they begin, what is said in them, and how they end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use keylodge_gate::Clock;
use keylodge_rules::Timestamp;
use keylodge_services::relay::Kind;
use keylodge_services::{LiveLimits, Upstreams};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::{CONSTRAINED, SCRIPT, SERVICE, setup};
use crate::support::{EMBEDDING_MODEL, House, NOON};
use crate::upstreams::settings;
use crate::visitor::HOUR;
#[tokio::test]
async fn a_turn_is_told_as_google_tells_it() {
    let house = House::with_script(SCRIPT).await;
    let mut client = house.session(&json!({})).await;

    client.tell("Hi").await;

    let piece = |text: &str| json!({"serverContent": {"modelTurn": {"parts": [{"text": text}], "role": "model"}}});
    let turn = client.turn().await;
    let [first, second, third, generated, complete] = &turn[..] else { panic!("{turn:?}") };
    assert_eq!([first, second, third], [&piece("Hel"), &piece("lo"), &piece(".")]);
    assert_eq!(generated, &json!({"serverContent": {"generationComplete": true}}));
    assert_eq!(complete["serverContent"], json!({"turnComplete": true}));
    let usage = &complete["usageMetadata"];
    let count = |name: &str| usage[name].as_u64().unwrap_or_else(|| panic!("{name} in {usage}"));
    assert_eq!(count("promptTokenCount") + count("responseTokenCount"), count("totalTokenCount"));
    let mut names: Vec<_> = usage.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = ["promptTokenCount", "promptTokensDetails", "responseTokenCount", "totalTokenCount"];
    assert_eq!(names, expected, "Live has names of its own");
}

#[tokio::test]
async fn every_spelling_of_the_path_and_of_messages_opens_a_session() {
    let house = House::with_script(SCRIPT).await;
    for version in ["v1", "v1beta", "v1alpha"] {
        for rest in ["GenerativeService.BidiGenerateContent", "GenerativeService/BidiGenerateContent"] {
            for slashes in ["/", "//"] {
                let path = format!("{slashes}ws/google.ai.generativelanguage.{version}.{rest}?key={}", house.key);
                let mut client = house.connect(&path, &[]).await;
                client.set_up(&json!({"system_instruction": {"parts": [{"text": "Be brief."}]}})).await;
                client.say(&json!({"realtime_input": {"text": "Hi"}})).await;
                assert_eq!(client.turn().await.len(), 5, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn what_was_said_goes_along_and_more_can_be_said_before_the_model_answers() {
    let house = House::with_script(SCRIPT).await;
    let mut client = house.session(&json!({})).await;

    let (_, first) = client.ask("My name is Ada").await;
    let more = json!([{"role": "user", "parts": [{"text": "I live in a house with a garden"}]}]);
    client.say(&json!({"clientContent": {"turns": more}})).await;
    let (said, second) = client.ask("Who am I").await;

    assert_eq!(said, "Hello.");
    assert!(second > first + 5, "{second} tokens after {first}");
}

#[tokio::test]
async fn what_is_said_meanwhile_interrupts() {
    let house = House::with_script(SCRIPT).await;
    let mut client = house.session(&json!({})).await;

    client.tell("slow").await;
    client.tell("Hi").await;

    let interrupted = client.turn().await;
    assert_eq!(
        interrupted,
        [json!({"serverContent": {"interrupted": true}}), json!({"serverContent": {"turnComplete": true}})]
    );
    assert_eq!(client.turn().await.len(), 5, "and then the new turn is answered");
}

#[tokio::test]
async fn what_opens_nothing_is_closed_with_google_s_code_after_the_first_message() {
    let house = House::with_script(SCRIPT).await;
    let token = house.make_token(&json!({})).await;
    let stranger = format!("auth_tokens/{}", "x".repeat(43));
    let check = async |path: &str, key: Option<&str>, code: u16, begins: &str| {
        let headers: Vec<_> = key.iter().map(|key| ("x-goog-api-key", *key)).collect();
        let mut client = house.connect(path, &headers).await;
        client.say(&setup(&json!({}))).await;
        let (closed, reason) = client.closed().await;
        assert_eq!(closed, code, "{path} {key:?}: {reason}");
        assert!(reason.starts_with(begins) && reason.len() <= 123, "{reason}");
    };
    check(SERVICE, None, 1008, "Method doesn't allow unregistered callers").await;
    check(SERVICE, Some("kl_wrong"), 1007, "API key not valid.").await;
    check(SERVICE, Some(&house.token), 1007, "API key not valid.").await;
    check(SERVICE, Some(&token), 1008, "Method doesn't allow unregistered callers").await;
    check(CONSTRAINED, Some(&house.key), 1008, "Method doesn't allow unregistered callers").await;
    check(CONSTRAINED, None, 1008, "Method doesn't allow unregistered callers").await;
    check(CONSTRAINED, Some(&stranger), 1008, "Ephemeral token not valid.").await;
}

#[tokio::test]
async fn what_cannot_be_had_is_closed_with_its_name() {
    let house = House::with_script(SCRIPT).await;
    let check = async |message: Value, code: u16, holds: &str| {
        let mut client = house.connect(SERVICE, &[("x-goog-api-key", &house.key)]).await;
        client.say(&message).await;
        let (closed, reason) = client.closed().await;
        assert_eq!(closed, code, "{message}: {reason}");
        assert!(reason.contains(holds), "{message}: {reason}");
    };
    let with = |more: Value| setup(&more);
    check(with(json!({"model": "models/nobody"})), 1008, "models/nobody is not found for API version v1beta").await;
    let embeddings = json!({"model": EMBEDDING_MODEL});
    check(with(embeddings), 1008, "or is not supported for bidiGenerateContent").await;
    check(with(json!({"model": ""})), 1007, "model is not specified").await;
    check(with(json!({"nonsense": 1})), 1007, "Unknown name \"nonsense\"").await;
    check(with(json!({"generationConfig": {"responseModalities": ["AUDIO"]}})), 1007, "response_modalities").await;
    check(with(json!({"tools": [{"googleSearch": {}}]})), 1007, "setup.tools").await;
    check(json!({"clientContent": {"turnComplete": true}}), 1007, "setup").await;
    check(json!({"sepup": {}}), 1007, "Unknown name").await;
    check(json!({"setup": {}, "clientContent": {}}), 1007, "setup").await;
    check(with(json!({"sessionResumption": {"handle": "nobody's"}})), 1008, "not known").await;
}

#[tokio::test]
async fn what_a_session_cannot_take_ends_it() {
    let house = House::with_script(SCRIPT).await;
    let check = async |message: Message, code: u16, holds: &str| {
        let mut client = house.session(&json!({})).await;
        client.0.send(message.clone()).await.unwrap();
        let (closed, reason) = client.closed().await;
        assert_eq!(closed, code, "{message}: {reason}");
        assert!(reason.contains(holds), "{message}: {reason}");
    };
    let json = |message: Value| Message::text(message.to_string());
    let audio = json!({"realtimeInput": {"audio": {"data": "AA==", "mimeType": "audio/pcm"}}});
    check(json(audio), 1007, "realtime_input.audio").await;
    let tools = json!({"toolResponse": {"functionResponses": [{"name": "f", "response": {}}]}});
    check(json(tools), 1007, "tool_response").await;
    check(json(setup(&json!({}))), 1007, "first message").await;
    check(Message::text("{nonsense"), 1007, "Invalid JSON payload").await;
    check(Message::binary(vec![0xff; 3]), 1007, "Invalid JSON payload").await;
    check(Message::text("x".repeat(crate::support::BODY_BYTES_MAX + 1)), 1009, "bytes").await;
    check(json(json!({"clientContent": {"turnComplete": true}})), 1007, "contents is not specified").await;
    let overloaded = json!({"clientContent": {"turns": [{"parts": [{"text": "overloaded"}]}], "turnComplete": true}});
    check(json(overloaded), 1011, "overloaded").await;
}

#[tokio::test]
async fn a_session_goes_on_in_another_connection_for_the_same_key_alone() {
    let house = House::with_script(SCRIPT).await;
    let other = house.new_string("other", json!({})).await;
    let mut client = house.session(&json!({"sessionResumption": {"transparent": true}})).await;
    let (_, first) = client.ask("My name is Ada and I live in a house with a garden").await;
    let update = client.hear().await["sessionResumptionUpdate"].clone();
    assert_eq!((&update["resumable"], &update["lastConsumedClientMessageIndex"]), (&json!(true), &json!("1")));
    let handle = json!({"sessionResumption": {"handle": update["newHandle"]}});
    drop(client);

    let mut again = house.session(&handle).await;
    let (_, second) = again.ask("Hi").await;

    assert!(second > first, "{second} tokens after {first}");
    let mut stranger = house.connect(SERVICE, &[("x-goog-api-key", &other)]).await;
    stranger.say(&setup(&handle)).await;
    assert_eq!(stranger.closed().await.0, 1008);
    house.wait(2 * HOUR);
    let mut late = house.connect(SERVICE, &[("x-goog-api-key", &house.key)]).await;
    late.say(&setup(&handle)).await;
    assert_eq!(late.closed().await.0, 1008);
}

#[tokio::test]
async fn a_session_is_in_flight_all_along_and_each_turn_counts() {
    let house = House::with_script(SCRIPT).await;
    let limits = json!([
        {"metric": "REQUESTS", "window": "IN_FLIGHT", "value": "1"},
        {"metric": "REQUESTS", "window": "DAY", "value": "2"},
    ]);
    let path = "/keylodge/v1/projects/default-project/limits";
    house.manage("PUT", path, Some(json!({ "limits": limits }))).await.ok();

    let mut client = house.session(&json!({})).await;
    let mut second = house.connect(SERVICE, &[("x-goog-api-key", &house.key)]).await;
    second.say(&setup(&json!({}))).await;
    let (code, reason) = second.closed().await;
    assert!(code == 1011 && reason.starts_with("You exceeded your current quota"), "{code} {reason}");
    client.ask("Hi").await;
    client.ask("Hi").await;
    client.tell("Hi").await;
    let (code, reason) = client.closed().await;
    assert!(code == 1011 && reason.starts_with("You exceeded your current quota"), "{code} {reason}");
}

#[tokio::test]
async fn a_session_is_warned_before_it_is_as_long_as_one_may_be() {
    let live = LiveLimits { session_time_max: Duration::from_millis(500), ..LiveLimits::default() };
    let house = House::with_live(live).await;
    let mut client = house.session(&json!({})).await;

    assert_eq!(client.hear().await, json!({"goAway": {"timeLeft": "1s"}}));
    assert_eq!(client.closed().await.0, 1000);
}

#[tokio::test]
async fn there_are_as_many_sessions_as_the_settings_say_and_room_again_when_one_ends() {
    let house = House::with_live(LiveLimits { sessions_max: 1, ..LiveLimits::default() }).await;
    let mut first = house.session(&json!({})).await;

    let mut second = house.connect(SERVICE, &[("x-goog-api-key", &house.key)]).await;
    second.say(&setup(&json!({}))).await;
    let (code, reason) = second.closed().await;
    assert!(code == 1011 && reason.contains("as many sessions"), "{code} {reason}");
    first.0.close(None).await.unwrap();
    while first.0.next().await.is_some() {}
    loop {
        let mut third = house.connect(SERVICE, &[("x-goog-api-key", &house.key)]).await;
        third.say(&setup(&json!({}))).await;
        if matches!(third.0.next().await, Some(Ok(Message::Binary(_)))) {
            break;
        }
    }
}

#[tokio::test]
async fn what_asks_for_no_websocket_is_told_so() {
    let house = House::new().await;
    let get = async |path: &str| {
        let request = Request::get(path).header("x-goog-api-key", &house.key);
        house.send(request.body(Body::empty()).unwrap()).await.refused()
    };

    assert_eq!(get(SERVICE).await, (400, "INVALID_ARGUMENT".to_owned()));
    assert_eq!(get("/ws/google.ai.generativelanguage.v1.GenerativeService.Nothing").await.0, 404);
}

#[tokio::test]
async fn when_the_program_stops_sessions_are_told() {
    let house = House::with_script(SCRIPT).await;
    let mut client = house.session(&json!({})).await;

    let (closed, ()) = tokio::join!(client.closed(), house.lodge.live.hang_up());

    assert_eq!(closed.0, 1001);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_whoever_has_said_nothing_yet() {
    let house = House::with_script(SCRIPT).await;
    let mut silent = house.connect(SERVICE, &[]).await;
    let began = Instant::now();

    house.lodge.live.hang_up().await;

    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(silent.closed().await.0, 1001);
}

#[tokio::test]
async fn whoever_pings_and_reads_no_answers_is_not_listened_to() {
    let house = House::with_script(SCRIPT).await;
    let mut client = house.connect(SERVICE, &[]).await;

    // What the pipes take without anybody reading is some hundred thousand bytes.
    for _ in 0..20_000 {
        let ping = Message::Ping(vec![0; 125].into());
        if timeout(Duration::from_millis(300), client.0.send(ping)).await.is_err() {
            return;
        }
    }
    panic!("all were taken");
}

#[tokio::test]
async fn without_a_key_a_large_first_message_is_refused_before_it_is_there() {
    let house = House::with_bodies(1024 * 1024).await;
    let mut client = house.connect(SERVICE, &[]).await;

    // The head of a message in bytes, as long as one with a key may be.
    let mut head = vec![0x82, 0xff];
    head.extend((1024_u64 * 1024).to_be_bytes());
    head.extend([0; 4]);
    client.0.get_mut().write_all(&head).await.unwrap();

    let (code, reason) = client.closed().await;
    assert!(code == 1008 && reason.starts_with("Method doesn't allow unregistered callers"), "{code} {reason}");
}

#[tokio::test]
async fn a_client_that_says_goodbye_is_answered() {
    let house = House::with_script(SCRIPT).await;
    let mut client = house.session(&json!({})).await;

    client.0.send(Message::Close(None)).await.unwrap();

    let answer = client.0.next().await;
    assert!(matches!(answer, Some(Ok(Message::Close(_)))), "{answer:?}");
}

#[tokio::test]
async fn a_message_that_interrupted_is_consumed_once_it_is_answered() {
    let house = House::with_script(SCRIPT).await;
    let mut client = house.session(&json!({"sessionResumption": {"transparent": true}})).await;

    client.tell("slow").await;
    client.tell("Hi").await;

    for index in ["1", "2"] {
        client.turn().await;
        let update = client.hear().await;
        assert_eq!(update["sessionResumptionUpdate"]["lastConsumedClientMessageIndex"], index);
    }
}

#[tokio::test]
async fn at_an_upstream_only_a_limit_that_counts_what_the_model_uses_keeps_a_session_out() {
    let clock: Clock = Arc::new(|| Timestamp::from_micros(NOON));
    // Nobody is there, so a session that was let in ends with a fault.
    let there = settings("there", Kind::Gemini, "http://127.0.0.1:1");
    let house = House::with_upstreams(Upstreams::new(vec![(there, Some("ours".to_owned()))], &clock).unwrap()).await;
    let check = async |limit: Value, code: u16| {
        let path = "/keylodge/v1/projects/default-project/limits";
        house.manage("PUT", path, Some(json!({ "limits": [limit] }))).await.ok();
        let mut client = house.connect(SERVICE, &[("x-goog-api-key", &house.key)]).await;
        client.say(&setup(&json!({"model": "models/gemini-live"}))).await;
        let (closed, reason) = client.closed().await;
        assert_eq!(closed, code, "{limit}: {reason}");
        assert_eq!(reason.starts_with("A limit of tokens or money"), code == 1008, "{limit}: {reason}");
    };
    let limit = |more: Value| {
        let mut limit = json!({"metric": "INPUT_TOKENS", "window": "DAY", "value": "1000"});
        limit.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        limit
    };
    check(limit(json!({})), 1008).await;
    check(limit(json!({"model": "gemini-live"})), 1008).await;
    check(limit(json!({"model": "another"})), 1011).await;
    check(limit(json!({"mode": "SHADOW"})), 1011).await;
    check(limit(json!({"metric": "REQUESTS"})), 1011).await;
}

/// A house in front of a model that first calls a function and then says what it learned.
async fn that_calls() -> House {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let call = json!({"index": 0, "id": "a", "type": "function", "function": {"name": "now", "arguments": "{}"}});
        let deltas = [(json!({"tool_calls": [call]}), "tool_calls"), (json!({"content": "It is noon."}), "stop")];
        for (delta, reason) in deltas {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 16 * 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0, "a request comes");
            let chunk = json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}});
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            let answer = format!("{head}data: {chunk}\n\ndata: [DONE]\n\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let clock: Clock = Arc::new(|| Timestamp::from_micros(NOON));
    let there = settings("there", Kind::OpenAi, &url);
    House::with_upstreams(Upstreams::new(vec![(there, None)], &clock).unwrap()).await
}

#[tokio::test]
async fn a_turn_that_calls_a_function_is_over_once_its_result_is_answered() {
    let house = that_calls().await;
    let mut client = house.connect(SERVICE, &[("x-goog-api-key", &house.key)]).await;
    let tools = json!([{"functionDeclarations": [{"name": "now"}]}]);
    client.set_up(&json!({"model": "models/elsewhere", "tools": tools})).await;

    client.tell("What time is it?").await;
    let call = client.hear().await["toolCall"]["functionCalls"][0].clone();
    assert_eq!(call["name"], "now");
    let result = json!({"id": call["id"], "name": "now", "response": {"time": "noon"}});
    client.say(&json!({"toolResponse": {"functionResponses": [result]}})).await;

    let mut turn = client.turn().await;
    turn.iter_mut().for_each(|message| drop(message.as_object_mut().unwrap().remove("usageMetadata")));
    turn.retain(|message| *message != json!({}));
    let piece = json!({"modelTurn": {"parts": [{"text": "It is noon."}], "role": "model"}});
    let content = [piece, json!({"generationComplete": true}), json!({"turnComplete": true})];
    assert_eq!(turn, content.map(|content| json!({"serverContent": content})));
}

#[tokio::test]
async fn a_long_answer_is_not_taken_for_silence_of_the_client() {
    let house = House::with_script("[[reply]]\ntokens = ['1', '2', '3', '4', '5', '6']\ndelay_ms = 60000").await;
    let mut client = house.session(&json!({})).await;
    // From here on time moves by itself as soon as everybody waits.
    tokio::time::pause();

    assert_eq!(client.ask("Hi").await.0, "123456", "after six minutes");
}

#[tokio::test]
async fn a_client_that_says_nothing_for_five_minutes_is_idle() {
    let house = House::with_script(SCRIPT).await;
    let mut client = house.session(&json!({})).await;
    client.ask("Hi").await;
    tokio::time::pause();

    let (code, reason) = client.closed().await;

    assert!(code == 1000 && reason.starts_with("Nothing came for 300 seconds"), "{code} {reason}");
}
