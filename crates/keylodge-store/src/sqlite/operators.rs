//! People and machines that manage keys.

use keylodge_rules::KeyHash;
use sqlx::Row;

use super::row::Columns;
use super::{Store, audit};
use crate::{Act, NewOperator, OperatorRecord, StoreError};

impl Store {
    /// Whether nobody can manage anything yet: the sign of a first start.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn has_no_operator(&self) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT count(*) AS operators FROM operators").fetch_one(&self.readers).await?;
        Ok(row.try_get::<i64, _>("operators")? == 0)
    }

    /// Makes an operator.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn create_operator(&self, new: &NewOperator, act: &Act) -> Result<(), StoreError> {
        let OperatorRecord { id, member, role } = &new.operator;
        let mut tx = self.begin().await?;
        sqlx::query("INSERT INTO operators (id, member, role, token_hash, create_time) VALUES (?, ?, ?, ?, ?)")
            .bind(id)
            .bind(member)
            .bind(role)
            .bind(&new.token_hash.as_bytes()[..])
            .bind(act.at.micros())
            .execute(&mut *tx)
            .await?;
        let revision = audit::next_revision(&mut tx, act, "operator", id).await?;
        audit::note(&mut tx, act, &format!("operators/{id}"), Some(revision)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The operator whose token has this hash.
    ///
    /// # Errors
    /// When the database does not answer; never because there is no such operator.
    pub async fn operator_by_token(&self, hash: &KeyHash) -> Result<Option<OperatorRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM operators WHERE token_hash = ?").bind(&hash.as_bytes()[..]);
        let Some(row) = row.fetch_optional(&self.readers).await? else { return Ok(None) };
        let columns = Columns::of("operators", &row);
        Ok(Some(OperatorRecord {
            id: columns.text("id")?,
            member: columns.text("member")?,
            role: columns.text("role")?,
        }))
    }
}
