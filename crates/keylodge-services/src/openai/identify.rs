//! Which call of the OpenAI-compatible surface a path means.

use http::{Method, Uri};
use keylodge_api::{Envelope, Status};
use keylodge_gate::Target;
use percent_encoding::percent_decode_str;

use crate::gemini::identify::MODEL_CHARS_MAX;
use crate::paths::{Paths, cut};

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    ChatCompletions,
    Embeddings,
    ListModels,
    GetModel(String),
}

const PATHS: Paths = Paths { root: "/openai", served: "chat/completions, embeddings, models" };

/// Reads method and path, as `/v1beta/openai/chat/completions`, into the version and the call.
pub(super) fn call(method: &Method, uri: &Uri) -> Result<(String, Call), Status> {
    PATHS.call(method, uri, |rest| match (method, rest) {
        (&Method::POST, "chat/completions") => Some(Call::ChatCompletions),
        (&Method::POST, "embeddings") => Some(Call::Embeddings),
        (&Method::GET, "models") => Some(Call::ListModels),
        (&Method::GET, rest) => {
            let name = rest.strip_prefix("models/").filter(|name| !name.is_empty())?;
            let name = percent_decode_str(name).decode_utf8_lossy();
            Some(Call::GetModel(cut(name.strip_prefix("models/").unwrap_or(&name), MODEL_CHARS_MAX)))
        }
        _ => None,
    })
}

/// The same for the gate. The methods are those of the Gemini surface that do the same, so that a key which may not call
/// these may not call them in other words either. Which model is asked stands in the body and is looked at later.
pub(crate) fn target(method: &Method, uri: &Uri) -> Result<Target, Status> {
    let (version, call) = call(method, uri)?;
    let rpc = match call {
        Call::ChatCompletions => "GenerativeService.GenerateContent",
        Call::Embeddings => "GenerativeService.EmbedContent",
        Call::ListModels => "ModelService.ListModels",
        Call::GetModel(_) => "ModelService.GetModel",
    };
    let target = Target::new(format!("google.ai.generativelanguage.{version}.{rpc}")).enveloped(Envelope::Array);
    Ok(match call {
        Call::GetModel(model) => target.of_model(model),
        Call::ChatCompletions | Call::Embeddings | Call::ListModels => target,
    })
}

/// The method of a chat completion that is streamed, which only the body tells.
pub(super) fn streaming(version: &str) -> String {
    format!("google.ai.generativelanguage.{version}.GenerativeService.StreamGenerateContent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_call() {
        let check = |method: Method, path: &str, expected: Option<Call>| {
            let found = call(&method, &path.parse().unwrap()).ok().map(|(_, call)| call);
            assert_eq!(found, expected, "{method} {path}");
        };
        check(Method::POST, "/v1beta/openai/chat/completions", Some(Call::ChatCompletions));
        check(Method::POST, "/v1/openai/embeddings/", Some(Call::Embeddings));
        check(Method::GET, "/v1beta/openai/models", Some(Call::ListModels));
        for path in ["/v1beta/openai/models/m", "/v1beta/openai/models/models/m", "/v1beta/openai/models/models%2Fm"] {
            check(Method::GET, path, Some(Call::GetModel("m".to_owned())));
        }
        for (method, path) in [
            (Method::GET, "/v1beta/openai/chat/completions"),
            (Method::POST, "/v1beta/openai/models"),
            (Method::GET, "/v1beta/openai"),
            (Method::DELETE, "/v1beta/openai/models/m"),
        ] {
            check(method, path, None);
        }
    }
}
