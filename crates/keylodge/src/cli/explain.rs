//! `keylodge explain` and `keylodge decisions`

use clap::{Args, Subcommand};
use keylodge_api::admin::{CallerInfo, Decision, Explanation};

use super::session::{Done, Session};
use super::values::{Limit, OfProject, at, last};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The id in the header x-keylodge-decision of the refusal
    decision: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Decisions {
    /// List calls with keys of a project that were refused, the newest first
    List {
        #[command(flatten)]
        of: OfProject,
        /// Only with this key: its id or uid
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// Only with this word, as address_blocked
        #[arg(long, value_name = "WORD")]
        refusal: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
}

pub(crate) async fn explain(session: &Session, Explain { decision }: Explain) -> Done {
    let explanation = session.client()?.explain(&decision).await?;
    session.print(&explanation, || output::say(&told(&explanation)));
    Ok(())
}

pub(crate) async fn decisions(session: &Session, command: Decisions) -> Done {
    let Decisions::List { of, key, refusal, limit } = command;
    let found = session.client()?.list_decisions(&of.project, key.as_deref(), refusal.as_deref(), limit.limit).await?;
    session.list(&found, &["ID", "TIME", "REFUSAL", "KEY", "MODEL", "CALLER"], |decision| {
        let key = decision.key.as_deref().map(last).unwrap_or_default();
        let texts =
            [&decision.id, &at(decision.time), &decision.refusal, &key, &decision.model, &who(&decision.caller)];
        texts.map(|text| shown(text)).to_vec()
    });
    Ok(())
}

/// An explanation for people: what happened, what the rules say, what to do.
fn told(explanation: &Explanation) -> String {
    let Explanation { decision, rules, would_pass_now, changes } = explanation;
    let mut lines = vec![summary(decision), String::new()];
    let name_width = rules.iter().map(|step| step.rule.len()).max().unwrap_or_default();
    lines.push(format!("  {:<name_width$}  {:<9}  NOW", "RULE", "THEN"));
    for step in rules {
        let words = [&step.then, &step.now].map(|word| word.replace('_', " "));
        lines.push(format!("  {:<name_width$}  {:<9}  {}", step.rule, words[0], words[1]));
    }
    lines.push(String::new());
    lines.push(match (would_pass_now, changes.is_empty()) {
        (true, true) => "The same call would pass now, as far as the rules say.".to_owned(),
        (true, false) => "The rules let the same call pass now. What gives it room, if there is none yet:".to_owned(),
        (false, true) => "The same call would be refused now.".to_owned(),
        (false, false) => {
            "The same call would be refused now. The smallest change after which it would pass:".to_owned()
        }
    });
    for change in changes {
        lines.push(format!("- {}", shown(&change.description)));
        if !change.command.is_empty() {
            lines.push(format!("    {}", shown(&change.command)));
        }
    }
    lines.join("\n")
}

fn summary(decision: &Decision) -> String {
    let key = decision.key.as_deref().map(|key| format!(" with key {}", last(key))).unwrap_or_default();
    let model = Some(&decision.model).filter(|model| !model.is_empty()).map(|model| format!(" of {model}"));
    let method = last_word(&decision.method);
    let what = if method.is_empty() { decision.service.as_str() } else { method };
    let summary = format!(
        "{}: {} refused a call of {what}{}{key} from {}.",
        at(decision.time),
        decision.refusal,
        model.unwrap_or_default(),
        who(&decision.caller)
    );
    shown(&summary)
}

fn last_word(method: &str) -> &str {
    method.rsplit('.').next().unwrap_or(method)
}

/// Who called, in a line.
pub(super) fn who(caller: &CallerInfo) -> String {
    let CallerInfo { address, referrer, android_package, ios_bundle, client, .. } = caller;
    let said = [address, referrer, android_package, ios_bundle, client];
    let said: Vec<&str> = said.into_iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    if said.is_empty() { "nobody known".to_owned() } else { said.join(" ") }
}

/// Text that strangers may have sent, without what a terminal would obey.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn explanation() -> Explanation {
        serde_json::from_value(json!({
            "decision": {
                "id": "abc", "time": "2026-01-31T12:00:00Z", "refusal": "address_blocked",
                "key": "projects/1/locations/global/keys/ci", "project": "projects/1",
                "service": "generativelanguage.googleapis.com", "method": "google.ai.x.GenerateContent",
                "model": "gemini-3", "caller": {"address": "203.0.113.5", "client": "curl\u{1b}[2J"},
            },
            "rules": [
                {"rule": "enabled", "then": "kept", "now": "kept"},
                {"rule": "client", "then": "broken", "now": "broken"},
                {"rule": "service_on", "then": "not_asked", "now": "kept"},
            ],
            "wouldPassNow": false,
            "changes": [{"rule": "client", "description": "Add it.", "command": "keylodge keys update ci"}],
        }))
        .unwrap()
    }

    #[test]
    fn an_explanation_says_what_happened_what_the_rules_say_and_what_to_do() {
        let told = told(&explanation());

        let expected = "\
2026-01-31T12:00:00Z: address_blocked refused a call of GenerateContent of gemini-3 with key ci from 203.0.113.5 curl\u{fffd}[2J.

  RULE        THEN       NOW
  enabled     kept       kept
  client      broken     broken
  service_on  not asked  kept

The same call would be refused now. The smallest change after which it would pass:
- Add it.
    keylodge keys update ci";
        assert_eq!(told, expected);
    }

    #[test]
    fn what_passes_now_is_said_to() {
        let told = told(&Explanation { would_pass_now: true, changes: Vec::new(), ..explanation() });

        assert!(told.ends_with("The same call would pass now, as far as the rules say."), "{told}");
    }
}
