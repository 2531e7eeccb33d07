//! Limits, and rules for keys, on the command line: `requests/minute=10`, `cost/month=12.50`.

use clap::{Args, Subcommand};
use keylodge_api::admin::{KeyRules, Limit, ProjectLimits};

use super::keys::One;
use super::session::{Done, Failed, Session};
use super::values::OfProject;

/// `keylodge limits`
#[derive(Debug, Subcommand)]
pub(crate) enum Limits {
    /// Show the limits that all keys of a project share
    Show(OfProject),
    /// Set the limits that all keys of a project share; what was used stays used
    Set {
        #[command(flatten)]
        of: OfProject,
        #[command(flatten)]
        limits: Given,
    },
}

/// `keylodge keys rules`
#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Show what narrows a key besides its restrictions: models, hours, limits
    Show(One),
    /// Set what narrows a key besides its restrictions; what is not given stays
    Set {
        #[command(flatten)]
        key: One,
        /// The models it may call, as gemini-2.5-*; an empty one allows any
        #[arg(long, value_name = "MODEL", value_delimiter = ',')]
        allowed_models: Option<Vec<String>>,
        /// When it may be used, as 'mon-fri 08:00-18:30 +01:00'; an empty one allows any time
        #[arg(long, value_name = "HOURS")]
        allowed_hours: Option<Vec<String>>,
        #[command(flatten)]
        limits: Given,
    },
}

/// Limits as flags.
#[derive(Clone, Debug, Args)]
pub(crate) struct Given {
    /// A limit: METRIC/WINDOW[/MODEL]=VALUE, with ',shadow' to only count. Metrics are requests, input_tokens,
    /// output_tokens and cost (in dollars); windows are minute, day, month and in_flight; the model * is each by itself
    #[arg(long = "limit", value_name = "LIMIT", value_parser = limit)]
    limits: Vec<Limit>,
    /// Take all limits away
    #[arg(long, conflicts_with = "limits")]
    no_limits: bool,
}

impl Given {
    /// The limits that were asked for, if any were.
    fn asked(self) -> Option<Vec<Limit>> {
        (self.no_limits || !self.limits.is_empty()).then_some(self.limits)
    }
}

/// Reads a limit. What its words mean is the server's to say.
pub(super) fn limit(text: &str) -> Result<Limit, String> {
    let wrong = || "a limit is METRIC/WINDOW[/MODEL]=VALUE, as requests/minute/*=10 or cost/month=12.50".to_owned();
    let (what, value) = text.split_once('=').ok_or_else(wrong)?;
    let (value, mode) = match value.split_once(',') {
        None => (value, ""),
        Some((value, "shadow")) => (value, "SHADOW"),
        Some(_) => return Err(wrong()),
    };
    let mut words = what.splitn(3, '/');
    let metric = words.next().filter(|word| !word.is_empty()).ok_or_else(wrong)?;
    let window = words.next().filter(|word| !word.is_empty()).ok_or_else(wrong)?;
    Ok(Limit {
        metric: metric.to_ascii_uppercase(),
        window: window.to_ascii_uppercase(),
        model: words.next().unwrap_or_default().to_owned(),
        value: value.to_owned(),
        mode: mode.to_owned(),
    })
}

pub(crate) async fn run(session: &Session, command: Limits) -> Done {
    match command {
        Limits::Show(OfProject { project }) => show(session, &session.client()?.project_limits(&project).await?.limits),
        Limits::Set { of: OfProject { project }, limits } => {
            let limits = limits.asked().ok_or_else(nothing_given)?;
            show(session, &session.client()?.set_project_limits(&project, &ProjectLimits { limits }).await?.limits);
        }
    }
    Ok(())
}

pub(crate) async fn rules(session: &Session, command: Rules) -> Done {
    let rules = match command {
        Rules::Show(One { key, of }) => session.client()?.key_rules(&of.project, &key).await?,
        Rules::Set { key: One { key, of }, allowed_models, allowed_hours, limits } => {
            let limits = limits.asked();
            if allowed_models.is_none() && allowed_hours.is_none() && limits.is_none() {
                return Err(nothing_given());
            }
            let client = session.client()?;
            let before = client.key_rules(&of.project, &key).await?;
            let named = |given: Option<Vec<String>>, before: Vec<String>| match given {
                None => before,
                Some(given) => given.into_iter().filter(|entry| !entry.is_empty()).collect(),
            };
            let rules = KeyRules {
                allowed_models: named(allowed_models, before.allowed_models),
                allowed_hours: named(allowed_hours, before.allowed_hours),
                limits: limits.unwrap_or(before.limits),
                shadow: before.shadow,
            };
            client.set_key_rules(&of.project, &key, &rules).await?
        }
    };
    session.record(&rules);
    Ok(())
}

fn nothing_given() -> Failed {
    Failed("nothing to set was given; --limit and --no-limits can be".to_owned())
}

fn show(session: &Session, limits: &[Limit]) {
    session.list(limits, &["METRIC", "WINDOW", "MODEL", "VALUE", "MODE"], |limit| {
        let Limit { metric, window, model, value, mode } = limit;
        [metric, window, model, value, mode].map(Clone::clone).into()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_from_one_word() {
        let read = |text| limit(text).map(|limit| [limit.metric, limit.window, limit.model, limit.value, limit.mode]);

        assert_eq!(read("requests/minute=10").unwrap(), ["REQUESTS", "MINUTE", "", "10", ""]);
        assert_eq!(read("input_tokens/day/*=10,shadow").unwrap(), ["INPUT_TOKENS", "DAY", "*", "10", "SHADOW"]);
        for text in ["requests/minute=10", "input_tokens/day/*=10,shadow", "cost/month/gemini-3=12.5"] {
            assert_eq!(limit(text).unwrap().to_string(), text);
        }
        for bad in ["", "requests=10", "/minute=10", "requests/minute", "requests/minute=10,soft"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
