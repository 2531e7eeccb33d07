//! What the supervisor promises, whatever its worker does. The worker is this same binary, see `fake_worker`.

#[path = "../runner/mod.rs"]
mod runner;

mod embedding;
mod fake_worker;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use keylodge_model::{
    Embedded, EmbeddedOptions, Engine, Event, Finish, Generate, Generation, ModelError, ModelFile, Prompt, Role,
    Sampling, Shape, State, Turn, WorkerCommand,
};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("--fake-worker") {
        fake_worker::run(&args.next().expect("a mode"));
        return ExitCode::SUCCESS;
    }
    #[cfg(not(feature = "llama"))]
    if std::env::args().any(|arg| arg == "--worker") {
        return keylodge_model::worker::run(keylodge_model::worker::WorkerOptions {
            task: keylodge_model::worker::Task::Generate,
            model: "none".into(),
            slots: 1,
            window_tokens: 2,
            threads: 1,
        });
    }
    runner::run(tests![
        #[cfg(not(feature = "llama"))]
        a_build_without_the_model_fails_and_says_so,
        an_answer_comes_in_pieces_and_ends,
        a_prompt_is_counted,
        calls_while_the_model_loads_are_told_so_at_once,
        a_fatal_worker_fails_the_engine_with_its_reason_and_is_not_restarted,
        a_missing_model_file_fails_the_engine,
        a_missing_worker_program_fails_the_engine,
        a_call_is_lost_when_the_worker_dies_and_the_next_one_succeeds,
        a_call_is_lost_when_the_worker_is_killed_from_outside,
        every_kind_of_nonsense_loses_the_call_and_the_next_one_succeeds,
        a_worker_that_hangs_is_killed_after_the_stall_time,
        a_schema_in_which_the_worker_hung_twice_is_refused_from_then_on,
        a_schema_is_not_to_blame_for_a_worker_that_hangs_elsewhere,
        a_worker_that_hangs_while_loading_is_killed_after_the_stall_time,
        calls_that_wait_are_lost_too,
        a_full_queue_is_overloaded,
        a_dropped_generation_is_cancelled,
        a_call_dropped_before_it_started_is_cancelled,
        a_slow_reader_stalls_nobody_and_loses_nothing,
        a_cap_is_clamped_to_the_engines,
        refusals_arrive_as_they_are,
        a_prompt_too_long_for_a_frame_is_refused_without_the_worker,
        odd_sampling_numbers_do_not_break_the_worker,
        shutdown_ends_the_worker_and_the_calls,
        dropping_the_last_handle_ends_the_worker,
        embedding::a_model_of_embeddings_sleeps_until_it_is_asked,
        embedding::each_text_has_its_vector_in_order,
        embedding::what_was_begun_is_told_to_those_who_leave_before_the_end,
        embedding::a_text_without_end_is_cut_before_it_is_sent,
        embedding::a_call_is_lost_when_the_worker_dies_and_later_ones_succeed,
        embedding::too_many_calls_are_overloaded_and_those_that_leave_make_room,
        embedding::a_model_that_cannot_be_had_says_so_to_every_call,
        embedding::shutdown_ends_a_model_that_sleeps_and_one_that_does_not,
    ])
}

fn options(mode: &str) -> EmbeddedOptions {
    assert!(fake_worker::MODES.contains(&mode));
    let program = std::env::current_exe().expect("our own path");
    EmbeddedOptions {
        model: ModelFile::Path(program.clone()),
        worker: WorkerCommand { program, args: vec!["--fake-worker".into(), mode.into()] },
        slots: 2,
        window_tokens: 2048,
        output_tokens_max: 50,
        threads: None,
        queue_max: 2,
        stall: Duration::from_secs(60),
    }
}

fn start(mode: &str) -> Engine {
    Engine::Embedded(Embedded::start(options(mode)))
}

async fn ready() -> Engine {
    let engine = start("good");
    assert_eq!(engine.ready().await, State::Ready);
    engine
}

fn prompt(text: &str) -> Prompt {
    Prompt { system: None, turns: vec![Turn { role: Role::User, text: text.to_owned() }] }
}

fn asking(text: &str) -> Generate {
    Generate {
        model: "any".to_owned(),
        prompt: prompt(text),
        sampling: Sampling::default(),
        output_tokens_max: 50,
        stop: vec![],
        grammar: None,
    }
}

async fn generate(engine: &Engine, text: &str) -> Generation {
    engine.generate(asking(text)).await.expect("a generation")
}

