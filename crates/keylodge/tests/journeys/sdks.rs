//! The official SDKs against Keylodge, unchanged: they are given a base URL and a key, by the environment.

use std::io::Write;

use crate::support::browser::{NONE, browser};
use crate::support::sdk::{javascript, javascript_package, python, python_packages, run_javascript, run_python};
use crate::support::server::{Server, scripted, with_script};

/// The newest ones; they call `/v1`.
const PYTHON: &str = "3.4.0";
const JAVASCRIPT: &str = "3.1.0";
/// One of those that call `/v1beta`.
const OLD_PYTHON: &str = "1.70.0";

/// OpenAI's, for the compatible surface.
const OPENAI_PYTHON: &str = "3.54.0";
const OPENAI_JAVASCRIPT: &str = "7.57.0";

/// What the programs in `clients/` expect to be answered.
const SCRIPT: &str = r#"
[[reply]]
contains = "quota"
status = 429

[[reply]]
contains = "overloaded"
status = 503

[[reply]]
contains = "break"
tokens = ["It", " was"]
fail_after = 1
status = 503

[[reply]]
contains = "name"
text = "Your name is Ada."

[[reply]]
tokens = ["Once", " upon", " a time."]
"#;

#[test]
fn the_newest_python_sdk_does_all_it_does_with_google() {
    println!("{}", run_python(&with_script(SCRIPT).up(), &python(PYTHON), "journey.py", &["script"]));
}

#[test]
fn a_python_sdk_that_calls_v1beta_does_all_it_does_with_google() {
    println!("{}", run_python(&with_script(SCRIPT).up(), &python(OLD_PYTHON), "journey.py", &["script"]));
}

#[test]
fn the_newest_javascript_sdk_does_all_it_does_with_google() {
    println!("{}", run_javascript(&with_script(SCRIPT).up(), &javascript(JAVASCRIPT), "journey.mjs", &["script"]));
}

#[test]
fn the_newest_sdks_have_interactions_as_with_google() {
    println!("{}", interact(&with_script(SCRIPT).up(), "script"));
}

#[test]
fn openai_s_own_sdks_work_on_the_compatible_surface() {
    println!("{}", speak_as_openai(&with_script(SCRIPT).up(), "script"));
}

#[test]
fn the_newest_python_sdk_talks_live_over_a_certificate_made_here() {
    let server = with_script(SCRIPT).self_signed().up();

    println!("{}", run_python(&server, &python(PYTHON), "live.py", &["script"]));
}

#[test]
fn the_newest_javascript_sdk_talks_live_with_and_without_tls() {
    for start in [with_script(SCRIPT), with_script(SCRIPT).self_signed()] {
        println!("{}", run_javascript(&start.up(), &javascript(JAVASCRIPT), "live.mjs", &["script"]));
    }
}

#[test]
fn a_page_in_a_real_browser_talks_live_with_an_ephemeral_token() {
    println!("{}", talk_from_a_page(|| with_script(SCRIPT).up(), "script"));
}

#[test]
fn the_javascript_sdk_talks_live_to_a_model_at_an_upstream() {
    let there = with_script(SCRIPT).up();
    for server in [before_gemini(&there), before_openai(&there)] {
        println!("{}", run_javascript(&server, &javascript(JAVASCRIPT), "live.mjs", &["script"]));
    }
}

#[test]
fn a_revoked_key_ends_its_live_sessions_and_those_of_its_tokens_within_a_second() {
    let there = with_script(SCRIPT).up();
    for server in [with_script(SCRIPT).up(), before_gemini(&there)] {
        let token = server.folder.data("owner-token");
        let token = token.to_str().expect("a path is UTF-8");
        println!("{}", run_javascript(&server, &javascript(JAVASCRIPT), "live_revoked.mjs", &[token]));
    }
}

/// What the SDKs' programs say of interactions. So with the others: what they say are their checks.
fn interact(server: &Server, answering: &str) -> String {
    run_python(server, &python(PYTHON), "interactions.py", &[answering])
        + &run_javascript(server, &javascript(JAVASCRIPT), "interactions.mjs", &[answering])
}

fn speak_as_openai(server: &Server, answering: &str) -> String {
    let (of_python, of_javascript) =
        (python_packages(&[("openai", OPENAI_PYTHON)]), javascript_package("openai-js", "openai", OPENAI_JAVASCRIPT));
    run_python(server, &of_python, "of_openai.py", &[answering])
        + &run_javascript(server, &of_javascript, "of_openai.mjs", &[answering])
}

fn talk_from_a_page(server: impl FnOnce() -> Server, answering: &str) -> String {
    let Some(browser) = browser() else {
        // Said on stderr itself, where the test's harness does not hold it back.
        write!(std::io::stderr(), "{NONE}").expect("stderr can be written to");
        return String::new();
    };
    let browser = browser.to_str().expect("a path is UTF-8");
    run_javascript(&server(), &javascript(JAVASCRIPT), "live_browser.mjs", &[browser, answering])
}

fn before_gemini(there: &Server) -> Server {
    before(there, "gemini", "", "'*' = 'there'")
}

fn before_openai(there: &Server) -> Server {
    before(there, "openai", "/v1beta/openai", "'gemini-2.0-flash' = 'there'")
}

/// A server whose models are at an upstream: another Keylodge, which speaks as either kind.
fn before(there: &Server, kind: &str, base: &str, models: &str) -> Server {
    let start = scripted();
    let secret = start.folder().write("secret", &there.key());
    let upstream = format!("kind = '{kind}'\nurl = '{}{base}'\nkey_file = '{}'", there.url, secret.display());
    start.settings(&format!("[models]\n{models}\n[upstreams.there]\n{upstream}\n")).up()
}

#[cfg(feature = "embedded-model")]
mod with_the_real_model {
    use super::*;
    use crate::support::server::{Start, with_model};
    use crate::support::tls::{ask, connect_self_signed};
    use crate::support::until;

    fn with_short_stories() -> Start {
        with_model().set("model.output_tokens_max", "60")
    }

    #[test]
    fn the_python_sdk_gets_stories() {
        let server = with_short_stories().up().ready();

        println!("{}", run_python(&server, &python(PYTHON), "journey.py", &["model"]));
    }

    #[test]
    fn the_javascript_sdk_gets_stories() {
        let server = with_short_stories().up().ready();

        println!("{}", run_javascript(&server, &javascript(JAVASCRIPT), "journey.mjs", &["model"]));
    }

    #[test]
    fn the_sdks_have_interactions() {
        println!("{}", interact(&with_short_stories().up().ready(), "model"));
    }

    #[test]
    fn openai_s_own_sdks_are_answered() {
        println!("{}", speak_as_openai(&with_short_stories().up().ready(), "model"));
    }

    #[test]
    fn the_sdks_talk_live() {
        let server = with_short_stories().self_signed().up();
        until("the model is loaded", || {
            let mut stream = connect_self_signed(&server).expect("the server takes connections");
            ask(&mut stream, "/readyz").starts_with("HTTP/1.1 200 ")
        });

        println!("{}", run_python(&server, &python(PYTHON), "live.py", &["model"]));
        println!("{}", run_javascript(&server, &javascript(JAVASCRIPT), "live.mjs", &["model"]));
    }

    #[test]
    fn a_page_in_a_browser_talks_live() {
        println!("{}", talk_from_a_page(|| with_short_stories().up().ready(), "model"));
    }
}
