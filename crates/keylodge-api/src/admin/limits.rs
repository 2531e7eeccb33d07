//! Limits of projects and keys, and our own rules for keys.

use std::fmt;
use std::sync::Arc;

use keylodge_rules as rules;
use keylodge_rules::key_rules::RULES_MAX;
use keylodge_rules::quota::{Limits, Metric, Mode, ModelName, Models, Window, money};
use keylodge_rules::restrictions::{Hours, ModelPattern};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::apikeys;
use crate::proto_json::{Fields, Message};

/// How much may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Limit {
    /// What is counted: `REQUESTS`, `INPUT_TOKENS`, `OUTPUT_TOKENS` or `COST`.
    pub metric: String,
    /// Over what time: any `MINUTE`, a `DAY` or `MONTH` that begins at midnight Pacific, or `IN_FLIGHT` at the same time.
    pub window: String,
    /// Empty: all models together. `*`: each model by itself. Else the model it is for.
    pub model: String,
    /// The most, as a decimal number; US dollars where the metric is `COST`.
    pub value: String,
    /// `ENFORCED`, which is the default, or `SHADOW`: counted, and nobody is refused.
    pub mode: String,
}

/// The limits of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectLimits {
    /// The limits, which all keys of the project share.
    pub limits: Vec<Limit>,
}

/// What narrows a key besides the restrictions of API Keys v2.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyRules {
    /// The models it may call, as `gemini-2.5-flash` or `gemini-2.5-*`; any where the list is empty.
    pub allowed_models: Vec<String>,
    /// When it may be used, as `mon-fri 08:00-18:30 +01:00`; at any time where the list is empty.
    pub allowed_hours: Vec<String>,
    /// How much it may be used.
    pub limits: Vec<Limit>,
    /// What is tried: counted, and nobody is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowRules>,
}

/// Restrictions on trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ShadowRules {
    /// As `restrictions` of API Keys v2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub restrictions: Option<apikeys::Restrictions>,
    /// As `allowedModels` of the key.
    pub allowed_models: Vec<String>,
    /// As `allowedHours` of the key.
    pub allowed_hours: Vec<String>,
}

/// Limits as they are asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SetLimitsRequest(pub Limits);

/// Rules of a key as they are asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SetKeyRulesRequest(pub rules::KeyRules);

const METRICS: [(&str, Metric); 4] = [
    ("REQUESTS", Metric::Requests),
    ("INPUT_TOKENS", Metric::InputTokens),
    ("OUTPUT_TOKENS", Metric::OutputTokens),
    ("COST", Metric::Cost),
];
const WINDOWS: [(&str, Window); 4] =
    [("MINUTE", Window::Minute), ("DAY", Window::Day), ("MONTH", Window::Month), ("IN_FLIGHT", Window::InFlight)];
const MODES: [(&str, Mode); 2] = [("ENFORCED", Mode::Enforced), ("SHADOW", Mode::Shadow)];

fn word<T: PartialEq>(words: &[(&'static str, T)], meant: &T) -> String {
    words.iter().find(|(_, known)| known == meant).map(|(word, _)| (*word).to_owned()).unwrap_or_default()
}

impl Limit {
    /// A limit as it is shown.
    #[must_use]
    pub fn of(limit: &rules::quota::Limit) -> Self {
        Self {
            metric: word(&METRICS, &limit.metric()),
            window: word(&WINDOWS, &limit.window()),
            model: match limit.models() {
                Models::All => String::new(),
                Models::Each => "*".to_owned(),
                Models::Named(name) => name.as_str().to_owned(),
            },
            value: limit.metric().decimal(limit.value()),
            mode: word(&MODES, &limit.mode()),
        }
    }
}

/// As one word of a command line: `requests/minute/*=10,shadow`.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, window, model, value, mode } = self;
        write!(f, "{}/{}", metric.to_ascii_lowercase(), window.to_ascii_lowercase())?;
        if !model.is_empty() {
            write!(f, "/{model}")?;
        }
        let trial = if mode == "SHADOW" { ",shadow" } else { "" };
        write!(f, "={value}{trial}")
    }
}

impl ProjectLimits {
    /// Limits as they are shown.
    #[must_use]
    pub fn of(limits: &Limits) -> Self {
        Self { limits: limits.iter().map(Limit::of).collect() }
    }
}

impl KeyRules {
    /// Rules as they are shown.
    #[must_use]
    pub fn of(rules: &rules::KeyRules) -> Self {
        let shadow = rules.shadow.as_deref().map(|shadow| ShadowRules {
            restrictions: apikeys::Restrictions::of(&shadow.restrictions),
            allowed_models: models(&shadow.models),
            allowed_hours: hours(&shadow.hours),
        });
        Self {
            allowed_models: models(&rules.models),
            allowed_hours: hours(&rules.hours),
            limits: rules.limits.iter().map(Limit::of).collect(),
            shadow,
        }
    }
}

fn models(models: &[ModelPattern]) -> Vec<String> {
    models.iter().map(|model| model.as_str().to_owned()).collect()
}

fn hours(hours: &[Hours]) -> Vec<String> {
    hours.iter().map(Hours::to_string).collect()
}

/// A limit, or nothing where a mistake was noted.
pub(super) struct Asked(pub(super) Option<rules::quota::Limit>);

