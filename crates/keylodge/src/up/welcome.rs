//! What a start prints to stdout. The key is printed once, on the first start, and never again.

use std::path::Path;

use keylodge_client::generate_content;
use keylodge_model::State;
use keylodge_rules::KeyString;
use keylodge_services::Lodge;
use keylodge_services::first_start::Made;

use super::data_dir::DataDir;
use crate::output;

/// The model of the printed examples.
const MODEL: &str = "gemini-2.0-flash";

/// How long the first answer may get, in tokens: a few seconds of a small model.
const SAY_TOKENS_MAX: u32 = 250;

/// Prints the addresses and, after a first start, the key and lines to paste.
pub(crate) fn print(url: &str, control_url: &str, data: &DataDir, made: Option<&Made>) {
    if control_url != url {
        output::say(&format!("Management and metrics are on {control_url}"));
    }
    output::say(&format!("Keylodge listens on {url}"));
    let Some(made) = made else { return };
    let Made { project, .. } = made;
    let key = made.key.reveal();
    let token = data.owner_token_file();
    output::say(&format!(
        r#"
  project      {id} ({number})
  API key      {key}
               shown this once; later: keylodge keys show default-key --key-string
  owner token  in {token}

bash
  export GEMINI_API_KEY={key}
  export GOOGLE_GEMINI_BASE_URL={url}

PowerShell
  $env:GEMINI_API_KEY = "{key}"
  $env:GOOGLE_GEMINI_BASE_URL = "{url}"

Python (pip install google-genai, with the variables above)
  from google import genai
  print(genai.Client().models.generate_content(model="{MODEL}", contents="Write a story about a magic backpack.").text)

curl
  curl "{url}/v1beta/models/{MODEL}:generateContent?key={key}" -H 'Content-Type: application/json' -X POST -d '{{"contents":[{{"parts":[{{"text":"Write a story about a magic backpack."}}]}}]}}'
"#,
        id = project.id,
        number = project.number,
        token = token.display(),
    ));
}

/// Prints the line after which Google's clients trust the certificate that was made here.
pub(crate) fn print_trust(trusted: &Path) {
    output::say(&format!(
        r#"
TLS certificate of this machine's own, for development
  export SSL_CERT_FILE={trusted} NODE_EXTRA_CA_CERTS={trusted}
"#,
        trusted = trusted.display(),
    ));
}

/// Asks the model something through the front door, with the new key, and prints the answer.
pub(crate) async fn say(url: String, key: KeyString, lodge: Lodge, text: String) {
    for engine in lodge.models.engines() {
        if let State::Failed { reason } = engine.ready().await {
            output::complain(&format!("the model cannot answer, so a script may: {reason}"));
        }
    }
    output::say(&format!("> {text}\n"));
    match generate_content(&url, key.reveal(), MODEL, &text, SAY_TOKENS_MAX).await {
        Ok(answer) => output::say(&format!("{answer}\n")),
        Err(error) => output::complain(&error.to_string()),
    }
}
