//! What was used: sums over time, key, project and so on.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use keylodge_rules::{KeyUid, ProjectNumber};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use super::blob::clamped;
use super::row::{Columns, count_columns, project_number};
use super::{Counts, Listed, Meter};
use crate::StoreError;

/// Which calls are meant. Without a condition, all; an empty text means calls that have none.
///
/// Usage older than [`minutes_days`](super::MeterOptions::minutes_days) is known by whole hours, each of which belongs to
/// its first minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// From this minute on.
    pub from: i64,
    /// Before this minute.
    pub to: i64,
    /// In this project.
    pub project: Option<ProjectNumber>,
    /// With this key.
    pub key: Option<KeyUid>,
    /// Of this service.
    pub service: Option<String>,
    /// Of this method.
    pub method: Option<String>,
    /// Of this model.
    pub model: Option<String>,
    /// With this outcome.
    pub outcome: Option<String>,
    /// That this would have refused, were it enforced.
    pub shadow: Option<String>,
    /// Answered by this upstream.
    pub upstream: Option<String>,
}

/// How long a row of an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Step {
    /// A minute. What is older than minutes are kept stands in the first minute of its hour.
    Minute,
    /// An hour (UTC).
    Hour,
    /// So many hours as a day has, counted from the beginning of the range: who wants days of a time zone begins at a
    /// midnight there.
    Day,
    /// The whole range.
    #[default]
    All,
}

/// What calls are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Their project.
    Project,
    /// Their key.
    Key,
    /// Their service.
    Service,
    /// Their method.
    Method,
    /// Their model.
    Model,
    /// What came of them.
    Outcome,
    /// What would have refused them.
    Shadow,
    /// Who answered.
    Upstream,
}

impl Group {
    const ALL: [Self; 8] = [
        Self::Project,
        Self::Key,
        Self::Service,
        Self::Method,
        Self::Model,
        Self::Outcome,
        Self::Shadow,
        Self::Upstream,
    ];

    const fn column(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Key => "key",
            Self::Service => "service",
            Self::Method => "method",
            Self::Model => "model",
            Self::Outcome => "outcome",
            Self::Shadow => "shadow",
            Self::Upstream => "upstream",
        }
    }
}

/// A question about usage.
#[derive(Clone, Debug, Default)]
pub struct UsageQuery {
    /// Which calls.
    pub filter: UsageFilter,
    /// How long each row is.
    pub step: Step,
    /// What else they are told apart by.
    pub group_by: BTreeSet<Group>,
    /// Where the page begins: `next` of the one before.
    pub after: Option<UsagePlace>,
    /// How many rows at most.
    pub size: u32,
}

/// A row of an answer, in the order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageRow {
    /// The minute with which its step begins.
    pub start: i64,
    /// The project; none also where they are not told apart.
    pub project: Option<ProjectNumber>,
    /// The key; none also where they are not told apart, and where a minute had too many different ones.
    pub key: Option<KeyUid>,
    /// The service, where they are told apart.
    pub service: Option<Arc<str>>,
    /// The method, where they are told apart.
    pub method: Option<Arc<str>>,
    /// The model, where they are told apart.
    pub model: Option<Arc<str>>,
    /// What came of it, where that is told apart.
    pub outcome: Option<Arc<str>>,
    /// What would have refused, where that is told apart.
    pub shadow: Option<Arc<str>>,
    /// Who answered, where that is told apart.
    pub upstream: Option<Arc<str>>,
    /// How many calls, and what they took.
    pub counts: Counts,
}

/// Where a page ends. It stays good while usage is written, and has a text for page tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsagePlace([i64; 9]);

impl UsagePlace {
    /// Reads what `to_string` gave; nothing where it did not give that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse);
        let mut place = [0; 9];
        for number in &mut place {
            *number = numbers.next()?.ok()?;
        }
        numbers.next().is_none().then_some(Self(place))
    }
}

impl fmt::Display for UsagePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [start, groups @ ..] = self.0;
        write!(f, "{start}")?;
        groups.iter().try_for_each(|number| write!(f, ".{number}"))
    }
}

impl Meter {
    /// What was used, in the order of time. It folds what is pending of the range.
    ///
    /// Questions about one project or one key read little besides its rows; others read the whole range.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn usage(&self, query: &UsageQuery) -> Result<Listed<UsageRow, UsagePlace>, StoreError> {
        self.fold_between(query.filter.from, query.filter.to).await?;
        let rows = statement(query).build().fetch_all(self.readers()).await?;
        let size = query.size.max(1) as usize;
        let items = rows.iter().take(size).map(|row| usage_row(row, &query.group_by)).collect::<Result<_, _>>()?;
        let next = if rows.len() > size { Some(place(&rows[size - 1])?) } else { None };
        Ok(Listed { items, next })
    }

    /// What was used altogether. It folds what is pending of the range.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn totals(&self, filter: &UsageFilter) -> Result<Counts, StoreError> {
        let query = UsageQuery { filter: filter.clone(), ..UsageQuery::default() };
        Ok(self.usage(&query).await?.items.first().map(|row| row.counts).unwrap_or_default())
    }
}

