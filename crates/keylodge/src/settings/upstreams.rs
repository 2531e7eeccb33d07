//! The tables of upstreams, checked.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use keylodge_rules::ServiceName;
use keylodge_services::relay::{Base, CredentialHeader, Kind, MethodRule, Place, UpstreamSettings};
use keylodge_store::UpstreamSecret;

use super::config::whole;
use super::given::{self, Given, GivenUpstream, Mistake};
use super::openapi;

/// An upstream, and the files that belong to it.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) settings: UpstreamSettings,
    pub(crate) key_file: Option<PathBuf>,
    /// A credential that was given otherwise; then the file is not read.
    pub(crate) key: Option<UpstreamSecret>,
    openapi: Option<(PathBuf, given::Place)>,
}

impl Upstream {
    /// Its methods: those of the settings, then those of its OpenAPI document, which is read now. Commands that only want
    /// to know where the server is do without.
    ///
    /// # Errors
    /// Everything that is wrong with the document.
    pub(crate) fn methods(&self) -> Result<Vec<MethodRule>, Vec<Mistake>> {
        let mut methods = self.settings.methods.clone();
        if let Some((file, place)) = &self.openapi {
            let read = openapi::read(file, &self.settings.url.path);
            methods.extend(read.map_err(|problems| {
                let of = format!("the OpenAPI file {} of the upstream '{}'", file.display(), self.settings.name);
                let mistake = |problem| Mistake { place: place.clone(), problem: format!("{of}: {problem}") };
                problems.into_iter().map(mistake).collect::<Vec<_>>()
            })?);
        }
        Ok(methods)
    }
}

/// Checks all tables.
pub(super) fn read(given: &Given, mistakes: &mut Vec<Mistake>) -> Vec<Upstream> {
    given.upstreams.iter().filter_map(|(name, table)| upstream(name, table, mistakes)).collect()
}

fn upstream(name: &str, table: &GivenUpstream, mistakes: &mut Vec<Mistake>) -> Option<Upstream> {
    let before = mistakes.len();
    let mut check = Check { name, table, mistakes };
    let fits = (1..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !fits {
        check.mistake("has a name that is not 1 to 63 lower-case letters, digits and '-'");
    }
    let kind = check.required("kind", |text| match text {
        "gemini" => Ok(Kind::Gemini),
        "jules" => Ok(Kind::Jules),
        "openai" => Ok(Kind::OpenAi),
        "http" => Ok(Kind::Http),
        _ => Err("'gemini', 'jules', 'openai' or 'http'"),
    });
    let kind = kind.unwrap_or(Kind::Http);
    let url = check.required("url", Base::parse);
    let service = match kind {
        Kind::Gemini | Kind::OpenAi => service(keylodge_api::GEMINI_SERVICE).ok(),
        Kind::Jules => service("jules.googleapis.com").ok(),
        Kind::Http => check.required("service", service),
    };
    let title = check.maybe("title", |text| Ok::<_, &str>(text.to_owned()));
    let place = Place {
        host: check.maybe("host", |text| Ok::<_, &str>(text.to_ascii_lowercase())),
        path: match check.maybe("path", path) {
            Some(path) => path,
            None if table.values.contains_key("host") => String::new(),
            None => format!("/{name}"),
        },
    };
    let header = check.maybe("key_header", |text| text.parse::<HeaderName>().map_err(|_| "the name of a header"));
    let rules = table.methods.iter().filter_map(|(pattern, method, place)| {
        let rule = MethodRule::parse(pattern, method);
        rule.map_err(|wanted| {
            let problem = format!("the method '{pattern}' of the upstream '{name}' must have {wanted}");
            check.mistakes.push(Mistake { place: place.clone(), problem });
        })
        .ok()
    });
    let methods: Vec<MethodRule> = rules.collect();
    let seconds = |check: &mut Check<'_>, name, default, most| {
        Duration::from_secs(check.maybe(name, whole(1, most)).unwrap_or(default))
    };
    let output_tokens_max = check.maybe("output_tokens_max", whole(1, 1 << 30)).unwrap_or(65_536);
    let takes_top_k = check.maybe("takes_top_k", boolean).unwrap_or(true);
    let takes_effort = check.maybe("takes_reasoning_effort", boolean).unwrap_or(false);
    let settings = UpstreamSettings {
        name: name.to_owned(),
        kind,
        title: title.or_else(|| service.as_ref().map(ServiceName::to_string)).unwrap_or_default(),
        place,
        credential: credential(kind, header),
        methods,
        head_time_max: seconds(&mut check, "head_seconds_max", 300, 86_400),
        silence_max: seconds(&mut check, "silence_seconds_max", 120, 86_400),
        connect_time_max: seconds(&mut check, "connect_seconds_max", 10, 600),
        output_tokens_max,
        takes_top_k,
        takes_effort,
        is_open: check.maybe("dangerous_without_key", boolean).unwrap_or(false),
        url: url?,
        service: service?,
    };
    let key_file = check.maybe("key_file", |text| Ok::<_, &str>(PathBuf::from(text)));
    let openapi = check.maybe("openapi", |text| Ok::<_, &str>(PathBuf::from(text)));
    let openapi = openapi.zip(table.values.get("openapi").map(|(_, place)| place.clone()));
    (mistakes.len() == before).then_some(Upstream { settings, key_file, key: None, openapi })
}

