//! Which Gemini call a path means. The verb follows the last colon of the last segment.

use http::{Method, Uri};
use keylodge_api::{Code, Envelope, Status};
use keylodge_gate::Target;
use percent_encoding::percent_decode_str;

use crate::failure;
use crate::query::Query;

/// A call of the Gemini API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    ListModels { version: String },
    ListTunedModels,
    GetModel { version: String, model: String },
    Verb { version: String, model: String, verb: Verb },
}

/// A method of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    GenerateContent,
    StreamGenerateContent,
    CountTokens,
    EmbedContent,
    BatchEmbedContents,
    /// A method that Google serves and this server does not.
    NotServed {
        word: &'static str,
        rpc: &'static str,
    },
}

/// The longest model name; longer ones are cut in answers and found nowhere.
pub(crate) const MODEL_CHARS_MAX: usize = 100;

impl Verb {
    const ALL: [Self; 10] = [
        Self::GenerateContent,
        Self::StreamGenerateContent,
        Self::CountTokens,
        Self::EmbedContent,
        Self::BatchEmbedContents,
        Self::NotServed { word: "batchGenerateContent", rpc: "BatchGenerateContent" },
        Self::NotServed { word: "asyncBatchEmbedContent", rpc: "AsyncBatchEmbedContent" },
        Self::NotServed { word: "generateAnswer", rpc: "GenerateAnswer" },
        Self::NotServed { word: "predict", rpc: "Predict" },
        Self::NotServed { word: "predictLongRunning", rpc: "PredictLongRunning" },
    ];

    /// The word in the path.
    pub(crate) const fn path_word(self) -> &'static str {
        match self {
            Self::GenerateContent => "generateContent",
            Self::StreamGenerateContent => "streamGenerateContent",
            Self::CountTokens => "countTokens",
            Self::EmbedContent => "embedContent",
            Self::BatchEmbedContents => "batchEmbedContents",
            Self::NotServed { word, .. } => word,
        }
    }

    /// Whether it makes vectors of texts.
    pub(crate) const fn embeds(self) -> bool {
        matches!(self, Self::EmbedContent | Self::BatchEmbedContents)
    }

    const fn rpc(self) -> &'static str {
        match self {
            Self::GenerateContent => "GenerateContent",
            Self::StreamGenerateContent => "StreamGenerateContent",
            Self::CountTokens => "CountTokens",
            Self::EmbedContent => "EmbedContent",
            Self::BatchEmbedContents => "BatchEmbedContents",
            Self::NotServed { rpc, .. } => rpc,
        }
    }
}

impl Call {
    /// How an error to this call is wrapped: in an array where the answer would have been one.
    pub(crate) fn envelope(&self, alt: Option<&str>) -> Envelope {
        match self {
            Self::Verb { verb: Verb::StreamGenerateContent, .. } if alt != Some("sse") => Envelope::Array,
            _ => Envelope::Object,
        }
    }

    fn rpc(&self) -> (&'static str, &'static str) {
        match self {
            Self::ListModels { .. } => ("ModelService", "ListModels"),
            Self::ListTunedModels => ("ModelService", "ListTunedModels"),
            Self::GetModel { .. } => ("ModelService", "GetModel"),
            Self::Verb { verb, .. } => ("GenerativeService", verb.rpc()),
        }
    }
}