/// The sums by number, with a page cut out of them, and then their texts.
fn statement(query: &UsageQuery) -> QueryBuilder<Sqlite> {
    let UsageQuery { filter, step, group_by, after, size } = query;
    let from = clamped(filter.from);
    let mut sql = QueryBuilder::<Sqlite>::new("");
    // Where the texts of the groups stand: group, table and column.
    let text = |group: &Group| match group {
        Group::Project => None,
        Group::Key => Some((group.column(), "keys", "uid")),
        _ => Some((group.column(), "words", "text")),
    };
    let texts = || group_by.iter().filter_map(text);
    let by_owner = filter.project.is_some() || filter.key.is_some();
    if by_owner {
        // The minutes there are, each found by one step in the table; in each the rows of an owner stand together.
        sql.push("WITH RECURSIVE minutes (at) AS (SELECT min(minute) FROM usage WHERE minute >= ");
        sql.push_bind(from).push(" UNION ALL SELECT (SELECT min(minute) FROM usage WHERE minute > at)");
        sql.push(" FROM minutes WHERE at < ").push_bind(filter.to).push(") ");
    }
    sql.push("SELECT g.*");
    for (group, _, text) in texts() {
        sql.push(format_args!(", t_{group}.{text} AS t_{group}"));
    }
    sql.push(" FROM (SELECT ");
    match step {
        Step::Minute => sql.push("minute"),
        Step::Hour => sql.push("minute - minute % 60"),
        Step::Day => sql.push("minute - (minute - ").push_bind(from).push(") % 1440"),
        Step::All => sql.push_bind(from),
    };
    sql.push(" AS g_start");
    for group in Group::ALL {
        let number = if group_by.contains(&group) { group.column() } else { "0" };
        sql.push(format_args!(", {number} AS g_{}", group.column()));
    }
    for count in count_columns() {
        sql.push(format_args!(", sum({count}) AS {count}"));
    }
    sql.push(if by_owner { " FROM minutes CROSS JOIN usage ON minute = at" } else { " FROM usage" });
    sql.push(" WHERE minute >= ").push_bind(from).push(" AND minute < ").push_bind(filter.to);
    push_conditions(&mut sql, filter);
    sql.push(" GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9");
    if let Some(UsagePlace(place)) = after {
        sql.push(
            " HAVING (g_start, g_project, g_key, g_service, g_method, g_model, g_outcome, g_shadow, g_upstream) > (",
        );
        let mut numbers = sql.separated(", ");
        for number in place {
            numbers.push_bind(*number);
        }
        sql.push(")");
    }
    sql.push(" ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9 LIMIT ").push_bind(i64::from((*size).max(1)) + 1).push(") g");
    for (group, table, _) in texts() {
        sql.push(format_args!(" LEFT JOIN {table} t_{group} ON t_{group}.id = g_{group}"));
    }
    sql.push(" ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9");
    sql
}

fn push_conditions(sql: &mut QueryBuilder<Sqlite>, filter: &UsageFilter) {
    if filter.project.is_some() {
        sql.push(" AND project = ").push_bind(project_number(filter.project));
    }
    if let Some(key) = &filter.key {
        sql.push(" AND (project, key) IN (SELECT project, id FROM keys WHERE uid = ");
        sql.push_bind(key.as_bytes().to_vec()).push(")");
    }
    let words = [
        (Group::Service, &filter.service),
        (Group::Method, &filter.method),
        (Group::Model, &filter.model),
        (Group::Outcome, &filter.outcome),
        (Group::Shadow, &filter.shadow),
        (Group::Upstream, &filter.upstream),
    ];
    for (group, text) in words {
        match text.as_deref() {
            None => continue,
            Some("") => sql.push(format_args!(" AND {} = 0", group.column())),
            Some(text) => {
                sql.push(format_args!(" AND {} = (SELECT id FROM words WHERE text = ", group.column()));
                sql.push_bind(text.to_owned()).push(")")
            }
        };
    }
}

fn usage_row(row: &SqliteRow, group_by: &BTreeSet<Group>) -> Result<UsageRow, StoreError> {
    let columns = Columns::of("usage", row);
    let word = |group: Group, number: &'static str, text: &'static str| {
        group_by.contains(&group).then(|| columns.word(number, text)).transpose()
    };
    let told_key = group_by.contains(&Group::Key);
    Ok(UsageRow {
        start: columns.integer("g_start")?,
        project: columns.project("g_project")?,
        key: if told_key { columns.key_of("g_key", "t_key")? } else { None },
        service: word(Group::Service, "g_service", "t_service")?,
        method: word(Group::Method, "g_method", "t_method")?,
        model: word(Group::Model, "g_model", "t_model")?,
        outcome: word(Group::Outcome, "g_outcome", "t_outcome")?,
        shadow: word(Group::Shadow, "g_shadow", "t_shadow")?,
        upstream: word(Group::Upstream, "g_upstream", "t_upstream")?,
        counts: columns.counts()?,
    })
}

fn place(row: &SqliteRow) -> Result<UsagePlace, StoreError> {
    let columns =
        ["g_start", "g_project", "g_key", "g_service", "g_method", "g_model", "g_outcome", "g_shadow", "g_upstream"];
    Columns::of("usage", row).integers(columns).map(UsagePlace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_place_reads_back(place: [i64; 9]) {
            prop_assert_eq!(UsagePlace::parse(&UsagePlace(place).to_string()), Some(UsagePlace(place)));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            let _ = UsagePlace::parse(&text);
        }
    }

    #[test]
    fn nothing_else_is_a_place() {
        let wrong = ["", "1", "1.2.3.4.5.6.7.8", "1.2.3.4.5.6.7.8.9.10", "1.2.3.4.5.6.7.8.x", "1.2.3.4.5.6.7.8."];
        assert!(wrong.iter().all(|wrong| UsagePlace::parse(wrong).is_none()));
    }
}