/// Everything the generation says: the text, then how it ended.
async fn read(generation: &mut Generation) -> (String, Result<(Finish, u64), ModelError>) {
    let mut said = String::new();
    loop {
        match generation.next().await.expect("an end before the stream is over") {
            Ok(Event::Piece { text, .. }) => said.push_str(&text),
            Ok(Event::Finished { reason, output_tokens }) => return (said, Ok((reason, output_tokens))),
            Err(error) => return (said, Err(error)),
        }
    }
}

async fn says_hello(engine: &Engine) {
    assert_eq!(engine.ready().await, State::Ready);
    let (text, end) = read(&mut generate(engine, "hello").await).await;
    assert_eq!((text.as_str(), end), ("Hello", Ok((Finish::Stop, 2))));
}

async fn worker_process(engine: &Engine) -> u64 {
    engine.count("any", &prompt("which process?")).await.expect("a process id")
}

fn is_alive(process: u64) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

async fn an_answer_comes_in_pieces_and_ends() {
    let engine = ready().await;

    let mut generation = generate(&engine, "hello").await;

    assert_eq!(generation.prompt_tokens, 3);
    assert_eq!(generation.next().await, Some(Ok(Event::Piece { text: "Hel".to_owned(), output_tokens: 1 })));
    assert_eq!(generation.next().await, Some(Ok(Event::Piece { text: "lo".to_owned(), output_tokens: 2 })));
    assert_eq!(generation.next().await, Some(Ok(Event::Finished { reason: Finish::Stop, output_tokens: 2 })));
    assert_eq!(generation.next().await, None);
    let info = engine.info();
    assert_eq!((info.input_tokens_max, info.output_tokens_max), (99, 50));
    assert_eq!(engine.gauges().worker_starts, 1);
}

async fn a_prompt_is_counted() {
    let engine = ready().await;

    assert_eq!(engine.count("any", &prompt("x")).await, Ok(7));
}

async fn calls_while_the_model_loads_are_told_so_at_once() {
    let engine = start("silent");

    let loading = ModelError::Loading { what: "loading the model".to_owned() };
    assert_eq!(engine.count("any", &prompt("x")).await, Err(loading.clone()));
    assert_eq!(engine.generate(asking("hello")).await.err(), Some(loading));
    assert_eq!(engine.state(), State::Starting { what: "loading the model".to_owned() });
}

async fn a_fatal_worker_fails_the_engine_with_its_reason_and_is_not_restarted() {
    let engine = start("fatal");

    let reason = "the file is not a GGUF file".to_owned();
    assert_eq!(engine.ready().await, State::Failed { reason: reason.clone() });
    assert_eq!(engine.generate(asking("hello")).await.err(), Some(ModelError::Unavailable { reason }));
    assert_eq!(engine.gauges().worker_starts, 1);
    engine.shutdown().await;
}

#[cfg(not(feature = "llama"))]
async fn a_build_without_the_model_fails_and_says_so() {
    let program = std::env::current_exe().expect("our own path");
    let worker = WorkerCommand { program, args: vec!["--worker".into()] };
    let by_path = Engine::Embedded(Embedded::start(EmbeddedOptions { worker, ..options("good") }));
    let model = ModelFile::Default { cache_dir: "/nowhere".into(), may_fetch: true };
    let by_name = Engine::Embedded(Embedded::start(EmbeddedOptions { model, ..options("good") }));

    for engine in [by_path, by_name] {
        let State::Failed { reason } = engine.ready().await else { panic!("it is ready") };
        assert!(reason.contains("this build has no embedded model"), "{reason}");
    }
}

async fn a_missing_model_file_fails_the_engine() {
    let model = ModelFile::Path("/nowhere/tiny.gguf".into());
    let engine = Engine::Embedded(Embedded::start(EmbeddedOptions { model, ..options("good") }));

    let State::Failed { reason } = engine.ready().await else { panic!("it is ready") };
    assert!(reason.contains("/nowhere/tiny.gguf"), "{reason}");
    assert_eq!(engine.info().name, "tiny");
}

async fn a_missing_worker_program_fails_the_engine() {
    let worker = WorkerCommand { program: "/nowhere/keylodge".into(), args: vec![] };
    let engine = Engine::Embedded(Embedded::start(EmbeddedOptions { worker, ..options("good") }));

    let State::Failed { reason } = engine.ready().await else { panic!("it is ready") };
    assert!(reason.contains("/nowhere/keylodge could not be started"), "{reason}");
}

