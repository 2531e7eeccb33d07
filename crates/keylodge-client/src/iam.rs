//! Policies: who may do what.

use keylodge_api::iam::{Policy, TestIamPermissionsResponse};
use serde_json::json;

use crate::{Client, ClientError, segment};

/// How often a change is tried anew where others change the policy at the same time.
const TRIES_MAX: u32 = 5;

/// What has a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A project, by id or number.
    Project(String),
    /// An organization, by number.
    Organization(String),
    /// All of it.
    Deployment,
}

impl Resource {
    fn path(&self, verb: &str) -> String {
        match self {
            Self::Project(project) => format!("/v3/projects/{}:{verb}", segment(project)),
            Self::Organization(name) => {
                let number = name.strip_prefix("organizations/").unwrap_or(name);
                format!("/v3/organizations/{}:{verb}", segment(number))
            }
            Self::Deployment => format!("/keylodge/v1/deployment:{verb}"),
        }
    }
}

impl Client {
    /// The policy of a resource, with its conditions.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn get_iam_policy(&self, resource: &Resource) -> Result<Policy, ClientError> {
        let body = json!({"options": {"requestedPolicyVersion": 3}});
        self.transport.post(&resource.path("getIamPolicy"), &body).await
    }

    /// Replaces the policy of a resource. A policy that was read carries an etag: if somebody changed the policy since,
    /// the server refuses with ABORTED.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn set_iam_policy(&self, resource: &Resource, policy: &Policy) -> Result<Policy, ClientError> {
        self.transport.post(&resource.path("setIamPolicy"), &json!({"policy": policy})).await
    }

    /// Reads the policy of a resource, lets `change` alter it, and writes it back; anew where somebody else was faster.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn alter_iam_policy(
        &self,
        resource: &Resource,
        mut change: impl FnMut(&mut Policy),
    ) -> Result<Policy, ClientError> {
        let mut tries = 1;
        loop {
            let mut policy = self.get_iam_policy(resource).await?;
            change(&mut policy);
            match self.set_iam_policy(resource, &policy).await {
                // The server said that it changed nothing, so it is safe to begin again.
                Err(error) if error.is("ABORTED") && tries < TRIES_MAX => tries += 1,
                done => return done,
            }
        }
    }

    /// Which of these permissions the operator has on a resource.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn test_iam_permissions(
        &self,
        resource: &Resource,
        permissions: &[String],
    ) -> Result<Vec<String>, ClientError> {
        let answer: TestIamPermissionsResponse =
            self.transport.post(&resource.path("testIamPermissions"), &json!({"permissions": permissions})).await?;
        Ok(answer.permissions)
    }
}
