//! Where log lines go: to stderr, for people on a terminal, as JSON otherwise.

use std::io::IsTerminal as _;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// A JSON object a line.
    Json,
}

/// Starts writing log lines, once for the process.
pub(crate) fn start(format: Format, level: LevelFilter) {
    // Other people's crates speak up only when something is wrong: at finer levels they print headers and queries.
    let filter = Targets::new().with_default(LevelFilter::WARN.min(level)).with_targets(
        ["keylodge", "keylodge_client", "keylodge_gate", "keylodge_model", "keylodge_services", "keylodge_store"]
            .map(|ours| (ours, level)),
    );
    let human = match format {
        Format::Auto => std::io::stderr().is_terminal(),
        Format::Human => true,
        Format::Json => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if human {
        lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).with_filter(filter).boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).with_filter(filter).boxed()
    };
    // A second start in one process (a test) keeps the first one's.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}