/// Where the credential of an upstream goes.
fn credential(kind: Kind, header: Option<HeaderName>) -> Option<CredentialHeader> {
    let bearer = |name: HeaderName| {
        let prefix = if name == http::header::AUTHORIZATION { "Bearer " } else { "" };
        CredentialHeader { name, prefix }
    };
    match kind {
        Kind::Gemini | Kind::Jules => Some(bearer(HeaderName::from_static(keylodge_api::API_KEY_HEADER))),
        Kind::OpenAi => Some(bearer(http::header::AUTHORIZATION)),
        Kind::Http => header.map(bearer),
    }
}

fn service(text: &str) -> Result<ServiceName, &'static str> {
    ServiceName::parse(text).map_err(|error| error.rule)
}

fn path(text: &str) -> Result<String, &'static str> {
    let fits = text.starts_with('/') && !text.ends_with('/') && !text.contains(['?', '#', '%']);
    if fits { Ok(text.to_owned()) } else { Err("a path that begins with a slash and does not end with one") }
}

fn boolean(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "true or false")
}

/// Takes the values of one table and collects what is wrong with them.
struct Check<'given> {
    name: &'given str,
    table: &'given GivenUpstream,
    mistakes: &'given mut Vec<Mistake>,
}

impl Check<'_> {
    fn maybe<T, E: AsRef<str>>(&mut self, field: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let (text, place) = self.table.values.get(field)?;
        let wanted = match parse(text) {
            Ok(value) => return Some(value),
            Err(wanted) => wanted,
        };
        let problem = format!("'{field}' of the upstream '{}' must be {}", self.name, wanted.as_ref());
        self.mistakes.push(Mistake { place: place.clone(), problem });
        None
    }

    fn required<T, E: AsRef<str>>(&mut self, field: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        if !self.table.values.contains_key(field) {
            self.mistake(&format!("needs '{field}'"));
        }
        self.maybe(field, parse)
    }

    fn mistake(&mut self, problem: &str) {
        let problem = format!("the upstream '{}' {problem}", self.name);
        self.mistakes.push(Mistake { place: self.table.place.clone(), problem });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn place(line: usize) -> given::Place {
        given::Place::File { file: "keylodge.toml".into(), line, column: 1 }
    }

    /// An upstream with a method of its own and this OpenAPI file.
    fn upstream_of(file: &std::path::Path) -> Upstream {
        let values = [
            ("kind", "http"),
            ("url", "http://127.0.0.1:9000"),
            ("service", "weather.example.com"),
            ("openapi", file.to_str().unwrap()),
        ];
        let values = (2..).zip(values).map(|(line, (name, text))| (name.to_owned(), (text.to_owned(), place(line))));
        let methods = vec![("GET /v1/{any}".to_owned(), "Any".to_owned(), place(7))];
        let table = GivenUpstream { place: place(1), values: values.collect::<BTreeMap<_, _>>(), methods };
        let mut mistakes = Vec::new();
        let read = upstream("weather", &table, &mut mistakes);
        assert_eq!(mistakes, []);
        read.unwrap()
    }

    #[test]
    fn methods_of_the_settings_go_before_those_of_the_openapi_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weather.json");
        let document = r#"{"openapi": "3.0.3", "paths": {"/v1/forecast": {"get": {"operationId": "GetForecast"}}}}"#;
        std::fs::write(&file, document).unwrap();

        let methods = upstream_of(&file).methods().unwrap();

        let rule = |pattern, name| MethodRule::parse(pattern, name).unwrap();
        assert_eq!(methods, [rule("GET /v1/{any}", "Any"), rule("GET /v1/forecast", "GetForecast")]);
    }

    #[test]
    fn what_is_wrong_with_an_openapi_file_names_the_file_and_the_setting() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weather.yaml");
        std::fs::write(&file, "openapi: 3.0.3\n").unwrap();
        let wrong = |file: &std::path::Path| upstream_of(file).methods().unwrap_err()[0].to_string();

        let of = format!("keylodge.toml:5:1: the OpenAPI file {} of the upstream 'weather': ", file.display());
        assert!(wrong(&file).starts_with(&format!("{of}is not JSON; YAML is not read")), "{}", wrong(&file));
        std::fs::remove_file(&file).unwrap();
        assert!(wrong(&file).starts_with(&format!("{of}cannot be read: ")), "{}", wrong(&file));
    }
}
