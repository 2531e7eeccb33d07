//! The `filter` of Resource Manager v1's list, as gcloud writes it:
//! `lifecycleState:ACTIVE AND (id:"team-*" OR labels.team:*)`.
//!
//! Terms side by side are joined by AND. A value matches whole, letters of either case alike; a `*` at its beginning or
//! end stands for anything.

use keylodge_api::resource_manager::v1::Project;

/// The longest filter that is read, in bytes.
const BYTES_MAX: usize = 2048;
/// How many parentheses and NOTs it may have, and so how deep it may be.
const NESTING_MAX: usize = 64;

/// What a project must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// `field:value`, or `field=value` when it must be exactly so.
    Term {
        field: String,
        value: String,
        exact: bool,
    },
}

/// The text is no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAFilter;

impl Filter {
    /// Reads a v1 filter: terms side by side must all match.
    pub(super) fn parse(text: &str) -> Result<Self, NotAFilter> {
        Self::read(text, &Word::And)
    }

    /// Reads a v3 query: of terms side by side one must match, as v3's documentation has it.
    pub(super) fn parse_query(text: &str) -> Result<Self, NotAFilter> {
        Self::read(text, &Word::Or)
    }

    fn read(text: &str, side_by_side: &Word) -> Result<Self, NotAFilter> {
        if text.len() > BYTES_MAX {
            return Err(NotAFilter);
        }
        let mut words: Vec<Word> = Vec::new();
        for word in words_of(text)? {
            let begins = matches!(word, Word::Term { .. } | Word::Not | Word::Open);
            if begins && matches!(words.last(), Some(Word::Term { .. } | Word::Close)) {
                words.push(side_by_side.clone());
            }
            words.push(word);
        }
        if words.iter().filter(|word| matches!(word, Word::Open | Word::Not)).count() > NESTING_MAX {
            return Err(NotAFilter);
        }
        let mut rest = &words[..];
        let filter = any(&mut rest)?;
        if rest.is_empty() { Ok(filter) } else { Err(NotAFilter) }
    }

    pub(super) fn matches(&self, project: &Project) -> bool {
        match self {
            Self::All(filters) => filters.iter().all(|filter| filter.matches(project)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(project)),
            Self::Not(filter) => !filter.matches(project),
            Self::Term { field, value, exact } => matches_field(project, field, value, *exact),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Open,
    Close,
    And,
    Or,
    Not,
    Term { field: String, value: String, exact: bool },
}

/// `a OR b OR c`
fn any(rest: &mut &[Word]) -> Result<Filter, NotAFilter> {
    let mut filters = vec![all(rest)?];
    while let [Word::Or, more @ ..] = rest {
        *rest = more;
        filters.push(all(rest)?);
    }
    Ok(one_or(filters, Filter::Any))
}

/// `a AND b AND c`
fn all(rest: &mut &[Word]) -> Result<Filter, NotAFilter> {
    let mut filters = vec![one(rest)?];
    while let [Word::And, more @ ..] = rest {
        *rest = more;
        filters.push(one(rest)?);
    }
    Ok(one_or(filters, Filter::All))
}

fn one(rest: &mut &[Word]) -> Result<Filter, NotAFilter> {
    let [first, more @ ..] = *rest else { return Err(NotAFilter) };
    *rest = more;
    match first {
        Word::Term { field, value, exact } => {
            Ok(Filter::Term { field: field.clone(), value: value.clone(), exact: *exact })
        }
        Word::Not => Ok(Filter::Not(Box::new(one(rest)?))),
        Word::Open => {
            let inside = any(rest)?;
            let [Word::Close, more @ ..] = *rest else { return Err(NotAFilter) };
            *rest = more;
            Ok(inside)
        }
        Word::And | Word::Or | Word::Close => Err(NotAFilter),
    }
}

fn one_or(mut filters: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.len() {
        1 => filters.remove(0),
        _ => many(filters),
    }
}

fn words_of(text: &str) -> Result<Vec<Word>, NotAFilter> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        match first {
            '(' | ')' => {
                words.push(if first == '(' { Word::Open } else { Word::Close });
                rest = &rest[1..];
            }
            '-' => {
                words.push(Word::Not);
                rest = &rest[1..];
            }
            _ => {
                let end = rest.find([' ', '(', ')', ':', '=']).unwrap_or(rest.len());
                let (name, more) = rest.split_at(end);
                match (name, more.strip_prefix([':', '='])) {
                    (_, Some(more)) if !name.is_empty() => {
                        let exact = rest[end..].starts_with('=');
                        let (value, more) = value(more)?;
                        words.push(Word::Term { field: name.to_owned(), value, exact });
                        rest = more;
                    }
                    (name, _) => {
                        words.push(match name {
                            "AND" => Word::And,
                            "OR" => Word::Or,
                            "NOT" => Word::Not,
                            _ => return Err(NotAFilter),
                        });
                        rest = more;
                    }
                }
            }
        }
        rest = rest.trim_start();
    }
    Ok(words)
}

