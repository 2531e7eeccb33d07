//! The rules of Keylodge: whether a key may pass, what a key string is, what a change does to the index.
//!
//! Plain functions over plain values. Time and randomness come in as arguments, what should be done comes out as a
//! value. This crate never does I/O, asks no clock, throws no dice, logs nothing and knows neither serde nor HTTP; a
//! test in the program crate holds its dependencies to that.
//!
//! ```
//! use keylodge_rules::secret::sha256;
//! use keylodge_rules::{Call, KeyIndex, KeyString, Pepper, Refusal, ServiceName, Timestamp, admit};
//!
//! let pepper = Pepper::new([7; 32]);
//! let key = KeyString::issue(&[1; 32]);
//! let index = KeyIndex::default();
//! let service = ServiceName::parse("generativelanguage.googleapis.com").unwrap();
//! let call = Call::new(&service, "google.ai.generativelanguage.v1beta.ModelService.ListModels");
//!
//! let known = index.find(&pepper.hash(&key), || sha256(&key));
//! let answer = admit(known, &call, Timestamp::from_micros(0));
//! assert_eq!(answer.unwrap_err(), Refusal::UnknownKey);
//! ```
//!
//! | module | what is decided there |
//! |---|---|
//! | [`mod@admit`] | may this key make this call? |
//! | [`call`] | a request as the rules see it |
//! | [`refusal`] | every reason for no |
//! | [`explain`] | the rules one by one, and the smallest change after which a call would pass |
//! | [`audit`] | the audit log's hash chain, and what a node signs |
//! | [`index`] | the keys a gate knows, and what a change does to them |
//! | [`key`] | a key, its strings, its life stages and the steps between them |
//! | [`key_rules`] | what narrows a key besides Google's restrictions |
//! | [`restrictions`] | what a key may be used for, and by whom |
//! | [`secret`] | key strings, operator and ephemeral tokens: issuing, checking, hashing |
//! | [`iam`] | members, roles, permissions and policies: who may manage what |
//! | [`quota`] | limits, what is used of them, and when there is room again |
//! | [`upstream`] | which of our own credentials goes to an upstream, and whether to knock there |
//! | [`names`] | ids and numbers, parsed once at the border |

pub mod admit;
pub mod audit;
pub mod call;
pub mod explain;
pub mod iam;
pub mod index;
pub mod key;
pub mod key_rules;
pub mod names;
pub mod project;
pub mod quota;
pub mod refusal;
pub mod restrictions;
pub mod secret;
pub mod time;
pub mod upstream;

pub use admit::{Rule, admit};
pub use call::{AndroidCaller, Call};
pub use index::{Change, KeyIndex, Known, Revision, Subject};
pub use key::{Credential, Key, Lookup, Stage, StageError, Terms};
pub use key_rules::{KeyRules, Shadow};
pub use names::{KeyId, KeyUid, NameError, ProjectId, ProjectNumber, ServiceName};
pub use project::{Project, ProjectState};
pub use refusal::{Presented, Refusal, TokenProblem};
pub use restrictions::{AllowedIp, AndroidApp, ApiTarget, BundleId, ClientRestriction, Referrer, Restrictions};
pub use secret::{EphemeralToken, KeyHash, KeyString, Malformed, OperatorToken, Pepper};
pub use time::Timestamp;
