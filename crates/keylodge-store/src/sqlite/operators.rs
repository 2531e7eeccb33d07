//! People and machines that manage keys, and their tokens.

use keylodge_rules::{KeyHash, Revision, Timestamp};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::audit::{self, About};
use super::row::{Columns, micros, signed};
use super::{Store, is_taken};
use crate::record::{NewToken, TokenRecord};
use crate::{Act, Committed, NewOperator, OperatorError, OperatorRecord, Page, StoreError};

impl Store {
    /// Whether nobody can manage anything yet: the sign of a first start.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn has_no_operator(&self) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT count(*) AS operators FROM operators").fetch_one(self.readers()).await?;
        Ok(row.try_get::<i64, _>("operators")? == 0)
    }

    /// Makes an operator, with a first token if one is given.
    ///
    /// # Errors
    /// When the id or the member is taken, or the database does not answer.
    pub async fn create_operator(
        &self,
        new: &NewOperator,
        token: Option<&NewToken>,
        act: &Act,
    ) -> Result<Committed<OperatorRecord>, OperatorError> {
        let mut tx = self.begin().await?;
        let revision = audit::next_revision(&mut tx, act, "operator", &new.id).await?;
        let written = sqlx::query(
            "INSERT INTO operators (id, member, display_name, create_time, created_at, revision)
             VALUES (?, ?, ?, ?, ?, ?) RETURNING *",
        )
        .bind(&new.id)
        .bind(&new.member)
        .bind(&new.display_name)
        .bind(act.at.micros())
        .bind(signed(revision.0))
        .bind(signed(revision.0))
        .fetch_one(&mut *tx)
        .await;
        let value = match written {
            Ok(row) => operator(&row)?,
            Err(error) if is_taken(&error) => return Err(OperatorError::Taken),
            Err(error) => return Err(error.into()),
        };
        if let Some(token) = token {
            insert_token(&mut tx, token, revision, act).await?;
        }
        let about = About { resource: &format!("operators/{}", new.id), revision: Some(revision), ..About::default() };
        self.note(&mut tx, act, &about).await?;
        tx.commit().await?;
        Ok(Committed { value, revision })
    }

    /// The operator with this id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn operator(&self, id: &str) -> Result<Option<OperatorRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM operators WHERE id = ?").bind(id);
        row.fetch_optional(self.readers()).await?.as_ref().map(operator).transpose()
    }

    /// The operator that IAM policies call so.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn operator_by_member(&self, member: &str) -> Result<Option<OperatorRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM operators WHERE member = ?").bind(member);
        row.fetch_optional(self.readers()).await?.as_ref().map(operator).transpose()
    }

    /// The operator whose token has this hash, and the token. Whether both are good is for the caller to see.
    ///
    /// # Errors
    /// When the database does not answer; never because there is no such token.
    pub async fn operator_by_token(&self, hash: &KeyHash) -> Result<Option<(OperatorRecord, TokenRecord)>, StoreError> {
        let row = sqlx::query("SELECT * FROM tokens WHERE hash = ?").bind(&hash.as_bytes()[..]);
        let Some(row) = row.fetch_optional(self.readers()).await? else { return Ok(None) };
        let token = token(&row)?;
        Ok(self.operator(&token.operator).await?.map(|operator| (operator, token)))
    }

    /// A page of all operators in the order of their creation.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn operators(&self, after: Revision, size: u32) -> Result<Page<OperatorRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM operators WHERE created_at > ? ORDER BY created_at LIMIT ?")
            .bind(signed(after.0))
            .bind(i64::from(size) + 1)
            .fetch_all(self.readers())
            .await?;
        let items = rows.iter().map(operator).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, size, |operator| operator.created_at))
    }

    /// Alters an operator: `change` is given the record as it is now, under the write lock. It may set the display name,
    /// whether it is disabled, and the terms.
    ///
    /// # Errors
    /// What `change` says; when there is no such operator; or when the database does not answer.
    pub async fn alter_operator(
        &self,
        id: &str,
        act: &Act,
        change: impl FnOnce(&mut OperatorRecord) -> Result<(), OperatorError> + Send,
    ) -> Result<Committed<OperatorRecord>, OperatorError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("SELECT * FROM operators WHERE id = ?").bind(id).fetch_optional(&mut *tx).await?;
        let mut value = operator(&row.ok_or(OperatorError::NoSuchOperator)?)?;
        change(&mut value)?;
        let revision = audit::next_revision(&mut tx, act, "operator", id).await?;
        sqlx::query(
            "UPDATE operators SET display_name = ?, disable_time = ?, terms_version = ?, terms_time = ?, revision = ? WHERE id = ?",
        )
        .bind(&value.display_name)
        .bind(micros(value.disable_time))
        .bind(value.terms.as_ref().map(|(version, _)| version))
        .bind(value.terms.as_ref().map(|(_, time)| time.micros()))
        .bind(signed(revision.0))
        .bind(id)
        .execute(&mut *tx)
        .await?;
        let about = About { resource: &format!("operators/{id}"), revision: Some(revision), ..About::default() };
        self.note(&mut tx, act, &about).await?;
        tx.commit().await?;
        Ok(Committed { value, revision })
    }

    /// Gives an operator one more token.
    ///
    /// # Errors
    /// When there is no such operator, or the database does not answer.
    pub async fn create_token(&self, new: &NewToken, act: &Act) -> Result<Committed<TokenRecord>, OperatorError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("SELECT 1 FROM operators WHERE id = ?").bind(&new.operator);
        row.fetch_optional(&mut *tx).await?.ok_or(OperatorError::NoSuchOperator)?;
        let revision = audit::next_revision(&mut tx, act, "token", &new.id).await?;
        let value = insert_token(&mut tx, new, revision, act).await?;
        let resource = format!("operators/{}/tokens/{}", new.operator, new.id);
        let about = About { resource: &resource, revision: Some(revision), ..About::default() };
        self.note(&mut tx, act, &about).await?;
        tx.commit().await?;
        Ok(Committed { value, revision })
    }

    /// The tokens of an operator in the order of their creation, revoked ones included.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tokens(&self, operator: &str, after: Revision, size: u32) -> Result<Page<TokenRecord>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM tokens WHERE operator = ? AND created_at > ? ORDER BY created_at LIMIT ?")
                .bind(operator)
                .bind(signed(after.0))
                .bind(i64::from(size) + 1)
                .fetch_all(self.readers())
                .await?;
        let items = rows.iter().map(token).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, size, |token| token.created_at))
    }

    /// How many tokens of an operator are neither revoked nor expired.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn live_tokens(&self, operator: &str, now: Timestamp) -> Result<u64, StoreError> {
        let row = sqlx::query(
            "SELECT count(*) AS live FROM tokens
             WHERE operator = ? AND revoke_time IS NULL AND (expire_time IS NULL OR expire_time > ?)",
        );
        let row = row.bind(operator).bind(now.micros()).fetch_one(self.readers()).await?;
        Columns::of("tokens", &row).count("live")
    }

    /// Revokes a token: it proves nobody any more from the next request on.
    ///
    /// # Errors
    /// When there is no such token, it is revoked already, or the database does not answer.
    pub async fn revoke_token(
        &self,
        operator: &str,
        id: &str,
        act: &Act,
    ) -> Result<Committed<TokenRecord>, OperatorError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("SELECT * FROM tokens WHERE id = ? AND operator = ?").bind(id).bind(operator);
        let mut value = token(&row.fetch_optional(&mut *tx).await?.ok_or(OperatorError::NoSuchToken)?)?;
        if value.revoke_time.is_some() {
            return Err(OperatorError::WrongState);
        }
        value.revoke_time = Some(act.at);
        let revision = audit::next_revision(&mut tx, act, "token", id).await?;
        sqlx::query("UPDATE tokens SET revoke_time = ? WHERE id = ?")
            .bind(act.at.micros())
            .bind(id)
            .execute(&mut *tx)
            .await?;
        let resource = format!("operators/{operator}/tokens/{id}");
        let about = About { resource: &resource, revision: Some(revision), ..About::default() };
        self.note(&mut tx, act, &about).await?;
        tx.commit().await?;
        Ok(Committed { value, revision })
    }

    /// Notes when tokens were last used.
    ///
    /// # Errors
    /// When the database does not answer; then none is noted.
    pub async fn note_token_uses(&self, uses: &[(String, Timestamp)]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for (id, time) in uses {
            sqlx::query("UPDATE tokens SET last_use_time = max(coalesce(last_use_time, 0), ?) WHERE id = ?")
                .bind(time.micros())
                .bind(id)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn insert_token(
    tx: &mut sqlx::Transaction<'static, sqlx::Sqlite>,
    new: &NewToken,
    revision: Revision,
    act: &Act,
) -> Result<TokenRecord, StoreError> {
    let row = sqlx::query(
        "INSERT INTO tokens (id, operator, display_name, hash, create_time, expire_time, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *",
    )
    .bind(&new.id)
    .bind(&new.operator)
    .bind(&new.display_name)
    .bind(&new.hash.as_bytes()[..])
    .bind(act.at.micros())
    .bind(micros(new.expire_time))
    .bind(signed(revision.0))
    .fetch_one(&mut **tx)
    .await?;
    token(&row)
}

fn operator(row: &SqliteRow) -> Result<OperatorRecord, StoreError> {
    let columns = Columns::of("operators", row);
    Ok(OperatorRecord {
        id: columns.text("id")?,
        member: columns.text("member")?,
        display_name: columns.text("display_name")?,
        create_time: columns.time("create_time")?,
        disable_time: columns.optional_time("disable_time")?,
        terms: columns.optional_text("terms_version")?.zip(columns.optional_time("terms_time")?),
        created_at: columns.revision("created_at")?,
    })
}

fn token(row: &SqliteRow) -> Result<TokenRecord, StoreError> {
    let columns = Columns::of("tokens", row);
    Ok(TokenRecord {
        id: columns.text("id")?,
        operator: columns.text("operator")?,
        display_name: columns.text("display_name")?,
        create_time: columns.time("create_time")?,
        expire_time: columns.optional_time("expire_time")?,
        revoke_time: columns.optional_time("revoke_time")?,
        last_use_time: columns.optional_time("last_use_time")?,
        created_at: columns.revision("created_at")?,
    })
}
