//! Which services a project has switched on.

use keylodge_api::operation::Operation;
use keylodge_api::service_usage::{BatchEnableAnswer, ListServicesResponse, Service, ServiceAnswer};
use serde_json::json;

use crate::{Client, ClientError, segment};

impl Client {
    /// The services that there are, or those that match a filter: `state:ENABLED` or `state:DISABLED`.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn list_services(
        &self,
        project: &str,
        filter: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<Service>, ClientError> {
        self.transport.pages::<ListServicesResponse>(&services(project), &[("filter", filter)], limit).await
    }

    /// A service and whether the project has it on.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn get_service(&self, project: &str, service: &str) -> Result<Service, ClientError> {
        self.transport.get(&format!("{}/{}", services(project), segment(service))).await
    }

    /// Switches services on, all or none, at most 20 in one call.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn enable_services(&self, project: &str, names: &[String]) -> Result<Vec<Service>, ClientError> {
        let path = format!("{}:batchEnable", services(project));
        let operation: Operation<BatchEnableAnswer> = self.transport.post(&path, &json!({"serviceIds": names})).await?;
        Ok(operation.response.message.services)
    }

    /// Switches a service off; `force` also those that depend on it.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn disable_service(&self, project: &str, service: &str, force: bool) -> Result<Service, ClientError> {
        let path = format!("{}/{}:disable", services(project), segment(service));
        let operation: Operation<ServiceAnswer> =
            self.transport.post(&path, &json!({"disableDependentServices": force})).await?;
        Ok(operation.response.message.service)
    }
}

fn services(project: &str) -> String {
    format!("/v1/projects/{}/services", segment(project))
}