/// Reads method and path.
pub(crate) fn call(method: &Method, uri: &Uri) -> Result<Call, Status> {
    let unknown = || failure::no_such_path(uri.path());
    let path = uri.path().trim_matches('/');
    let (version, rest) = path.split_once('/').ok_or_else(unknown)?;
    let is_tuned = rest.starts_with("tunedModels");
    let Some((_, name)) = rest.split_once('/') else {
        return match *method {
            Method::GET if is_tuned => Ok(Call::ListTunedModels),
            Method::GET => Ok(Call::ListModels { version: version.to_owned() }),
            _ => Err(wrong_method(method, uri)),
        };
    };
    let name = percent_decode_str(name).decode_utf8_lossy();
    if name.contains('/') {
        return Err(unknown());
    }
    let version = version.to_owned();
    // There are no tuned models, so a name that keeps its collection is found nowhere.
    let cut = |model: &str| {
        let model: String = model.chars().take(MODEL_CHARS_MAX + 1).collect();
        if is_tuned { format!("tunedModels/{model}") } else { model }
    };
    match name.rsplit_once(':') {
        None if method == Method::GET => Ok(Call::GetModel { version, model: cut(&name) }),
        None => Err(wrong_method(method, uri)),
        Some((model, word)) => {
            let verb = Verb::ALL.into_iter().find(|verb| verb.path_word() == word).ok_or_else(|| not_served(word))?;
            if method != Method::POST {
                return Err(wrong_method(method, uri));
            }
            Ok(Call::Verb { version, model: cut(model), verb })
        }
    }
}

/// The same for the gate: the full name of the method (its package follows the path's version) and the envelope.
pub(crate) fn target(method: &Method, uri: &Uri) -> Result<Target, Status> {
    let call = call(method, uri)?;
    let version = uri.path().trim_matches('/').split('/').next().unwrap_or_default();
    let (service, rpc) = call.rpc();
    let envelope = call.envelope(Query::of(uri).get("alt"));
    let target = Target::new(format!("google.ai.generativelanguage.{version}.{service}.{rpc}")).enveloped(envelope);
    Ok(match call {
        Call::GetModel { model, .. } | Call::Verb { model, .. } => target.of_model(model),
        Call::ListModels { .. } | Call::ListTunedModels => target,
    })
}

fn wrong_method(method: &Method, uri: &Uri) -> Status {
    let path: String = uri.path().chars().take(128).collect();
    Status::new(Code::NotFound, format!("{method} is not served at {path}. Is it the other of GET and POST?"))
}

fn not_served(word: &str) -> Status {
    let word: String = word.chars().take(64).collect();
    let known = [Verb::GenerateContent, Verb::StreamGenerateContent, Verb::CountTokens].map(Verb::path_word).join(", ");
    Status::new(Code::NotFound, format!("There is no method ':{word}' of models. Served are: {known}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, path: &str) -> Result<(String, Envelope), u16> {
        let uri: Uri = path.parse().unwrap();
        target(method, &uri)
            .map(|target| (target.method.to_string(), target.envelope))
            .map_err(|status| status.code.http())
    }

    #[test]
    fn a_path_names_its_method_with_the_version_of_the_path() {
        let generative = |version, rpc, envelope| {
            Ok((format!("google.ai.generativelanguage.{version}.GenerativeService.{rpc}"), envelope))
        };
        assert_eq!(
            check(&Method::POST, "/v1beta/models/gemini-2.5-flash:generateContent"),
            generative("v1beta", "GenerateContent", Envelope::Object)
        );
        assert_eq!(
            check(&Method::POST, "/v1/tunedModels/x%3AcountTokens"),
            generative("v1", "CountTokens", Envelope::Object)
        );
        assert_eq!(
            check(&Method::GET, "/v1alpha/models/x"),
            Ok(("google.ai.generativelanguage.v1alpha.ModelService.GetModel".to_owned(), Envelope::Object))
        );
    }

    #[test]
    fn only_an_array_stream_wraps_its_errors() {
        let envelope = |query| check(&Method::POST, &format!("/v1/models/x:streamGenerateContent{query}")).unwrap().1;

        assert_eq!(envelope(""), Envelope::Array);
        assert_eq!(envelope("?alt=json"), Envelope::Array);
        assert_eq!(envelope("?alt=sse"), Envelope::Object);
        assert_eq!(envelope("?%24alt=sse"), Envelope::Object);
    }

    #[test]
    fn what_is_not_served_is_not_found() {
        assert_eq!(check(&Method::POST, "/v1/models/x:nonsense"), Err(404));
        assert_eq!(check(&Method::GET, "/v1/models/x:generateContent"), Err(404));
        assert_eq!(check(&Method::POST, "/v1/models"), Err(404));
        assert_eq!(check(&Method::GET, "/v1/models/x/y"), Err(404));
    }
}
