//! What was used, why calls were refused, and what would be.

use keylodge_api::admin::{
    Decision, Explanation, ListDecisionsResponse, ListUsageResponse, RehearseKeyRequest, RehearseKeyResponse, Time,
};
use keylodge_api::timestamp;

use crate::keys::placed;
use crate::transport::query;
use crate::{Client, ClientError, segment};

/// Which usage is wanted, and how it is told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageQuestion {
    /// In this project; without one, everywhere.
    pub project: Option<String>,
    /// From this moment on; a day before the end where nothing is said.
    pub start: Option<Time>,
    /// Before this moment; now where nothing is said.
    pub end: Option<Time>,
    /// `minute`, `hour`, `day` or `all`.
    pub step: Option<String>,
    /// Of `key`, `project`, `service`, `method`, `model`, `outcome`, `shadow` and `upstream`.
    pub group_by: Vec<String>,
    /// With this key, by id or uid; by uid where no project is named.
    pub key: Option<String>,
    /// Of this service.
    pub service: Option<String>,
    /// Of this method.
    pub method: Option<String>,
    /// Of this model.
    pub model: Option<String>,
    /// With this outcome.
    pub outcome: Option<String>,
    /// That what is on trial would have refused with this word; none, where it is empty.
    pub shadow: Option<String>,
    /// Answered by this upstream; by ourselves, where it is empty.
    pub upstream: Option<String>,
}

impl Client {
    /// A page of what was used, in the order of time. The first page has no token.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn usage(
        &self,
        question: &UsageQuestion,
        page_size: u32,
        page_token: Option<&str>,
    ) -> Result<ListUsageResponse, ClientError> {
        let of = question.project.as_deref().map(|project| format!("/projects/{}", segment(project)));
        let moment = |time: Option<Time>| time.map(|Time(moment)| timestamp::print(moment));
        let (start, end) = (moment(question.start), moment(question.end));
        let (group_by, size) = (question.group_by.join(","), page_size.to_string());
        // A key may be given by its whole name.
        let key = question.key.as_deref().map(|key| key.rsplit('/').next().unwrap_or(key));
        let query = query(&[
            ("startTime", start.as_deref()),
            ("endTime", end.as_deref()),
            ("step", question.step.as_deref()),
            ("groupBy", Some(group_by.as_str()).filter(|groups| !groups.is_empty())),
            ("keyId", key),
            ("service", question.service.as_deref()),
            ("method", question.method.as_deref()),
            ("model", question.model.as_deref()),
            ("outcome", question.outcome.as_deref()),
            ("shadow", question.shadow.as_deref()),
            ("upstream", question.upstream.as_deref()),
            ("pageSize", Some(&size)),
            ("pageToken", page_token),
        ]);
        self.transport.get(&format!("/keylodge/v1{}/usage{query}", of.unwrap_or_default())).await
    }

    /// Why a call was refused, by the id in the header `x-keylodge-decision` of the refusal.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn explain(&self, decision: &str) -> Result<Explanation, ClientError> {
        self.transport.get(&format!("/keylodge/v1/decisions/{}", segment(decision))).await
    }

    /// The calls with keys of a project that were refused, the newest first: with this key, with this word.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn list_decisions(
        &self,
        project: &str,
        key: Option<&str>,
        refusal: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<Decision>, ClientError> {
        let path = format!("/keylodge/v1/projects/{}/decisions", segment(project));
        self.transport.pages::<ListDecisionsResponse>(&path, &[("keyId", key), ("refusal", refusal)], limit).await
    }

    /// Tries restrictions and limits on the calls that a key made in the last days: who would have been refused.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn rehearse_key(
        &self,
        project: &str,
        key: &str,
        what: &RehearseKeyRequest,
    ) -> Result<RehearseKeyResponse, ClientError> {
        let (project, key) = placed(project, key);
        let (project, key) = (segment(project), segment(key));
        self.transport
            .post(&format!("/keylodge/v1/projects/{project}/locations/global/keys/{key}:rehearse"), what)
            .await
    }
}
