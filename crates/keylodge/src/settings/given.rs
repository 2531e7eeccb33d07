//! What was given, and where: file, environment, flags.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use toml::de::{DeTable, DeValue};

use super::known::{KNOWN, UPSTREAM};
use super::models::OTHERS;

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    File { file: PathBuf, line: usize, column: usize },
    Environment { variable: String },
    Flag { flag: String },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Self::Environment { variable } => write!(f, "environment {variable}"),
            Self::Flag { flag } => write!(f, "flag {flag}"),
        }
    }
}

/// Something wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) place: Place,
    pub(crate) problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// What the command line gives.
#[derive(Clone, Default)]
pub(crate) struct Flags {
    /// The settings file.
    pub(crate) config: Option<PathBuf>,
    /// Values, by the flag they came from and the setting's name.
    pub(crate) values: Vec<(String, String, String)>,
}

/// All values that were given, the winning one for each name. There is no Debug: secrets may be among them.
#[derive(Clone, Default)]
pub(crate) struct Given {
    pub(crate) values: BTreeMap<String, (String, Place)>,
    /// The table of models, if the file has one: name, engine, place.
    pub(crate) models: Option<Vec<(String, String, Place)>>,
    /// The table of services: name, title, place.
    pub(crate) services: Vec<(String, String, Place)>,
    /// The table of prices: model, words, place.
    pub(crate) prices: Vec<(String, String, Place)>,
    /// The tables of upstreams: name, then the place and the values of each.
    pub(crate) upstreams: Vec<(String, GivenUpstream)>,
    pub(crate) mistakes: Vec<Mistake>,
    /// What the environment says that is no setting: where the server is and who we are.
    pub(crate) url: Option<String>,
    pub(crate) token: Option<String>,
}

/// One table of an upstream.
#[derive(Clone)]
pub(crate) struct GivenUpstream {
    pub(crate) place: Place,
    pub(crate) values: BTreeMap<String, (String, Place)>,
    /// Its methods: pattern, name, place.
    pub(crate) methods: Vec<(String, String, Place)>,
}

impl Given {
    /// Reads all three sources.
    pub(crate) fn read(flags: &Flags) -> Self {
        let mut given = Self::default();
        let named = flags.config.clone().or_else(|| variable("KEYLODGE_CONFIG").map(PathBuf::from));
        match (named, default_file()) {
            (Some(file), _) => given.read_file(&file),
            (None, Some(file)) if file.exists() => given.read_file(&file),
            (None, _) => {}
        }
        for setting in KNOWN {
            let name = setting.variable();
            if let Some(value) = variable(&name) {
                given.values.insert(setting.name.to_owned(), (value, Place::Environment { variable: name }));
            }
        }
        for (flag, name, value) in &flags.values {
            let place = Place::Flag { flag: flag.clone() };
            match KNOWN.iter().find(|setting| setting.name == name) {
                Some(setting) if setting.secret => given.mistakes.push(Mistake {
                    place,
                    problem: format!(
                        "'{name}' is secret, and others can see the arguments of a process; use {}",
                        setting.variable()
                    ),
                }),
                Some(_) => {
                    given.values.insert(name.clone(), (value.clone(), place));
                }
                None => given.unknown(name, place),
            }
        }
        given.url = variable("KEYLODGE_URL");
        given.token = variable("KEYLODGE_TOKEN");
        given
    }

    /// Has all models answered by one upstream of the Gemini API, which is named in an argument.
    pub(crate) fn all_models_from(&mut self, upstream: &str, url: &str, flag: &str) {
        let place = Place::Flag { flag: flag.to_owned() };
        let value = |name: &str, value: &str| (name.to_owned(), (value.to_owned(), place.clone()));
        let values = BTreeMap::from([value("kind", "gemini"), value("url", url)]);
        let table = GivenUpstream { place: place.clone(), values, methods: Vec::new() };
        self.upstreams.retain(|(name, _)| name != upstream);
        self.upstreams.push((upstream.to_owned(), table));
        self.models = Some(vec![(OTHERS.to_owned(), upstream.to_owned(), place)]);
    }

