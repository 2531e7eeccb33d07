//! `keylodge keys rehearse`

use clap::Args;
use keylodge_api::admin::{Count, Limit, LimitRehearsal, RehearseKeyRequest, RehearseKeyResponse};
use keylodge_api::apikeys::Restrictions;

use super::One;
use super::create::Narrowed;
use crate::cli::explain::{shown, who};
use crate::cli::limits::limit;
use crate::cli::session::{Done, Session};
use crate::cli::values::{at, at_if};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct Rehearse {
    #[command(flatten)]
    key: One,
    #[command(flatten)]
    narrowed: Narrowed,
    /// The models it could call, as gemini-2.5-*
    #[arg(long, value_name = "MODEL", value_delimiter = ',')]
    allowed_models: Vec<String>,
    /// When it could be used, as 'mon-fri 08:00-18:30 +01:00'; may be given again
    #[arg(long, value_name = "HOURS")]
    allowed_hours: Vec<String>,
    /// A limit: METRIC/WINDOW[/MODEL]=VALUE, as in keylodge keys rules set; may be given again. What is in flight cannot be
    /// tried
    #[arg(long = "limit", value_name = "LIMIT", value_parser = limit)]
    limits: Vec<Limit>,
    /// On the calls of so many days, 1 to 14
    #[arg(long, value_name = "N", default_value_t = 7)]
    days: u32,
}

pub(super) async fn rehearse(session: &Session, rehearse: Rehearse) -> Done {
    let Rehearse { key: One { key, of }, narrowed, allowed_models, allowed_hours, limits, days } = rehearse;
    let restrictions = Some(narrowed.restrictions()).filter(|restrictions| *restrictions != Restrictions::default());
    let what = RehearseKeyRequest { restrictions, allowed_models, allowed_hours, limits, days: Some(days) };
    let answer = session.client()?.rehearse_key(&of.project, &key, &what).await?;
    session.print(&answer, || table(&answer));
    Ok(())
}

fn table(answer: &RehearseKeyResponse) {
    output::say(&summary(answer));
    if !answer.examples.is_empty() {
        output::say("");
        let rows = answer.examples.iter().map(|example| {
            let method = example.method.rsplit('.').next().unwrap_or_default().to_owned();
            let times = [at(example.first_time), at(example.last_time)];
            let what = [example.rule.clone(), shown(&who(&example.caller)), method, shown(&example.model)];
            what.into_iter().chain([example.calls.0.to_string()]).chain(times).collect()
        });
        output::table(&["RULE", "CALLER", "METHOD", "MODEL", "CALLS", "FIRST", "LAST"], rows.collect());
    }
    if !answer.limits.is_empty() {
        output::say("");
        let rows = answer.limits.iter().map(row).collect();
        output::table(&["LIMIT", "SINCE", "PERIODS", "OVER", "PEAK", "AT MOST", "WHEN", "OVER BY"], rows);
    }
}

fn summary(answer: &RehearseKeyResponse) -> String {
    let (begin, end) = (at(answer.begin_time), at(answer.end_time));
    let mut words = format!(
        "{} of {} calls since {begin} (until {end}) would have been refused",
        answer.refused_calls.0, answer.calls.0
    );
    let rules: Vec<String> = answer.rules.iter().map(|rule| format!("{} by {}", rule.calls.0, rule.rule)).collect();
    if !rules.is_empty() {
        words.push_str(&format!(": {}", rules.join(", ")));
    }
    words.push('.');
    if answer.refused_anyway_calls.0 > 0 {
        words.push_str(&format!(" {} were refused anyway.", answer.refused_anyway_calls.0));
    }
    if answer.left_out_calls.0 > 0 {
        words.push_str(&format!(
            " Of {} calls, those with other keys among them, the callers are not known.",
            answer.left_out_calls.0
        ));
    }
    if answer.is_partial {
        words.push_str(" There were more different callers than were tried: the latest were.");
    }
    words
}

fn row(rehearsal: &LimitRehearsal) -> Vec<String> {
    let number = |count: Count| count.0.to_string();
    vec![
        rehearsal.limit.to_string(),
        at(rehearsal.begin_time),
        number(rehearsal.periods),
        number(rehearsal.periods_over),
        rehearsal.peak.clone(),
        rehearsal.sliding_peak_at_most.clone().unwrap_or_default(),
        at_if(rehearsal.peak_time),
        rehearsal.over_by.clone(),
    ]
}