async fn a_call_is_lost_when_the_worker_dies_and_the_next_one_succeeds() {
    let engine = ready().await;

    let (text, end) = read(&mut generate(&engine, "die").await).await;

    assert_eq!((text.as_str(), end), ("Hel", Err(ModelError::Lost)));
    says_hello(&engine).await;
    assert_eq!(engine.gauges().worker_starts, 2);
}

async fn a_call_is_lost_when_the_worker_is_killed_from_outside() {
    let engine = ready().await;
    let process = worker_process(&engine).await;
    let mut generation = generate(&engine, "go on for ever").await;

    let killed = Command::new("kill").args(["-9", &process.to_string()]).status().expect("a kill");
    assert!(killed.success());

    assert_eq!(read(&mut generation).await.1, Err(ModelError::Lost));
    says_hello(&engine).await;
}

async fn every_kind_of_nonsense_loses_the_call_and_the_next_one_succeeds() {
    let nonsense = ["talk garbage", "send a huge frame", "speak for another", "speak twice", "flood", "leave"];
    let engine = ready().await;
    for (lost, kind) in nonsense.iter().enumerate() {
        let (_, end) = read(&mut generate(&engine, kind).await).await;

        assert_eq!(end, Err(ModelError::Lost), "{kind}");
        says_hello(&engine).await;
        assert_eq!(engine.gauges().worker_starts, lost as u64 + 2, "{kind}");
    }
}

async fn a_worker_that_hangs_is_killed_after_the_stall_time() {
    let stall = Duration::from_secs(2);
    let engine = Engine::Embedded(Embedded::start(EmbeddedOptions { stall, ..options("good") }));
    assert_eq!(engine.ready().await, State::Ready);
    let process = worker_process(&engine).await;

    let (text, end) = read(&mut generate(&engine, "hang").await).await;

    assert_eq!((text.as_str(), end), ("Hel", Err(ModelError::Lost)));
    says_hello(&engine).await;
    assert!(!is_alive(process));
}

/// The same request, held to the shape of this constant.
fn held_to(constant: &str, request: Generate) -> Generate {
    Generate { grammar: Shape::constant(constant.into()).grammar().ok(), ..request }
}

async fn a_schema_in_which_the_worker_hung_twice_is_refused_from_then_on() {
    let stall = Duration::from_secs(2);
    let engine = Engine::Embedded(Embedded::start(EmbeddedOptions { stall, ..options("good") }));
    assert_eq!(engine.ready().await, State::Ready);
    let mut once = engine.generate(held_to("stuck", asking("hang in the grammar"))).await.expect("a generation");
    assert_eq!(read(&mut once).await.1, Err(ModelError::Lost), "once may have had another reason");
    assert_eq!(engine.ready().await, State::Ready);
    let mut beside = engine.generate(held_to("fine", asking("go on for ever"))).await.expect("a generation");

    let mut hung = engine.generate(held_to("stuck", asking("hang in the grammar"))).await.expect("a generation");

    let (_, end) = read(&mut hung).await;
    assert!(matches!(&end, Err(ModelError::BadSchema { reason }) if reason.contains("hung")), "{end:?}");
    assert_eq!(read(&mut beside).await.1, Err(ModelError::Lost), "it can be asked again");
    assert_eq!(engine.ready().await, State::Ready);
    let again = engine.generate(held_to("stuck", asking("hello"))).await.err();
    assert_eq!(again, end.err());
    let mut other = engine.generate(held_to("fine", asking("hello"))).await.expect("a generation");
    assert_eq!(read(&mut other).await.1, Ok((Finish::Stop, 2)));
    assert_eq!(engine.gauges().worker_starts, 3);
}

async fn a_schema_is_not_to_blame_for_a_worker_that_hangs_elsewhere() {
    let stall = Duration::from_secs(2);
    let engine = Engine::Embedded(Embedded::start(EmbeddedOptions { stall, ..options("good") }));
    assert_eq!(engine.ready().await, State::Ready);

    let hanging = engine.generate(held_to("fine", asking("follow the grammar and hang"))).await;

    assert_eq!(read(&mut hanging.expect("a generation")).await.1, Err(ModelError::Lost));
    assert_eq!(engine.ready().await, State::Ready);
    assert!(engine.generate(held_to("fine", asking("hello"))).await.is_ok());
}

async fn a_worker_that_hangs_while_loading_is_killed_after_the_stall_time() {
    let stall = Duration::from_millis(50);
    let engine = Engine::Embedded(Embedded::start(EmbeddedOptions { stall, ..options("silent") }));

    while engine.gauges().worker_starts < 3 {
        tokio::task::yield_now().await;
    }
}

