//! What the supervisor promises of a worker that makes vectors.

use std::future::pending;
use std::time::Duration;

use keylodge_model::{
    Embedder, Embedding, EmbeddingModel, EmbeddingOptions, ModelError, ModelFile, State, WorkerCommand,
};

fn start_with(mode: &str, queue_max: usize) -> Embedder {
    let program = std::env::current_exe().expect("our own path");
    Embedder::Worker(EmbeddingModel::start(EmbeddingOptions {
        model: ModelFile::Path(program.clone()),
        worker: WorkerCommand { program, args: vec!["--fake-worker".into(), mode.into()] },
        window_tokens: 512,
        threads: None,
        queue_max,
        stall: Duration::from_secs(60),
    }))
}

fn start() -> Embedder {
    start_with("embeds", 4)
}

async fn embed(embedder: &Embedder, texts: &[&str]) -> Result<Vec<Embedding>, ModelError> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    embedder.embed("any", &texts, |_| {}).await
}

/// What the fake worker makes of a text.
fn vector(text: &str) -> Embedding {
    Embedding { values: vec![1.0, text.len() as f32], tokens: text.len() as u64 }
}

pub(crate) async fn a_model_of_embeddings_sleeps_until_it_is_asked() {
    let embedder = start();
    assert_eq!((embedder.state(), embedder.gauges().worker_starts), (State::Asleep, 0));

    let info = embedder.wake().await.expect("it is there");

    assert_eq!((info.input_tokens_max, info.dimensions), (100, 2));
    assert_eq!((embedder.state(), embedder.gauges().worker_starts), (State::Ready, 1));
    assert_eq!(start().count("text").await, Ok(7), "every call wakes it");
}

pub(crate) async fn each_text_has_its_vector_in_order() {
    let embedder = start();

    assert_eq!(embed(&embedder, &["one", "three"]).await, Ok(vec![vector("one"), vector("three")]));
    assert_eq!(embed(&embedder, &[]).await, Ok(vec![]));
    let (a, b) = tokio::join!(embed(&embedder, &["a", "b"]), embed(&embedder, &["four"]));
    assert_eq!((a, b), (Ok(vec![vector("a"), vector("b")]), Ok(vec![vector("four")])));
    assert_eq!(embedder.gauges().running, 0);
}

pub(crate) async fn what_was_begun_is_told_to_those_who_leave_before_the_end() {
    let embedder = start();
    embedder.wake().await.expect("it is there");
    let texts = ["three", "begin and stay", "never"].map(str::to_owned);
    let begun = std::cell::RefCell::new(Vec::new());

    tokio::select! {
        ended = embedder.embed("any", &texts, |tokens| begun.borrow_mut().push(tokens)) => panic!("{ended:?}"),
        () = async {
            while begun.borrow().len() < 2 {
                tokio::task::yield_now().await;
            }
        } => {}
    }

    assert_eq!(begun.into_inner(), [5, 14]);
    assert_eq!(embedder.count("text").await, Ok(7), "the worker goes on");
}

pub(crate) async fn a_text_without_end_is_cut_before_it_is_sent() {
    let text = "ü\u{0}".repeat(4 << 20);

    let embedded = embed(&start(), &[&text]).await.expect("a vector");

    assert!((1 << 17..1 << 20).contains(&embedded[0].tokens), "{}", embedded[0].tokens);
}

pub(crate) async fn a_call_is_lost_when_the_worker_dies_and_later_ones_succeed() {
    let embedder = start();
    for deadly in ["die", "of another size", "no numbers", "never begun"] {
        assert_eq!(embed(&embedder, &["fine", deadly, "never"]).await, Err(ModelError::Lost), "{deadly}");

        let after = loop {
            match embed(&embedder, &["after"]).await {
                // It is told so until another worker is started.
                Err(ModelError::Unavailable { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
                other => break other,
            }
        };
        assert_eq!(after, Ok(vec![vector("after")]), "{deadly}");
    }
}

pub(crate) async fn too_many_calls_are_overloaded_and_those_that_leave_make_room() {
    let embedder = start_with("embeds", 0);
    embedder.wake().await.expect("it is there");
    let held = {
        let embedder = embedder.clone();
        tokio::spawn(async move { embed(&embedder, &["stay in the queue"]).await })
    };
    while embedder.gauges().running == 0 {
        tokio::task::yield_now().await;
    }

    assert_eq!(embed(&embedder, &["one"]).await, Err(ModelError::Overloaded));
    held.abort();
    assert!(held.await.is_err_and(|error| error.is_cancelled()));

    assert_eq!(embed(&embedder, &["one"]).await, Ok(vec![vector("one")]));
}

pub(crate) async fn a_model_that_cannot_be_had_says_so_to_every_call() {
    let embedder = start_with("fatal", 4);
    let unavailable = ModelError::Unavailable { reason: "the file is not a GGUF file".to_owned() };

    assert_eq!(embedder.wake().await, Err(unavailable.clone()));
    assert_eq!(embed(&embedder, &["one"]).await, Err(unavailable.clone()));
    assert_eq!(embedder.count("one").await, Err(unavailable));
    assert_eq!(embedder.state(), State::Failed { reason: "the file is not a GGUF file".to_owned() });
}

pub(crate) async fn shutdown_ends_a_model_that_sleeps_and_one_that_does_not() {
    let asleep = start();
    asleep.shutdown().await;
    assert!(matches!(embed(&asleep, &["one"]).await, Err(ModelError::Unavailable { .. })));

    let awake = start();
    awake.wake().await.expect("it is there");
    let lost = tokio::select! {
        biased;
        lost = embed(&awake, &["stay in the queue"]) => lost,
        () = async { awake.shutdown().await; pending().await } => unreachable!("it never ends"),
    };
    assert!(matches!(lost, Err(ModelError::Lost)), "{lost:?}");
}