    fn read_file(&mut self, file: &Path) {
        let place = |line, column| Place::File { file: file.to_owned(), line, column };
        match std::fs::read_to_string(file) {
            Ok(text) => self.read_toml(&text, &place),
            Err(error) => {
                self.mistakes.push(Mistake { place: place(1, 1), problem: format!("cannot read the file: {error}") });
            }
        }
    }

    fn read_toml(&mut self, text: &str, place: &dyn Fn(usize, usize) -> Place) {
        let at = |offset: usize| {
            let before = &text[..offset.min(text.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(1, |line| line.chars().count() + 1);
            place(line, column)
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let offset = error.span().map_or(0, |span| span.start);
            self.mistakes.push(Mistake { place: at(offset), problem: error.message().to_owned() });
        }
        self.read_table("", table.get_ref(), &at);
    }

    fn read_table(&mut self, prefix: &str, table: &DeTable<'_>, at: &dyn Fn(usize) -> Place) {
        for (key, value) in table {
            let name =
                if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
            let place = at(key.span().start);
            match value.get_ref() {
                DeValue::Table(inner) if name == "models" => {
                    self.models = Some(self.read_names(
                        inner,
                        at,
                        "must say what answers: \"auto\", \"embedded\", \"script\" or an upstream",
                    ));
                }
                DeValue::Table(inner) if name == "services" => {
                    self.services = self.read_names(inner, at, "must have its title for people");
                }
                DeValue::Table(inner) if name == "prices" => {
                    self.prices = self.read_names(inner, at, "must have its prices, as \"0.30 in, 2.50 out\"");
                }
                DeValue::Table(inner) if name == "upstreams" => self.read_upstreams(inner, at),
                DeValue::Table(inner) if KNOWN.iter().any(|known| known.name.starts_with(&format!("{name}."))) => {
                    self.read_table(&name, inner, at);
                }
                value => match KNOWN.iter().find(|known| known.name == name) {
                    Some(known) => match scalar(value).or_else(|| list(value).filter(|_| known.list)) {
                        Some(text) => {
                            self.values.insert(name, (text, place));
                        }
                        None => self.mistakes.push(Mistake {
                            place,
                            problem: format!("'{name}' must be a single value, not {}", value.type_str()),
                        }),
                    },
                    None => self.unknown(&name, place),
                },
            }
        }
    }

    fn read_upstreams(&mut self, table: &DeTable<'_>, at: &dyn Fn(usize) -> Place) {
        for (key, value) in table {
            let place = at(key.span().start);
            let DeValue::Table(inner) = value.get_ref() else {
                let problem = format!("the upstream '{}' must be a table with its kind and url", key.get_ref());
                self.mistakes.push(Mistake { place, problem });
                continue;
            };
            let mut given = GivenUpstream { place, values: BTreeMap::new(), methods: Vec::new() };
            for (field, value) in inner {
                let place = at(field.span().start);
                let name = field.get_ref().to_string();
                match (value.get_ref(), scalar(value.get_ref())) {
                    (DeValue::Table(methods), _) if name == "methods" => {
                        given.methods = self.read_names(methods, at, "must have the name of the method");
                    }
                    (_, Some(text)) if UPSTREAM.iter().any(|known| known.name == name) => {
                        given.values.insert(name, (text, place));
                    }
                    (_, Some(_)) => {
                        let known: Vec<&str> = UPSTREAM.iter().map(|known| known.name).collect();
                        let problem = format!("an upstream has no '{name}'; there are {}", known.join(", "));
                        self.mistakes.push(Mistake { place, problem });
                    }
                    (value, None) => {
                        let problem = format!("'{name}' must be a single value, not {}", value.type_str());
                        self.mistakes.push(Mistake { place, problem });
                    }
                }
            }
            self.upstreams.push((key.get_ref().to_string(), given));
        }
    }

    /// A table whose names are the caller's own: name, value, place.
    fn read_names(
        &mut self,
        table: &DeTable<'_>,
        at: &dyn Fn(usize) -> Place,
        wanted: &str,
    ) -> Vec<(String, String, Place)> {
        let mut names = Vec::new();
        for (key, value) in table {
            let place = at(key.span().start);
            match scalar(value.get_ref()) {
                Some(value) => names.push((key.get_ref().to_string(), value, place)),
                None => self.mistakes.push(Mistake { place, problem: format!("'{}' {wanted}", key.get_ref()) }),
            }
        }
        names
    }

    fn unknown(&mut self, name: &str, place: Place) {
        let nearest = KNOWN.iter().map(|known| known.name).min_by_key(|known| distance(known, name));
        let hint = nearest.filter(|known| distance(known, name) <= 3).map(|known| format!("; did you mean '{known}'?"));
        let problem = format!("there is no setting '{name}'{}", hint.unwrap_or_default());
        self.mistakes.push(Mistake { place, problem });
    }
}

/// A variable of the environment, if it is there and not empty.
#[expect(clippy::disallowed_methods, reason = "this is the settings module")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The settings file that is read when none is named.
fn default_file() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    Some(base.config_dir().join("keylodge").join("keylodge.toml"))
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        _ => None,
    }
}