async fn calls_that_wait_are_lost_too() {
    let engine = ready().await;
    let waiting = asking("stay in the queue");
    let dying = async { read(&mut generate(&engine, "die").await).await };

    let (waited, _) = tokio::join!(engine.generate(waiting), dying);

    assert_eq!(waited.err(), Some(ModelError::Lost));
}

async fn a_full_queue_is_overloaded() {
    let engine = ready().await;
    let mut running = Vec::new();
    for _ in 0..4 {
        running.push(generate(&engine, "go on for ever").await);
    }
    assert_eq!(engine.gauges().running, 4);

    assert_eq!(engine.generate(asking("hello")).await.err(), Some(ModelError::Overloaded));

    assert_eq!(engine.count("any", &prompt("x")).await, Ok(7));
    running.pop();
    says_hello(&engine).await;
}

async fn a_dropped_generation_is_cancelled() {
    let engine = ready().await;

    drop(generate(&engine, "go on for ever").await);

    assert_eq!(engine.gauges().running, 0);
    assert_eq!(engine.count("any", &prompt("how many cancels?")).await, Ok(1));
}

async fn a_call_dropped_before_it_started_is_cancelled() {
    let engine = ready().await;

    // Counted after it in the same stream of requests, so the worker has it in hand by then.
    let prompt_x = prompt("x");
    let counted = tokio::select! {
        biased;
        _ = engine.generate(asking("stay in the queue")) => panic!("it started"),
        counted = engine.count("any", &prompt_x) => counted,
    };

    assert_eq!(counted, Ok(7));
    assert_eq!(engine.gauges().waiting, 0);
    assert_eq!(engine.count("any", &prompt("how many cancels?")).await, Ok(1));
}

async fn a_slow_reader_stalls_nobody_and_loses_nothing() {
    let engine = ready().await;
    let mut slow = generate(&engine, "use the whole cap").await;

    says_hello(&engine).await;

    let (text, end) = read(&mut slow).await;
    assert_eq!((text.len(), end), (52, Ok((Finish::MaxTokens, 50))));
}

async fn a_cap_is_clamped_to_the_engines() {
    let engine = ready().await;

    let request = Generate { output_tokens_max: u32::MAX, ..asking("use the whole cap") };
    let mut generation = engine.generate(request).await.expect("a generation");

    assert_eq!(read(&mut generation).await.1, Ok((Finish::MaxTokens, 50)));
}

async fn refusals_arrive_as_they_are() {
    let engine = ready().await;

    let too_long = engine.generate(asking("too long")).await.err();
    assert_eq!(too_long, Some(ModelError::PromptTooLong { tokens: 500, tokens_max: 99 }));
    let bad_schema = engine.generate(asking("bad schema")).await.err();
    assert_eq!(bad_schema, Some(ModelError::BadSchema { reason: "no".to_owned() }));
    assert_eq!(engine.gauges().worker_starts, 1);
}

async fn a_prompt_too_long_for_a_frame_is_refused_without_the_worker() {
    let engine = ready().await;

    let huge = "x".repeat(5 << 20);

    let refused = engine.generate(asking(&huge)).await.err();
    assert!(matches!(refused, Some(ModelError::PromptTooLong { tokens_max: 99, tokens: 1_000_000.. })), "{refused:?}");
    says_hello(&engine).await;
}

async fn odd_sampling_numbers_do_not_break_the_worker() {
    let engine = ready().await;

    let sampling = Sampling { temperature: f32::NAN, top_p: f32::INFINITY, ..Sampling::default() };
    let mut generation = engine.generate(Generate { sampling, ..asking("hello") }).await.expect("a generation");

    assert_eq!(read(&mut generation).await.0, "Hello");
    assert_eq!(engine.gauges().worker_starts, 1);
}

async fn shutdown_ends_the_worker_and_the_calls() {
    let engine = ready().await;
    let process = worker_process(&engine).await;
    let mut generation = generate(&engine, "go on for ever").await;

    engine.shutdown().await;

    assert!(!is_alive(process));
    assert_eq!(read(&mut generation).await.1, Err(ModelError::Lost));
    assert!(matches!(engine.generate(asking("hello")).await.err(), Some(ModelError::Unavailable { .. })));
    assert!(matches!(engine.state(), State::Failed { .. }));
    engine.shutdown().await;
}

async fn dropping_the_last_handle_ends_the_worker() {
    let engine = ready().await;
    let process = worker_process(&engine).await;
    let mut generation = generate(&engine, "go on for ever").await;

    drop(engine);

    assert_eq!(read(&mut generation).await.1, Err(ModelError::Lost));
    while is_alive(process) {
        tokio::task::yield_now().await;
    }
}
