//! Answers prompts and makes vectors of texts: with models of its own, or by a script.
//!
//! An [`Engine`] is one of two things with the same calls. [`Engine::Embedded`] runs a GGUF model in a **worker process**
//! (the same program, started again), so that nothing the C++ library does can take the caller down. [`Engine::Script`]
//! gives the answers a TOML file lists: the same ones every time, with faults on demand. An [`Embedder`] makes vectors, in
//! the same two ways; its worker is a process of its own, started by the first call.
//!
//! ```
//! use std::sync::Arc;
//! use keylodge_model::{Engine, Event, Generate, Prompt, Role, Sampling, Script, Turn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let script = Script::parse("[[reply]]\ncontains = 'weather'\ntext = 'Sunny.'")?;
//! let engine = Engine::Script(Arc::new(script));
//!
//! let mut generation = engine
//!     .generate(Generate {
//!         model: "gemini-2.5-flash".into(),
//!         prompt: Prompt {
//!             system: None,
//!             turns: vec![Turn { role: Role::User, text: "What will the weather be?".into() }],
//!         },
//!         sampling: Sampling::default(),
//!         output_tokens_max: 100,
//!         stop: vec![],
//!         grammar: None,
//!     })
//!     .await?;
//!
//! let mut answer = String::new();
//! while let Some(event) = generation.next().await {
//!     if let Event::Piece { text, .. } = event? {
//!         answer.push_str(&text);
//!     }
//! }
//! assert_eq!(answer, "Sunny.");
//! # Ok(()) }
//! ```
//!
//! # Map
//!
//! | module | what it is |
//! |---|---|
//! | `engine` | [`Engine`]: the calls, and what can be asked about it at any time |
//! | `embed` | [`Embedder`]: the same for vectors |
//! | `request`, `generation`, `error` | what goes in, what comes out, what goes wrong |
//! | `shape` | [`Shape`]: what JSON an answer must be, from JSON Schema, and the [`Grammar`] for it |
//! | `stop` | finds stop sequences in text that arrives in pieces |
//! | `script` | the scripted model: the file, the matching, the playing, vectors made of hashes |
//! | `supervisor` | the parent's side: starts a worker, watches it, fails and restarts |
//! | `fetch` | gets a default model once, converts it if it must, and checks it each time |
//! | `protocol` | the frames between the two processes |
//! | [`worker`] | the worker process: reads requests, feeds the model |
//! | `llama` | the model itself; the only place that touches llama.cpp (feature `llama`) |
//!
//! # What it never does
//!
//! It knows nothing of keys, projects or HTTP. It reads no environment and no settings. It logs no prompt and no answer.
//! It does not wait without a bound on what waits: a full queue is [`ModelError::Overloaded`], a worker that is not there
//! is an error at once.

mod embed;
mod engine;
mod error;
mod fetch;
mod generation;
#[cfg(feature = "llama")]
mod llama;
mod protocol;
mod request;
mod script;
mod shape;
mod stop;
mod supervisor;
pub mod worker;

pub use embed::{Embedder, EmbedderInfo, Embedding};
pub use engine::{Engine, Gauges, ModelInfo, State};
pub use error::ModelError;
pub use generation::{Event, Finish, Generation};
pub use request::{Generate, Prompt, Role, Sampling, Turn};
pub use script::{Script, ScriptError, ScriptMistake};
pub use shape::{Grammar, Shape, ShapeMistake};
pub use supervisor::{Embedded, EmbeddedOptions, EmbeddingModel, EmbeddingOptions, ModelFile, WorkerCommand};

/// Is the embedded model compiled in (feature `llama`)?
pub const EMBEDDED: bool = cfg!(feature = "llama");
