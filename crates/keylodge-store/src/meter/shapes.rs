//! Calls with their callers by the hour: what a restriction or a limit is rehearsed on.

use std::collections::BTreeMap;
use std::sync::Arc;

use keylodge_rules::{KeyUid, ProjectNumber};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::dictionary::{AT_ONCE, HOURS_BACK, is_full};
use super::merge::{Seen, ShapeKey};
use super::row::{Columns, address_bytes, project_number, signed};
use super::{COUNT_MAX, CallerFacts, Meter, roll};
use crate::StoreError;

/// Which shapes are wanted.
#[derive(Clone, Debug, Default)]
pub struct ShapeQuery {
    /// Of calls in this project; of any without one.
    pub project: Option<ProjectNumber>,
    /// Of calls with this key; with any without one.
    pub key: Option<KeyUid>,
    /// From the hour of this minute on.
    pub from: i64,
    /// Up to the hour of the minute before this one.
    pub to: i64,
    /// How many at most.
    pub size: u32,
}

/// Calls that were alike, in one hour.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapeRow {
    /// The first minute of the hour.
    pub hour: i64,
    /// The project.
    pub project: Option<ProjectNumber>,
    /// The key.
    pub key: Option<KeyUid>,
    /// Which of its strings.
    pub generation: u32,
    /// As `generativelanguage.googleapis.com`.
    pub service: Arc<str>,
    /// Its full name.
    pub method: Arc<str>,
    /// The model.
    pub model: Arc<str>,
    /// What came of it.
    pub outcome: Arc<str>,
    /// What would have refused, were it enforced.
    pub shadow: Arc<str>,
    /// Who called.
    pub caller: CallerFacts,
    /// How often.
    pub calls: u64,
    /// The first minute in which it was seen.
    pub first_minute: i64,
    /// The last.
    pub last_minute: i64,
}

/// What a rehearsal is made on.
#[derive(Clone, Debug)]
pub struct Shapes {
    /// The latest hours first, and in an hour what was called most.
    pub rows: Vec<ShapeRow>,
    /// Whether there are more than were wanted.
    pub more: bool,
    /// Calls of these hours, of all projects together, that are in no row because an hour had too many different ones.
    pub left_out: u64,
}

/// Adds to the shapes of some hours; where there are more than `max` now, the oldest hours go. Before them go hours that
/// are more than a day after what comes now: a clock that was wrong then noted them, and they would stay the newest.
pub(super) async fn put(
    tx: &mut Transaction<'static, Sqlite>,
    shapes: &[(ShapeKey, Seen)],
    left_out: &BTreeMap<i64, u64>,
    max: u32,
) -> Result<(), StoreError> {
    for chunk in shapes.chunks(AT_ONCE) {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "INSERT INTO shapes (hour, project, key, generation, service, method, model, outcome, shadow, address,
                 referrer, android_package, android_cert, ios_bundle, client, calls, first_minute, last_minute) ",
        );
        sql.push_values(chunk, |mut tuple, (shape, seen)| {
            for number in [shape.hour, shape.project, shape.key, shape.generation].into_iter().chain(shape.words) {
                tuple.push_bind(number);
            }
            tuple.push_bind(address_bytes(shape.address));
            let seen = [signed(seen.calls.min(COUNT_MAX)), seen.first_minute, seen.last_minute];
            for number in shape.caller.into_iter().chain(seen) {
                tuple.push_bind(number);
            }
        });
        sql.push(" ON CONFLICT DO UPDATE SET calls = min(calls + excluded.calls, ").push(COUNT_MAX);
        sql.push("), first_minute = min(first_minute, excluded.first_minute),");
        sql.push(" last_minute = max(last_minute, excluded.last_minute)");
        sql.build().persistent(is_full(chunk)).execute(&mut **tx).await?;
    }
    for (hour, left_out) in left_out {
        sqlx::query(
            "INSERT INTO shape_hours (hour, shapes, left_out)
             VALUES (?1, (SELECT count(*) FROM shapes WHERE hour = ?1), ?2)
             ON CONFLICT DO UPDATE SET shapes = excluded.shapes, left_out = min(left_out + excluded.left_out, ?3)",
        )
        .bind(hour)
        .bind(signed((*left_out).min(COUNT_MAX)))
        .bind(signed(COUNT_MAX))
        .execute(&mut **tx)
        .await?;
    }
    let Some((newest, _)) = left_out.last_key_value() else { return Ok(()) };
    let gone = sqlx::query(
        "DELETE FROM shape_hours WHERE hour IN (
             SELECT hour FROM (
                 SELECT hour, sum(shapes) OVER (ORDER BY hour > ?, hour DESC) AS up_to_here FROM shape_hours)
             WHERE up_to_here > ?)
         RETURNING hour",
    );
    let gone = gone.bind(newest + HOURS_BACK).bind(i64::from(max)).fetch_all(&mut **tx).await?;
    for row in &gone {
        let hour: i64 = Columns::of("shape_hours", row).integer("hour")?;
        sqlx::query("DELETE FROM shapes WHERE hour = ?").bind(hour).execute(&mut **tx).await?;
    }
    if !gone.is_empty() {
        roll::forget_callers(tx).await?;
    }
    Ok(())
}

