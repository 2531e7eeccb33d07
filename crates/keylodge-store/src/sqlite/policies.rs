//! Who may do what: the policies of the deployment, its organizations and its projects.

use keylodge_rules::iam::{Binding, Condition, Expression, Member, Policy, RoleName};
use keylodge_rules::{ProjectNumber, Revision};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, Transaction};

use super::Store;
use super::audit::{self, About};
use super::row::{Columns, signed};
use crate::{Act, Committed, PolicyError, StoreError};

/// The resource of the policy that holds for everything.
pub const DEPLOYMENT: &str = "deployment";

impl Store {
    /// The policies of these resources, in their order; one that was never set is empty.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn policies(&self, resources: &[&str]) -> Result<Vec<Policy>, StoreError> {
        let rows = sqlx::query("SELECT * FROM policies WHERE resource IN (SELECT value FROM json_each(?))")
            .bind(json!(resources).to_string())
            .fetch_all(self.readers())
            .await?;
        let mut policies: Vec<Policy> =
            resources.iter().map(|_| Policy { etag: etag(Revision(0)), ..Policy::default() }).collect();
        for row in &rows {
            let resource = Columns::of("policies", row).text("resource")?;
            for (place, _) in resources.iter().enumerate().filter(|(_, wanted)| **wanted == resource) {
                policies[place] = policy(row)?;
            }
        }
        Ok(policies)
    }

    /// The resources in whose policies one of these members stands.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn resources_of(&self, members: &[String]) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(
            "SELECT DISTINCT resource FROM policy_members WHERE member IN (SELECT value FROM json_each(?)) ORDER BY resource",
        );
        let rows = rows.bind(json!(members).to_string()).fetch_all(self.readers()).await?;
        rows.iter().map(|row| Columns::of("policy_members", row).text("resource")).collect()
    }

    /// Replaces the policy of a project, an organization or the deployment. `expected` is the etag that the caller last read of it, if
    /// it cares.
    ///
    /// # Errors
    /// When the policy changed since, or the database does not answer.
    pub async fn set_policy(
        &self,
        resource: &str,
        new: &Policy,
        expected: Option<&[u8]>,
        project: Option<ProjectNumber>,
        act: &Act,
    ) -> Result<Committed<Policy>, PolicyError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("SELECT * FROM policies WHERE resource = ?").bind(resource);
        let known = row.fetch_optional(&mut *tx).await?.as_ref().map(policy).transpose()?;
        let known = known.map_or_else(|| etag(Revision(0)), |policy| policy.etag);
        if expected.is_some_and(|expected| expected != known) {
            return Err(PolicyError::Stale);
        }
        let revision = audit::next_revision(&mut tx, act, "policy", resource).await?;
        write(&mut tx, resource, new, revision).await?;
        let about = About { resource, revision: Some(revision), ..About::default() };
        match project {
            Some(project) => self.note_in_project(&mut tx, act, project, &about).await?,
            None => self.note(&mut tx, act, &about).await?,
        }
        tx.commit().await?;
        Ok(Committed { value: Policy { etag: etag(revision), ..new.clone() }, revision })
    }
}

/// What a caller echoes to show which policy it read: the revision that wrote it.
pub(super) fn etag(revision: Revision) -> Vec<u8> {
    revision.0.to_be_bytes().to_vec()
}

/// Writes a policy and where its members stand.
pub(super) async fn write(
    tx: &mut Transaction<'static, Sqlite>,
    resource: &str,
    policy: &Policy,
    revision: Revision,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO policies (resource, policy, revision) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET policy = excluded.policy, revision = excluded.revision",
    )
    .bind(resource)
    .bind(to_json(policy).to_string())
    .bind(signed(revision.0))
    .execute(&mut **tx)
    .await?;
    sqlx::query("DELETE FROM policy_members WHERE resource = ?").bind(resource).execute(&mut **tx).await?;
    for member in policy.bindings.iter().flat_map(|binding| &binding.members) {
        sqlx::query("INSERT OR IGNORE INTO policy_members (member, resource) VALUES (?, ?)")
            .bind(member.to_string().to_lowercase())
            .bind(resource)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

pub(super) fn policy(row: &SqliteRow) -> Result<Policy, StoreError> {
    let columns = Columns::of("policies", row);
    let kept: Value = serde_json::from_str(&columns.text("policy")?).map_err(|_| columns.contradiction("policy"))?;
    let mut policy = from_json(&kept).ok_or_else(|| columns.contradiction("policy"))?;
    policy.etag = etag(columns.revision("revision")?);
    Ok(policy)
}

fn to_json(policy: &Policy) -> Value {
    let bindings = policy.bindings.iter().map(|binding| {
        let members: Vec<String> = binding.members.iter().map(ToString::to_string).collect();
        let condition = binding
            .condition
            .as_ref()
            .map(|condition| json!([condition.title, condition.description, condition.expression.as_str()]));
        json!({"role": binding.role.to_string(), "members": members, "condition": condition})
    });
    json!({"version": policy.version, "bindings": bindings.collect::<Value>(), "audit": policy.audit_configs})
}

fn from_json(kept: &Value) -> Option<Policy> {
    let binding = |kept: &Value| {
        let members = kept["members"].as_array()?.iter().map(|member| Member::parse(member.as_str()?).ok());
        let condition = match &kept["condition"] {
            Value::Null => None,
            parts => Some(Condition {
                title: parts[0].as_str()?.to_owned(),
                description: parts[1].as_str()?.to_owned(),
                expression: Expression::parse(parts[2].as_str()?).ok()?,
            }),
        };
        let role = RoleName::parse(kept["role"].as_str()?).ok()?;
        Some(Binding { role, members: members.collect::<Option<_>>()?, condition })
    };
    Some(Policy {
        version: kept["version"].as_i64()?.try_into().ok()?,
        bindings: kept["bindings"].as_array()?.iter().map(binding).collect::<Option<_>>()?,
        audit_configs: kept["audit"].as_str().map(str::to_owned),
        ..Policy::default()
    })
}
