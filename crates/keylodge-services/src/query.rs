//! Query parameters, as Google's servers read them: either spelling, empty means absent, unknown ones refused.

use http::Uri;
use keylodge_api::Status;
use keylodge_api::proto_json::MISTAKES_MAX;
use keylodge_api::status::FieldViolation;

use crate::partial::Mask;

/// The parameters of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    parameters: Vec<(String, String)>,
    fields: Option<Mask>,
}

impl Query {
    /// Reads the parameters, before anything is done: a mask that is none must not be noticed after a change.
    pub(crate) fn read(uri: &Uri) -> Result<Self, Status> {
        let mut query = Self::of(uri);
        query.fields = query.get("fields").map(Mask::parse).transpose().map_err(|_| {
            invalid("fields", "Invalid field selection. It looks like models(name,version),nextPageToken.")
        })?;
        Ok(query)
    }

    /// The same for a method whose parameters are known: every other one that is none of the system's is a mistake.
    pub(crate) fn read_known(uri: &Uri, known: &[&str]) -> Result<Self, Status> {
        let query = Self::read(uri)?;
        let unknown = query.parameters.iter().map(|(name, _)| name).filter(|name| {
            let name = plain(name);
            !SYSTEM.contains(&name.as_str()) && !known.iter().any(|known| plain(known) == name)
        });
        let mistakes: Vec<FieldViolation> = unknown
            .take(MISTAKES_MAX)
            .map(|name| {
                let name: String = name.chars().take(64).collect();
                let description = format!(
                    "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' could not be found in request message."
                );
                FieldViolation { field: String::new(), description }
            })
            .collect();
        if !mistakes.is_empty() {
            return Err(Status::bad_request(mistakes));
        }
        Ok(query)
    }

    /// Reads the parameters without a look at the mask, where none is used.
    pub(crate) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self { parameters: form_urlencoded::parse(query.as_bytes()).into_owned().collect(), fields: None }
    }

    /// Which fields of the answer are wanted, if not all.
    pub(crate) fn fields(&self) -> Option<&Mask> {
        self.fields.as_ref()
    }

    /// A parameter by its lowerCamelCase name, also found in snake_case and, for system parameters, with a `$`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let wanted = plain(name);
        let found = self.parameters.iter().find(|(name, _)| plain(name) == wanted);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter although it is empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        let wanted = plain(name);
        self.parameters.iter().find(|(name, _)| plain(name) == wanted).map(|(_, value)| value.as_str())
    }

    /// Every value of a repeated parameter.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let wanted = plain(name);
        let found = self.parameters.iter().filter(|(name, _)| plain(name) == wanted);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty()).collect()
    }

    /// A boolean in any of the three spellings that Google's clients use.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Status> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(invalid(name, format!("Invalid value at '{name}' (TYPE_BOOL): it is true or false."))),
        }
    }

    /// One of some words, or the number of one.
    pub(crate) fn word(&self, name: &str, words: &[&str]) -> Result<(), Status> {
        let Some(given) = self.get(name) else { return Ok(()) };
        let number = given.parse::<usize>().ok().filter(|number| *number < words.len());
        if number.is_some() || words.contains(&given) {
            return Ok(());
        }
        Err(invalid(name, format!("Invalid value at '{name}' (TYPE_ENUM): it is one of {}.", words.join(", "))))
    }

    /// A page size: absent or 0 gives the default, too large the maximum.
    pub(crate) fn page_size(&self, default: u32, max: u32) -> Result<u32, Status> {
        let Some(text) = self.get("pageSize") else { return Ok(default) };
        match text.parse::<i64>() {
            Ok(0) => Ok(default),
            Ok(size) if size > 0 => Ok(u32::try_from(size).unwrap_or(max).min(max)),
            _ => Err(invalid("page_size", "page_size must be a whole number that is not negative.")),
        }
    }

    /// Whether the answer is wanted on many lines (the default).
    pub(crate) fn pretty(&self) -> bool {
        self.get("prettyPrint").is_none_or(|value| !(value.eq_ignore_ascii_case("false") || value == "0"))
    }
}

/// What every method takes, as [`plain`] spells it.
const SYSTEM: [&str; 12] = [
    "accesstoken",
    "alt",
    "callback",
    "fields",
    "key",
    "oauthtoken",
    "prettyprint",
    "quotauser",
    "uploadprotocol",
    "uploadtype",
    ".xgafv",
    "userip",
];

/// A name in the one spelling that all its spellings share.
fn plain(name: &str) -> String {
    name.trim_start_matches('$').replace('_', "").to_ascii_lowercase()
}

/// INVALID_ARGUMENT about one field.
pub(crate) fn invalid(field: &str, description: impl Into<String>) -> Status {
    Status::bad_request(vec![FieldViolation { field: field.to_owned(), description: description.into() }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("/?{text}").parse().unwrap())
    }

    #[test]
    fn parameters_are_found_in_every_spelling_and_empty_ones_are_absent() {
        for text in ["pageSize=3", "page_size=3", "x=&pageSize=3"] {
            assert_eq!(query(text).page_size(50, 300), Ok(3), "{text}");
        }
        assert_eq!(query("%24alt=json%3Benum-encoding%3Dint").get("alt"), Some("json;enum-encoding=int"));
        assert_eq!(query("keyId=&pageSize=").get("keyId"), None);
        assert!(
            ["showDeleted=true", "showDeleted=True", "show_deleted=1"]
                .iter()
                .all(|text| query(text).flag("showDeleted") == Ok(true))
        );
        assert_eq!(query("showDeleted=false").flag("showDeleted"), Ok(false));
        assert!(query("showDeleted=maybe").flag("showDeleted").is_err());
    }

    #[test]
    fn a_page_size_is_lowered_silently_and_refused_when_negative() {
        assert_eq!(query("pageSize=0").page_size(50, 300), Ok(50));
        assert_eq!(query("pageSize=100000").page_size(50, 300), Ok(300));
        assert!(query("pageSize=-1").page_size(50, 300).is_err());
        assert!(query("pageSize=many").page_size(50, 300).is_err());
    }
}
