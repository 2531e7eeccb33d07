//! Keylodge's HTTP surfaces, as one axum router over one [`Lodge`].
//!
//! ```text
//! request ─ credential taken out ─ request id, log line, metric ─┬─ /healthz /readyz /metrics     open
//!                                                                ├─ /v1…/models…    gate ─ Pass ─ gemini
//!                                                                └─ /v1/projects…   Operator ──── management
//! ```
//!
//! A handler makes three moves: parse, one call, answer. Behind the gate it takes a `Pass`, in management an
//! [`Operator`](operator::Operator); it never reads a credential itself. Errors become a `Status` in `failure`, and
//! nowhere else.
//!
//! | module | what is there |
//! |---|---|
//! | [`lodge`] | what all handlers share |
//! | [`mod@router`] | every route and the layers around it |
//! | [`follow`] | brings the store's change feed into the gate's index |
//! | [`purge`] | takes deleted keys out when their time is over |
//! | [`first_start`] | the owner, the default project and its key |
//! | `gemini` | models, generateContent and its kin |
//! | `management` | which management call a path means |
//! | `keys`, `projects`, `service_usage`, `operations` | those calls, a file each |
//! | [`observe`] | request ids, the log line, metrics |

mod failure;
pub mod first_start;
pub mod follow;
mod gemini;
mod health;
mod keys;
pub mod lodge;
mod management;
pub mod observe;
mod operations;
pub mod operator;
mod paging;
mod partial;
mod projects;
pub mod purge;
mod query;
pub mod router;
mod service_usage;
mod wire;

pub use follow::{Feed, Follower};
pub use gemini::models::{ModelEntry, Models};
pub use lodge::{Limits, Lodge, LodgeParts};
pub use router::router;
