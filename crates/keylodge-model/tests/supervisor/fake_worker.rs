//! A worker that does what the prompt tells it: good things and bad ones. It speaks the protocol by hand, so that a
//! change of the frames is noticed here.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

/// How the worker behaves before the first call.
pub(crate) const MODES: [&str; 4] = ["good", "embeds", "fatal", "silent"];

struct FakeWorker {
    socket: UnixStream,
    cancels: u64,
}

/// Serves until the parent closes the socket.
pub(crate) fn run(mode: &str) {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from).expect("a socket");
    let mut worker = FakeWorker { socket, cancels: 0 };
    match mode {
        "good" => worker.say(&json!({"Ready": {"window_tokens": 100}})),
        "embeds" => worker.say(&json!({"Ready": {"window_tokens": 100, "dimensions": 2}})),
        "fatal" => {
            worker.say(&json!({"Fatal": {"reason": "the file is not a GGUF file"}}));
            return;
        }
        _ => {}
    }
    while let Some(request) = worker.hear() {
        worker.answer(&request);
    }
}

impl FakeWorker {
    fn answer(&mut self, request: &Value) {
        if let Some(call) = request.get("Generate") {
            let words = call["request"]["prompt"]["turns"][0]["text"].as_str().expect("a text");
            self.generate(call["id"].as_u64().expect("an id"), words, &call["request"]);
        } else if let Some(call) = request.get("Embed") {
            self.embed(&call["id"], call["text"].as_str().expect("a text"));
        } else if let Some(call) = request.get("Count") {
            let tokens = match call["prompt"]["turns"][0]["text"].as_str() {
                Some("how many cancels?") => self.cancels,
                Some("which process?") => u64::from(std::process::id()),
                _ => 7,
            };
            self.say(&json!({"Counted": {"id": call["id"], "tokens": tokens}}));
        } else if request.get("Cancel").is_some() {
            self.cancels += 1;
        }
    }

    fn embed(&mut self, id: &Value, text: &str) {
        match text {
            "stay in the queue" => return,
            "never begun" => {}
            _ => self.say(&json!({"Started": {"id": id, "prompt_tokens": text.len()}})),
        }
        let values = match text {
            "begin and stay" => return,
            "die" => std::process::abort(),
            "of another size" => vec![1.0],
            "no numbers" => return self.say(&json!({"Vector": {"id": id, "values": [null, 1.0]}})),
            text => vec![1.0, text.len() as f32],
        };
        self.say(&json!({"Vector": {"id": id, "values": values}}));
    }

    fn generate(&mut self, id: u64, words: &str, request: &Value) {
        let refuse = |why: Value| json!({"Refused": {"id": id, "why": why}});
        match words {
            "stay in the queue" => return,
            "too long" => return self.say(&refuse(json!({"PromptTooLong": {"tokens": 500, "tokens_max": 99}}))),
            "bad schema" => return self.say(&refuse(json!({"BadSchema": {"reason": "no"}}))),
            _ => {}
        }
        self.say(&json!({"Started": {"id": id, "prompt_tokens": 3}}));
        self.piece(id, "Hel", 1);
        match words {
            "hello" => {
                self.piece(id, "lo", 2);
                self.say(&json!({"Finished": {"id": id, "reason": "Stop", "output_tokens": 2}}));
            }
            "use the whole cap" => {
                let cap = request["output_tokens_max"].as_u64().expect("a cap");
                (2..=cap).for_each(|n| self.piece(id, "x", n));
                self.say(&json!({"Finished": {"id": id, "reason": "MaxTokens", "output_tokens": cap}}));
            }
            "go on for ever" => {}
            "hang in the grammar" => {
                self.say(&json!({"Following": {"id": id}}));
                loop {
                    std::thread::park();
                }
            }
            "follow the grammar and hang" => {
                self.say(&json!({"Following": {"id": id}}));
                self.piece(id, "lo", 2);
                loop {
                    std::thread::park();
                }
            }
            "die" => std::process::abort(),
            "leave" => self.socket.shutdown(std::net::Shutdown::Both).expect("a shutdown"),
            "hang" => loop {
                std::thread::park();
            },
            "talk garbage" => self.socket.write_all(b"\x05\0\0\0nope!").expect("a write"),
            "send a huge frame" => self.socket.write_all(&[0xff; 8]).expect("a write"),
            "speak for another" => self.piece(id + 1000, "?", 1),
            "speak twice" => self.say(&json!({"Started": {"id": id, "prompt_tokens": 3}})),
            "flood" => (2..2000).for_each(|n| self.piece(id, "x", n)),
            other => panic!("the fake worker does not know {other:?}"),
        }
    }

    fn piece(&mut self, id: u64, text: &str, output_tokens: u64) {
        self.say(&json!({"Piece": {"id": id, "text": text, "output_tokens": output_tokens}}));
    }

    /// The parent may have had enough of us by now.
    fn say(&mut self, frame: &Value) {
        let body = frame.to_string();
        let length = u32::try_from(body.len()).expect("a short frame").to_le_bytes();
        let _ = self.socket.write_all(&[&length[..], body.as_bytes()].concat());
    }

    fn hear(&mut self) -> Option<Value> {
        let mut length = [0; 4];
        self.socket.read_exact(&mut length).ok()?;
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        self.socket.read_exact(&mut body).ok()?;
        Some(serde_json::from_slice(&body).expect("a frame"))
    }
}
