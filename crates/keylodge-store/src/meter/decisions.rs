//! Refusals that can be explained: a ring on disk.

use keylodge_rules::{KeyUid, ProjectNumber, Revision, Timestamp};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::cut::{NAME_CHARS_MAX, REFERRER_CHARS_MAX, WORD_CHARS_MAX, cut};
use super::row::{Columns, signed};
use super::{DecisionRow, Listed, Meter};
use crate::StoreError;

/// How large the facts of a decision may be as JSON. Of larger ones nothing is kept but that they were too large.
pub const FACTS_BYTES_MAX: usize = 4096;

/// Which decisions are wanted; without conditions, all.
#[derive(Clone, Debug, Default)]
pub struct DecisionQuery {
    /// Of calls in this project.
    pub project: Option<ProjectNumber>,
    /// Of calls with this key.
    pub key: Option<KeyUid>,
    /// With this word.
    pub refusal: Option<String>,
    /// Where the page begins: `next` of the one before.
    pub before: Option<u64>,
    /// How many at most.
    pub size: u32,
}

impl Meter {
    pub(super) async fn put_decisions(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        decisions: &[DecisionRow],
    ) -> Result<(), StoreError> {
        if decisions.is_empty() {
            return Ok(());
        }
        let room = usize::try_from(self.options().decisions_max).unwrap_or(usize::MAX);
        for decision in &decisions[decisions.len().saturating_sub(room)..] {
            sqlx::query(
                "INSERT INTO decisions (id, time, key, project, service, method, model, refusal, facts, revision)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(cut(&decision.id, WORD_CHARS_MAX))
            .bind(decision.at.micros())
            .bind(decision.key.as_ref().map(|key| key.as_bytes().to_vec()))
            .bind(decision.project.map(|project| signed(project.get())))
            .bind(cut(&decision.service, NAME_CHARS_MAX))
            .bind(cut(&decision.method, NAME_CHARS_MAX))
            .bind(cut(&decision.model, NAME_CHARS_MAX))
            .bind(cut(&decision.refusal, WORD_CHARS_MAX))
            .bind(facts_json(&decision.facts))
            .bind(signed(decision.revision.0))
            .execute(&mut **tx)
            .await?;
        }
        sqlx::query("DELETE FROM decisions WHERE sequence <= (SELECT max(sequence) FROM decisions) - ?")
            .bind(i64::from(self.options().decisions_max))
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The decision of this id, unless there was none or it is forgotten.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn decision(&self, id: &str) -> Result<Option<DecisionRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM decisions WHERE id = ?").bind(id).fetch_optional(self.readers()).await?;
        row.as_ref().map(decision).transpose()
    }

    /// Decisions, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn decisions(&self, query: &DecisionQuery) -> Result<Listed<DecisionRow, u64>, StoreError> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT * FROM decisions WHERE sequence < ");
        sql.push_bind(query.before.map_or(i64::MAX, signed));
        if let Some(key) = &query.key {
            sql.push(" AND key = ").push_bind(key.as_bytes().to_vec());
        }
        if let Some(project) = query.project {
            sql.push(" AND project = ").push_bind(signed(project.get()));
        }
        if let Some(refusal) = &query.refusal {
            sql.push(" AND refusal = ").push_bind(refusal.as_str());
        }
        let size = query.size.max(1);
        sql.push(" ORDER BY sequence DESC LIMIT ").push_bind(i64::from(size) + 1);
        let rows = sql.build().fetch_all(self.readers()).await?;

        let mut page = Listed { items: Vec::with_capacity(rows.len()), next: None };
        for (place, row) in (0..size).zip(&rows) {
            page.items.push(decision(row)?);
            if place + 1 == size && rows.len() > page.items.len() {
                page.next = Some(Columns::of("decisions", row).count("sequence")?);
            }
        }
        Ok(page)
    }
}

/// Facts as they are kept: texts cut, and not too large.
fn facts_json(facts: &Value) -> String {
    let mut facts = facts.clone();
    cut_texts(&mut facts);
    let json = facts.to_string();
    if json.len() <= FACTS_BYTES_MAX { json } else { serde_json::json!({ "tooLarge": json.len() }).to_string() }
}

fn cut_texts(value: &mut Value) {
    match value {
        Value::String(text) => text.truncate(cut(text, REFERRER_CHARS_MAX).len()),
        Value::Array(values) => values.iter_mut().for_each(cut_texts),
        Value::Object(values) => values.values_mut().for_each(cut_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn decision(row: &SqliteRow) -> Result<DecisionRow, StoreError> {
    let columns = Columns::of("decisions", row);
    Ok(DecisionRow {
        id: columns.shared_text("id")?,
        at: Timestamp::from_micros(columns.integer("time")?),
        key: columns.key("key")?,
        project: columns.project("project")?,
        service: columns.shared_text("service")?,
        method: columns.shared_text("method")?,
        model: columns.shared_text("model")?,
        refusal: columns.shared_text("refusal")?,
        facts: serde_json::from_str(columns.text("facts")?).map_err(|_| columns.contradiction("facts"))?,
        revision: Revision(columns.count("revision")?),
    })
}
