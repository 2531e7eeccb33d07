//! A tiny HTTP/1.1 client that hides nothing: every header, every byte of a body, one chunk at a time.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::TcpStream;

use keylodge_services::management::Route;
use serde_json::{Value, json};

use super::WAIT_MAX;

/// The model that the examples in Google's documents call.
pub(crate) const MODEL: &str = "gemini-2.0-flash";

/// What they ask for vectors.
pub(crate) const EMBEDDING_MODEL: &str = "gemini-embedding-001";

/// A request, whole.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A request without a body.
pub(crate) fn request(method: &'static str, path: impl Into<String>) -> Request {
    Request { method, path: path.into(), headers: Vec::new(), body: Vec::new() }
}

/// `GET path`
pub(crate) fn get(path: impl Into<String>) -> Request {
    request("GET", path)
}

/// `DELETE path`
pub(crate) fn delete(path: impl Into<String>) -> Request {
    request("DELETE", path)
}

/// `POST path` with JSON.
pub(crate) fn post(path: impl Into<String>, body: &Value) -> Request {
    request("POST", path).header("content-type", "application/json").body(body.to_string())
}

/// Asks the usual model to answer a text.
pub(crate) fn generate(text: &str) -> Request {
    post(format!("/v1beta/models/{MODEL}:generateContent"), &contents(text))
}

/// The same as server-sent events.
pub(crate) fn stream(text: &str) -> Request {
    post(format!("/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"), &contents(text))
}

/// The body of the smallest request there is.
pub(crate) fn contents(text: &str) -> Value {
    json!({"contents": [{"parts": [{"text": text}]}]})
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether it is a call of this route.
    pub(crate) fn is_of(&self, route: &Route) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        route.is_meant_by(self.method, path)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With an API key, as the SDKs send it.
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("x-goog-api-key", key)
    }

    /// With an operator's token.
    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With one more parameter in its query, as it is.
    pub(crate) fn query(mut self, parameter: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(parameter);
        self
    }

    fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        let Self { method, path, headers, body } = self;
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: keylodge\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        out.write_all(&[text.as_bytes(), body].concat())
    }
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All headers, for a look at everything.
    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    /// The answer, if it is a success.
    #[track_caller]
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.text());
        self
    }
}

/// One connection, kept alive. After an answer was read to its end it takes the next request.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    left: Left,
}

/// What is still to come of the body that is being read.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    Bytes(usize),
    Chunks,
    Nothing,
}

impl Connection {
    pub(crate) fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        // Nobody waits for ever: a server that hangs is a failed test, not a hanging one.
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        Ok(Self { stream: BufReader::new(stream), left: Left::Nothing })
    }

    /// One request and its whole answer.
    #[track_caller]
    pub(crate) fn call(&mut self, request: &Request) -> Answer {
        self.try_call(request).unwrap_or_else(|error| panic!("no answer: {error}; {} {}", request.method, request.path))
    }

    /// The same where the server may be gone.
    pub(crate) fn try_call(&mut self, request: &Request) -> io::Result<Answer> {
        let mut answer = self.try_begin(request)?;
        while let Some(piece) = self.try_piece()? {
            answer.body.extend(piece);
        }
        Ok(answer)
    }

    /// One request and the head of its answer; the body is read by [`Connection::piece`].
    #[track_caller]
    pub(crate) fn begin(&mut self, request: &Request) -> Answer {
        self.try_begin(request).unwrap_or_else(|error| panic!("no head of an answer: {error}"))
    }

    /// The next piece of the body as the server sent it; `None` at its end.
    #[track_caller]
    pub(crate) fn piece(&mut self) -> Option<String> {
        let piece = self.try_piece().unwrap_or_else(|error| panic!("the answer broke off: {error}"));
        piece.map(|bytes| String::from_utf8(bytes).expect("the answer is text"))
    }

    /// The rest of the body.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> String {
        std::iter::from_fn(|| self.piece()).collect()
    }

    /// Sends a request and waits for nothing.
    pub(crate) fn send(&mut self, request: &Request) {
        request.write(self.stream.get_mut()).expect("the server takes the request");
    }

    fn try_begin(&mut self, request: &Request) -> io::Result<Answer> {
        assert_eq!(self.left, Left::Nothing, "the answer before was not read to its end");
        request.write(self.stream.get_mut())?;
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no HTTP: {first}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let answer = Answer { status, headers, body: Vec::new() };
        self.left = match (answer.header("transfer-encoding"), answer.header("content-length")) {
            (Some(_), _) => Left::Chunks,
            (None, Some(length)) => Left::Bytes(length.parse().map_err(io::Error::other)?),
            (None, None) => Left::Nothing,
        };
        Ok(answer)
    }

    /// The next piece where the server may break off.
    pub(crate) fn try_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let length = match self.left {
            Left::Nothing | Left::Bytes(0) => 0,
            Left::Bytes(length) => length,
            Left::Chunks => usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?,
        };
        let mut piece = vec![0; length];
        self.stream.read_exact(&mut piece)?;
        if self.left == Left::Chunks {
            self.line()?;
        }
        if length == 0 || self.left != Left::Chunks {
            self.left = Left::Nothing;
        }
        Ok((length > 0).then_some(piece))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