impl Message for Asked {
    const NAME: &str = "keylodge.v1.Limit";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let mut meant = |name: &str, words: &[&'static str]| {
            let given = fields.string(name).unwrap_or_default();
            let found = words.iter().position(|word| *word == given);
            if found.is_none() && !(name == "mode" && given.is_empty()) {
                fields.refuse(name, format!("{name} must be one of {}.", words.join(", ")));
            }
            found
        };
        let metric = meant("metric", &METRICS.map(|(word, _)| word)).map(|at| METRICS[at].1);
        let window = meant("window", &WINDOWS.map(|(word, _)| word)).map(|at| WINDOWS[at].1);
        let mode = meant("mode", &MODES.map(|(word, _)| word)).map_or(Mode::Enforced, |at| MODES[at].1);
        let model = fields.string("model").unwrap_or_default();
        let models = match model.as_str() {
            "" => Some(Models::All),
            "*" => Some(Models::Each),
            name => ModelName::parse(name.strip_prefix("models/").unwrap_or(name)).map(Models::Named).ok(),
        };
        if models.is_none() {
            fields.refuse("model", "model must be the name of a model, * for each of them, or empty for all together.");
        }
        let given = fields.string("value").unwrap_or_default();
        let value = match metric {
            Some(Metric::Cost) => money::nanos(&given),
            _ => given.parse().ok(),
        };
        if value.is_none() {
            fields.refuse("value", "value must be a decimal number; a whole one unless it is dollars.");
        }
        let (Some(metric), Some(window), Some(models), Some(value)) = (metric, window, models, value) else {
            return Self(None);
        };
        let limit = rules::quota::Limit::new(metric, window, models, value, mode);
        if limit.is_err() {
            fields.refuse("window", "Only requests can be limited by how many are in flight at the same time.");
        }
        Self(limit.ok())
    }
}

fn limits(fields: &mut Fields<'_, '_>) -> Limits {
    let asked: Vec<Asked> = fields.messages("limits");
    let limits = Limits::new(asked.into_iter().filter_map(|Asked(limit)| limit).collect());
    limits.unwrap_or_else(|error| {
        fields.refuse("limits", format!("limits: {error}."));
        Limits::default()
    })
}

fn scope(fields: &mut Fields<'_, '_>) -> (Vec<ModelPattern>, Vec<Hours>) {
    let models: Vec<_> = fields.parsed("allowedModels", ModelPattern::parse).into_iter().flatten().collect();
    let hours: Vec<_> = fields.parsed("allowedHours", Hours::parse).into_iter().flatten().collect();
    for (name, count) in [("allowedModels", models.len()), ("allowedHours", hours.len())] {
        if count > RULES_MAX {
            fields.refuse(name, format!("{name} can have {RULES_MAX} entries; there are {count}."));
        }
    }
    (models, hours)
}

struct Trial(rules::Shadow);

impl Message for Trial {
    const NAME: &str = "keylodge.v1.ShadowRules";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self(narrowed(fields))
    }
}

/// The fields of [`ShadowRules`], in whatever message they stand.
pub(super) fn narrowed(fields: &mut Fields<'_, '_>) -> rules::Shadow {
    let restrictions = fields.message_with("restrictions", "google.api.apikeys.v2.Restrictions", |fields| {
        apikeys::read_restrictions(fields)
    });
    let (models, hours) = scope(fields);
    rules::Shadow { restrictions: restrictions.unwrap_or_default(), models, hours }
}

impl Message for SetLimitsRequest {
    const NAME: &str = "keylodge.v1.ProjectLimits";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self(limits(fields))
    }
}

impl Message for SetKeyRulesRequest {
    const NAME: &str = "keylodge.v1.KeyRules";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let (models, hours) = scope(fields);
        let limits = Arc::new(limits(fields));
        let shadow = fields.message::<Trial>("shadow").map(|Trial(shadow)| Box::new(shadow));
        Self(rules::KeyRules { models, hours, limits, shadow })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto_json;
    use serde_json::json;

    #[test]
    fn rules_read_back_as_they_are_shown() {
        let asked = json!({
            "allowedModels": ["gemini-2.5-*"],
            "allowedHours": ["mon 08:00-18:00 Z"],
            "limits": [
                {"metric": "REQUESTS", "window": "MINUTE", "model": "*", "value": "10"},
                {"metric": "COST", "window": "MONTH", "value": "12.5", "mode": "SHADOW"},
            ],
            "shadow": {"restrictions": {"serverKeyRestrictions": {"allowedIps": ["198.51.100.0/24"]}}},
        });
        let SetKeyRulesRequest(read) = proto_json::parse(asked.to_string().as_bytes()).unwrap();

        let shown = serde_json::to_string(&KeyRules::of(&read)).unwrap();

        let SetKeyRulesRequest(again) = proto_json::parse(shown.as_bytes()).unwrap();
        assert_eq!(again, read);
        assert_eq!(KeyRules::of(&read).limits[1].value, "12.5");
    }

    #[test]
    fn every_mistake_is_told_at_its_place() {
        let asked = json!({
            "limits": [{"metric": "WORDS", "window": "IN_FLIGHT", "value": "x"}, {"metric": "COST", "window": "IN_FLIGHT", "value": "1"}],
            "allowedHours": ["always"],
        });

        let mistakes = proto_json::parse::<SetKeyRulesRequest>(asked.to_string().as_bytes()).unwrap_err();

        let told = format!("{mistakes:?}");
        for place in ["limits[0].metric", "limits[0].value", "limits[1].window", "allowed_hours"] {
            assert!(told.contains(place), "{place}: {told}");
        }
    }
}
