//! A Gemini call spoken to an OpenAI-compatible server (Ollama, llama.cpp, vLLM, LM Studio and others), and its answer
//! back: `POST {base}/chat/completions`.
//!
//! ```
//! use keylodge_services::relay::openai::{Framing, Upstream, to_chat};
//!
//! let upstream = Upstream { asked: "gemini-2.5-flash", model: "qwen3:8b", takes_top_k: true, takes_effort: false };
//! let call = to_chat(br#"{"contents": [{"parts": [{"text": "Hi"}]}]}"#, upstream, Framing::Stream).unwrap();
//! assert!(String::from_utf8_lossy(&call.body).contains(r#""model":"qwen3:8b""#));
//!
//! let mut stream = call.answering.stream();
//! let chunks = stream.push(b"data: {\"choices\": [{\"index\": 0, \"delta\": {\"content\": \"Hello\"}}]}\n\n");
//! assert_eq!(chunks[0].as_ref().unwrap()["candidates"][0]["content"]["parts"][0]["text"], "Hello");
//! ```
//!
//! Nothing that was asked for is dropped in silence: what an OpenAI-compatible server cannot be told is
//! INVALID_ARGUMENT with the field's path, and all such mistakes come together. Taken without effect is only what
//! changes no answer: labels, service tier, safety thresholds (nothing is rated, so nothing is blocked), thought
//! signatures, names and metadata of parts, and thoughts of earlier turns, which models are not shown again.
//!
//! | module | what is there |
//! |---|---|
//! | `call` | the whole Gemini request, as far as it can be translated or refused |
//! | `request` | that request as a chat completion: `conversation`, `tools` and the configuration |
//! | `answer` | a chat completion as a Gemini answer |
//! | `stream` | its chunks, from bytes cut anywhere |
//! | `error` | what a caller sees of the server's errors |

mod answer;
mod call;
mod conversation;
mod error;
mod mistakes;
mod request;
mod stream;
mod tools;

pub use answer::Answering;
pub use error::{MESSAGE_BYTES_MAX, Refused, refused};
pub(crate) use error::{broke_off, in_answer, is_error, not_understood};
pub use request::{ChatCall, Framing, Upstream, to_chat};
pub use stream::{ChatStream, LINE_BYTES_MAX, TOOL_CALLS_BYTES_MAX};
