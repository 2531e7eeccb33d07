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
//! | [`plane`] | the data plane as a listener serves it |
//! | `unread` | the rest of a body whose request is answered already |
//! | [`relay`] | upstreams: servers that answer in our place |
//! | [`recording`] | what upstreams answered, kept for tests |
//! | [`follow`] | brings the store's change feed into the gate's index |
//! | [`purge`] | takes out what has had its time |
//! | [`metering`] | what calls took, written down each second |
//! | [`uses`] | who used which key, gathered and written in batches |
//! | [`first_start`] | the owner, the default project and its key |
//! | `auth_tokens` | ephemeral tokens: making them, and what they open |
//! | `live` | conversations over websockets |
//! | `gemini` | models, generateContent and its kin |
//! | `interactions`, `openai` | other surfaces, which say to `gemini` what they are asked |
//! | `calling` | what they have in common |
//! | [`dispatch`] | the control plane's door: all tables of routes, and the one who reads them |
//! | [`management`] | a line of such a table, a call of it, and who may make it |
//! | `keys`, `projects`, `organizations`, `service_usage`, `iam`, `operations` | the calls of Google's APIs |
//! | `admin` | the calls that Google has no API for |
//! | [`observe`] | request ids, the log line, metrics |

mod admin;
mod auth_tokens;
mod bill;
mod budget;
mod calling;
pub mod dispatch;
mod failure;
mod find;
pub mod first_start;
pub mod follow;
mod gemini;
mod health;
mod iam;
mod interactions;
mod keys;
mod live;
pub mod lodge;
pub mod management;
pub mod metering;
pub mod observe;
mod openai;
mod operations;
pub mod operator;
mod organizations;
mod origins;
mod paging;
mod partial;
mod paths;
pub mod plane;
mod projects;
pub mod purge;
mod query;
mod reading;
pub mod recording;
pub mod relay;
pub mod router;
mod service_usage;
mod tally;
mod unread;
pub mod uses;
mod wire;

pub use admin::openapi::document as openapi_document;
pub use auth_tokens::AuthTokens;
pub use follow::{Feed, Follower};
pub use gemini::models::{Elsewhere, EmbeddingEntry, ModelEntry, Models, Served};
pub use interactions::background::Background;
pub use interactions::keep::settle as settle_interactions;
pub use live::{LiveLimits, Sessions};
pub use lodge::{Limits, ListensAt, Lodge, LodgeParts, WorkspaceRules};
pub use metering::Unwritten;
pub use plane::{Answering, Plane, Visit};
pub use relay::Upstreams;
pub use router::router;
pub use service_usage::{Catalogue, ServiceEntry};
pub use tally::Tally;
pub use uses::Uses;
