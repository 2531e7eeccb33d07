//! The gate: tower layers that stand in front of an HTTP service and let only good keys through.
//!
//! Two layers, because their places differ. [`CredentialLayer`] goes outermost, before anything that logs: it takes
//! every credential out of the request. [`GateLayer`] goes around the service that is to be guarded: it asks the rules,
//! and either answers with Google's own error or calls on with a [`Pass`]. Only this crate can make a `Pass`, so a
//! handler that takes one cannot be reached without it.
//!
//! An admitted call costs one HMAC, two hash-map look-ups and no I/O. Keys that are restricted to addresses need to know
//! where a call comes from: whoever accepts connections puts a [`Peer`] into each request, and asks [`TrustedProxies`] who
//! called where some connections come from proxies.
//!
//! ```
//! use std::{convert::Infallible, sync::Arc};
//!
//! use http::{Request, Response};
//! use keylodge_gate::{Clock, CredentialLayer, Entropy, GateLayer, Judge, Ledger, Pass, Surface, Target, index};
//! use keylodge_rules::{Pepper, ServiceName, Timestamp};
//! use tower::{Layer, Service, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let (_writer, keys) = index::channel();
//! let entropy: Entropy = Arc::new(|bytes: &mut [u8]| bytes.fill(1));
//! let clock: Clock = Arc::new(|| Timestamp::from_micros(0));
//! let ledger = Arc::new(Ledger::new(clock.clone(), false));
//! let judge = Judge::new(keys, Pepper::new([7; 32]), ledger, clock, &entropy);
//! let service = ServiceName::parse("weather.example.com").unwrap();
//! let console = "http://127.0.0.1:8585/studio";
//! let surface = Surface::new(service, "Weather API", console, |_, _| Ok(Target::new("example.weather.v1.Weather.Get")));
//! let gate = GateLayer::new(surface, judge);
//!
//! let guarded = service_fn(|request: Request<Vec<u8>>| async move {
//!     let pass = Pass::of(request.extensions()).expect("the gate put it there");
//!     Ok::<_, Infallible>(Response::new(pass.key().to_string().into_bytes()))
//! });
//! let service = CredentialLayer.layer(gate.layer(guarded));
//!
//! let request = Request::get("/v1/weather?key=nobody-knows-me").body(Vec::new()).unwrap();
//! let answer = service.oneshot(request).await.unwrap();
//! assert_eq!(answer.status(), 400);
//! assert!(answer.headers().contains_key("x-keylodge-decision"));
//! # });
//! ```
//!
//! | module | what is there |
//! |---|---|
//! | [`credential`] | finding the credential and taking it out of the request |
//! | [`behalf`] | ephemeral tokens: whose key stands behind them |
//! | [`caller`] | what a request says of its caller |
//! | [`judge`] | the decision |
//! | [`layer`] | identify, admit, pass on |
//! | [`pass`] | proof of a yes, and the record of a no |
//! | [`status`] | what a caller sees of each refusal |
//! | [`index`] | the gate's keys: one writer, many readers |
//! | [`ledger`] | what is used of limits: taken before a call, settled after |
//! | [`source`] | where time and chance come from |

pub mod behalf;
pub mod caller;
pub mod credential;
pub mod index;
pub mod judge;
pub mod layer;
pub mod ledger;
pub mod pass;
mod quota;
pub mod source;
pub mod status;
pub mod surface;

pub use behalf::OnBehalf;
pub use caller::{ForwardedHeader, Peer, TrustedProxies};
pub use credential::{CredentialLayer, Credentials};
pub use index::{IndexReader, IndexWriter};
pub use judge::Judge;
pub use layer::{Gate, GateLayer};
pub use ledger::{Charge, Holder, Holders, LeaseRow, Ledger, Short};
pub use pass::{Pass, Refused};
pub use source::{Clock, Entropy, Names};
pub use surface::{Identify, Surface, Target};
