//! What the embedded model of embeddings promises, tried on the default one.

use std::time::Duration;

use keylodge_model::{Embedder, Embedding, EmbeddingModel, EmbeddingOptions, ModelError, ModelFile, State};

use super::{model, options};

/// How long fetching and converting the model may take.
const FETCH_MAX: Duration = Duration::from_secs(250);

async fn embedder_of(model: ModelFile) -> Embedder {
    let embedder = Embedder::Worker(EmbeddingModel::start(EmbeddingOptions {
        worker: options().worker,
        model,
        window_tokens: 512,
        threads: Some(1),
        queue_max: 32,
        stall: Duration::from_secs(200),
    }));
    let woken = async {
        // A call does not wait until the model is fetched.
        while let Err(ModelError::Loading { .. }) = embedder.wake().await {}
    };
    tokio::time::timeout(FETCH_MAX, woken).await.expect("the model is there");
    embedder
}

async fn embedder() -> Embedder {
    let embedder = embedder_of(model()).await;
    assert_eq!(embedder.state(), State::Ready);
    embedder
}

async fn embed(embedder: &Embedder, texts: &[&str]) -> Vec<Embedding> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    embedder.embed("any", &texts, |_| {}).await.expect("vectors")
}

fn cosine(a: &Embedding, b: &Embedding) -> f32 {
    a.values.iter().zip(&b.values).map(|(a, b)| a * b).sum()
}

pub(crate) async fn near_texts_have_near_vectors() {
    let embedder = embedder().await;
    let texts = [
        "How do I bake bread?",
        "A recipe for a loaf with flour, water and yeast",
        "My server does not start after the update",
        "The machine fails to boot since the upgrade",
    ];

    let [bread, loaf, server, machine] = <[_; 4]>::try_from(embed(&embedder, &texts).await).expect("four");

    assert_eq!(bread.values.len(), 384);
    for vector in [&bread, &loaf, &server, &machine] {
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-4);
    }
    let (near, far) = (cosine(&bread, &loaf).min(cosine(&server, &machine)), cosine(&bread, &machine));
    assert!(near > 0.4 && far < 0.2, "near {near}, far {far}");
    assert!(cosine(&loaf, &server) < 0.2);
    // A shorter vector still knows.
    let [bread, loaf, machine] = [bread, loaf, machine].map(|vector| vector.cut(64));
    assert_eq!(bread.values.len(), 64);
    assert!(cosine(&bread, &loaf) > cosine(&bread, &machine) + 0.2);
    let info = embedder.info();
    assert_eq!((info.name.as_str(), info.input_tokens_max, info.dimensions), ("all-MiniLM-L6-v2", 256, 384));
    embedder.shutdown().await;
}

/// The vector that the original weights give, unpacked, checked against a plain implementation of the model.
pub(crate) async fn vectors_are_those_of_the_original_model() {
    let original: Vec<f32> = serde_json::from_str(include_str!("password.json")).expect("numbers");
    let original = Embedding { values: original, tokens: 9 };

    let vectors = embed(&embedder().await, &["How do I reset my password?"]).await;

    assert_eq!(vectors[0].tokens, original.tokens);
    assert!(cosine(&vectors[0], &original) > 0.999, "{}", cosine(&vectors[0], &original));
}

pub(crate) async fn a_text_has_one_vector_wherever_it_stands() {
    let embedder = embedder().await;

    let alone = embed(&embedder, &["a magic backpack"]).await;
    let among = embed(&embedder, &["one", "a magic backpack", "a much longer text about something else"]).await;

    assert_eq!(alone[0], among[1]);
    assert_eq!(alone[0].tokens, embedder.count("a magic backpack").await.expect("a count"));
}

pub(crate) async fn a_long_text_is_read_up_to_the_limit_and_counted_whole() {
    let embedder = embedder().await;
    let long = "backpack ".repeat(3000);

    let vectors = embed(&embedder, &[&long, &format!("{long} and a dragon")]).await;

    assert_eq!(vectors[0].tokens, 256);
    assert_eq!(vectors[0], vectors[1], "what comes after the limit changes nothing");
    let counted = embedder.count(&long).await.expect("a count");
    assert!(counted >= 3002, "{counted}");
}

pub(crate) async fn odd_texts_have_vectors_too() {
    let embedder = embedder().await;
    let unbroken = "x".repeat(1 << 20);

    for text in ["", " ", "[CLS] [SEP]", "Grüß Gott! 你好 🎒", "\u{0}\u{feff}", &unbroken] {
        let vectors = embed(&embedder, &[text]).await;
        assert!((cosine(&vectors[0], &vectors[0]) - 1.0).abs() < 1e-4, "{:?}", text.get(..20));
    }
}

pub(crate) async fn a_model_of_another_kind_is_refused_by_name() {
    // It is there once another test had it; fetching it is not what is tested here.
    let ModelFile::Default { cache_dir, .. } = model() else { panic!("the default model") };
    let path = cache_dir.join("SmolLM2-135M-Instruct.Q4_1.gguf");
    if !path.is_file() {
        return;
    }

    let embedder = embedder_of(ModelFile::Path(path)).await;

    let State::Failed { reason } = embedder.state() else { panic!("{:?}", embedder.state()) };
    assert!(reason.ends_with("it makes no vectors (its family is 'llama', and not BERT's)"), "{reason}");
}
