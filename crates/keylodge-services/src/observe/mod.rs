//! What is seen of each request: a name for it, one log line, metrics. Never a key, a query, a body or a prompt.

mod layer;
mod metrics;

pub use layer::{Observe, ObserveLayer, RequestId};
pub use metrics::Metrics;