/// An array as everywhere else: its entries with commas between.
fn list(value: &DeValue<'_>) -> Option<String> {
    let DeValue::Array(entries) = value else { return None };
    let entries: Option<Vec<String>> = entries.iter().map(|entry| scalar(entry.get_ref())).collect();
    Some(entries?.join(","))
}

/// Edits between two words (Levenshtein), to guess what was meant.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (place, known) in other.chars().enumerate() {
            let change = diagonal + usize::from(letter != known);
            diagonal = row[place + 1];
            row[place + 1] = change.min(row[place] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Given {
        let mut given = Given::default();
        given.read_toml(text, &|line, column| Place::File { file: "keylodge.toml".into(), line, column });
        given
    }

    #[test]
    fn every_mistake_of_a_file_is_reported_with_its_place() {
        let given = read("listne = \"127.0.0.1:1\"\nmodel = { thread = 3 }\n\n[limits]\nbody_bytes_max = [1]\n");

        let mistakes: Vec<String> = given.mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(
            mistakes,
            [
                "keylodge.toml:1:1: there is no setting 'listne'; did you mean 'listen'?",
                "keylodge.toml:2:11: there is no setting 'model.thread'; did you mean 'model.threads'?",
                "keylodge.toml:5:1: 'limits.body_bytes_max' must be a single value, not array",
            ]
        );
    }

    #[test]
    fn a_file_that_is_no_toml_says_where() {
        let given = read("listen = \n");

        assert!(given.mistakes[0].to_string().starts_with("keylodge.toml:1:"), "{:?}", given.mistakes);
    }

    #[test]
    fn values_of_any_simple_form_are_read() {
        let given = read(
            "listen = '127.0.0.1:1'\ntrusted_proxies = ['10.0.0.1', '10.1.0.0/16']\n[model]\nfetch = false\nthreads = 1_0\n[models]\nx = 'script'\n[services]\n'maps.example.com' = 'Maps'\n",
        );

        assert_eq!(given.mistakes, []);
        assert_eq!(given.values["model.fetch"].0, "false");
        assert_eq!(given.values["listen"].0, "127.0.0.1:1");
        assert_eq!(given.values["trusted_proxies"].0, "10.0.0.1,10.1.0.0/16");
        assert_eq!(given.models.unwrap()[0].1, "script");
        assert_eq!(given.services[0].0, "maps.example.com");
    }
}