/// A value, bare or in quotation marks, and what follows it.
fn value(text: &str) -> Result<(String, &str), NotAFilter> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, more) = quoted.split_once('"').ok_or(NotAFilter)?;
        return Ok((value.to_owned(), more));
    }
    let end = text.find([' ', '(', ')']).unwrap_or(text.len());
    let (value, more) = text.split_at(end);
    if value.is_empty() { Err(NotAFilter) } else { Ok((value.to_owned(), more)) }
}

/// Whether a field, by its name in v1 or v3 and in letters of either case, is as wanted.
fn matches_field(project: &Project, field: &str, value: &str, exact: bool) -> bool {
    let field = field.to_lowercase();
    let parent = project.parent.as_ref();
    let found = match field.as_str() {
        "name" | "displayname" => Some(project.name.clone()),
        "id" | "projectid" => Some(project.project_id.clone()),
        "projectnumber" => Some(project.project_number.clone()),
        "lifecyclestate" | "state" => Some(project.lifecycle_state.clone()),
        "parent" => parent.map(|parent| format!("{}s/{}", parent.kind, parent.id)),
        "parent.type" => parent.map(|parent| parent.kind.clone()),
        "parent.id" => parent.map(|parent| parent.id.clone()),
        // Whether there is a label of this name.
        "labels" => return project.labels.keys().any(|label| matches(label, value, exact)),
        _ => field.strip_prefix("labels.").and_then(|label| project.labels.get(label)).cloned(),
    };
    found.is_some_and(|found| matches(&found, value, exact))
}

/// A `*` at either end stands for anything. Without one, `:` is content with a whole word of the text, as gcloud is.
fn matches(found: &str, wanted: &str, exact: bool) -> bool {
    let (found, wanted) = (found.to_lowercase(), wanted.to_lowercase());
    match (wanted.strip_prefix('*'), wanted.strip_suffix('*')) {
        _ if wanted == "*" => true,
        (Some(_), Some(_)) => found.contains(&wanted[1..wanted.len() - 1]),
        (Some(end), None) => found.ends_with(end),
        (None, Some(begin)) => found.starts_with(begin),
        (None, None) => found == wanted || (!exact && found.split_whitespace().any(|word| word == wanted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: &str) -> bool {
        check_with(Filter::parse(filter))
    }

    fn check_with(filter: Result<Filter, NotAFilter>) -> bool {
        let project = Project {
            project_number: "123456789012".into(),
            project_id: "team-blue".into(),
            lifecycle_state: "ACTIVE".into(),
            name: "Team Blue".into(),
            labels: [("team".to_owned(), "blue".to_owned())].into(),
            ..Project::default()
        };
        filter.unwrap().matches(&project)
    }

    #[test]
    fn filters_are_read_as_gcloud_writes_them() {
        for (filter, expected) in [
            ("lifecycleState:ACTIVE", true),
            ("lifecycleState:DELETE_REQUESTED", false),
            (r#"lifecycleState:ACTIVE AND (id:"team-*")"#, true),
            (r#"lifecycleState:ACTIVE AND (id:"kg-*")"#, false),
            ("lifecycleState:ACTIVE AND (name:foo AND labels.team=blue)", false),
            (r#"lifecycleState:ACTIVE AND (labels.team:"*")"#, true),
            (r#"lifecycleState:ACTIVE AND (labels.colour:"*")"#, false),
            ("lifecycleState:ACTIVE AND (id=a OR name=\"team blue\")", true),
            ("lifecycleState:ACTIVE AND (NOT id:abc)", true),
            ("-id:team-blue", false),
            ("id:*blue labels.team:b*u", false),
            ("id:*am-b* labels.team:blue", true),
            ("NAME:blue", true),
            ("name=blue", false),
            ("LABELS.Team:blue lifecyclestate:active", true),
            ("labels:team labels:*", true),
            ("labels:colour", false),
        ] {
            assert_eq!(check(filter), expected, "{filter}");
        }
    }

    #[test]
    fn of_terms_side_by_side_in_a_query_one_is_enough() {
        for (query, expected) in [
            ("displayName:nobody id:team-blue", true),
            ("displayName:nobody AND id:team-blue", false),
            ("state:ACTIVE parent:organizations/1", true),
            ("parent.id:1", false),
        ] {
            assert_eq!(check_with(Filter::parse_query(query)), expected, "{query}");
        }
    }

    #[test]
    fn what_is_no_filter_is_noticed() {
        let deep = "(".repeat(NESTING_MAX + 1) + "id:a" + &")".repeat(NESTING_MAX + 1);
        for wrong in ["(", "id:", "id", "id:a OR", "id:a)", "AND id:a", "id:\"a", ":a", "()", deep.as_str()] {
            assert_eq!(Filter::parse(wrong), Err(NotAFilter), "{wrong}");
        }
    }
}
