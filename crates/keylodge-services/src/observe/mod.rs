//! What is seen of each request: a name for it, one log line, metrics. Never a key, a query, a body or a prompt.

mod layer;
mod metrics;

pub use layer::{Observe, ObserveLayer, RequestId};
pub use metrics::Metrics;

/// An error and its causes, for a log line or for whoever started the program. Never for a caller.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
