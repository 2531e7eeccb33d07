//! A test runner of a few lines, for test binaries that are also the worker they test.

#![expect(clippy::print_stdout, reason = "the results of tests belong there")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A promise and the test that holds it.
pub(crate) type Test = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>);

/// Nothing here should take a minute; this is for a machine that is busy with something else.
const TIME_MAX: Duration = Duration::from_secs(300);

/// Lists tests by the names of their functions.
#[macro_export]
macro_rules! tests {
    ($($(#[$when:meta])* $name:path),* $(,)?) => {
        &[$($(#[$when])* (stringify!($name), || Box::pin($name()))),*]
    };
}

/// Runs the tests whose names contain one of the arguments, or lists them, as cargo's own runner does.
pub(crate) fn run(tests: &[Test]) -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    if has("--list") {
        for (name, _) in tests.iter().filter(|_| !has("--ignored")) {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| {
        filters.is_empty()
            || filters
                .iter()
                .any(|filter| if has("--exact") { name == filter.as_str() } else { name.contains(filter.as_str()) })
    };

    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests.iter().filter(|(name, _)| wanted(name) && !has("--ignored")) {
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| run_one(*test)));
        let seconds = start.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => passed += 1,
            Err(_) => failed += 1,
        }
        println!("test {name} ... {} ({seconds:.1} s)", if outcome.is_ok() { "ok" } else { "FAILED" });
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_one(test: fn() -> Pin<Box<dyn Future<Output = ()>>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let within_time = runtime.block_on(async { tokio::time::timeout(TIME_MAX, test()).await });
    within_time.expect("the test ends in time");
}