impl Meter {
    /// What was called in some hours, with the callers, for a rehearsal. It folds what is pending of them.
    ///
    /// Calls with neither key nor project are in no shape.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn shapes(&self, query: &ShapeQuery) -> Result<Shapes, StoreError> {
        let (from, to) = (query.from.div_euclid(60), query.to.saturating_add(59).div_euclid(60));
        self.fold_between(from.saturating_mul(60), to.saturating_mul(60)).await?;
        let mut tx = self.readers().begin().await?;
        // Hours first, so that a project's or a key's shapes are found in each without reading those of others.
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT s.*, k.uid, service.text AS service_text, method.text AS method_text, model.text AS model_text,
                 outcome.text AS outcome_text, shadow.text AS shadow_text, referrer.text AS referrer_text,
                 android_package.text AS android_package_text, android_cert.text AS android_cert_text,
                 ios_bundle.text AS ios_bundle_text, client.text AS client_text
             FROM shape_hours h CROSS JOIN shapes s ON s.hour = h.hour
             LEFT JOIN keys k ON k.id = s.key
             LEFT JOIN words service ON service.id = s.service
             LEFT JOIN words method ON method.id = s.method
             LEFT JOIN words model ON model.id = s.model
             LEFT JOIN words outcome ON outcome.id = s.outcome
             LEFT JOIN words shadow ON shadow.id = s.shadow
             LEFT JOIN caller_words referrer ON referrer.id = s.referrer
             LEFT JOIN caller_words android_package ON android_package.id = s.android_package
             LEFT JOIN caller_words android_cert ON android_cert.id = s.android_cert
             LEFT JOIN caller_words ios_bundle ON ios_bundle.id = s.ios_bundle
             LEFT JOIN caller_words client ON client.id = s.client
             WHERE h.hour >= ",
        );
        sql.push_bind(from).push(" AND h.hour < ").push_bind(to);
        if query.project.is_some() {
            sql.push(" AND s.project = ").push_bind(project_number(query.project));
        }
        if let Some(key) = &query.key {
            sql.push(" AND (s.project, s.key) IN (SELECT project, id FROM keys WHERE uid = ");
            sql.push_bind(key.as_bytes().to_vec()).push(")");
        }
        sql.push(" ORDER BY s.hour DESC, s.calls DESC LIMIT ").push_bind(i64::from(query.size) + 1);
        let rows = sql.build().fetch_all(&mut *tx).await?;
        let left_out =
            sqlx::query("SELECT coalesce(sum(left_out), 0) AS left_out FROM shape_hours WHERE hour >= ? AND hour < ?");
        let left_out = left_out.bind(from).bind(to).fetch_one(&mut *tx).await?;
        tx.commit().await?;

        let size = query.size as usize;
        Ok(Shapes {
            rows: rows.iter().take(size).map(shape).collect::<Result<_, _>>()?,
            more: rows.len() > size,
            left_out: Columns::of("shape_hours", &left_out).count("left_out")?,
        })
    }
}

fn shape(row: &SqliteRow) -> Result<ShapeRow, StoreError> {
    let columns = Columns::of("shapes", row);
    Ok(ShapeRow {
        hour: columns.integer("hour")? * 60,
        project: columns.project("project")?,
        key: columns.key_of("key", "uid")?,
        generation: u32::try_from(columns.integer("generation")?).map_err(|_| columns.contradiction("generation"))?,
        service: columns.word("service", "service_text")?,
        method: columns.word("method", "method_text")?,
        model: columns.word("model", "model_text")?,
        outcome: columns.word("outcome", "outcome_text")?,
        shadow: columns.word("shadow", "shadow_text")?,
        caller: CallerFacts {
            address: columns.address("address")?,
            referrer: columns.word("referrer", "referrer_text")?,
            android_package: columns.word("android_package", "android_package_text")?,
            android_cert: columns.word("android_cert", "android_cert_text")?,
            ios_bundle: columns.word("ios_bundle", "ios_bundle_text")?,
            client: columns.word("client", "client_text")?,
        },
        calls: columns.count("calls")?,
        first_minute: columns.integer("first_minute")?,
        last_minute: columns.integer("last_minute")?,
    })
}
