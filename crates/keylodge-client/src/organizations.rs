//! Organizations.

use keylodge_api::admin::CreateOrganizationRequest;
use keylodge_api::resource_manager::v3::{Organization, SearchOrganizationsResponse};

use crate::{Client, ClientError, segment};

impl Client {
    /// Makes an organization, owned by the operator.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn create_organization(&self, display_name: &str) -> Result<Organization, ClientError> {
        let request = CreateOrganizationRequest { display_name: display_name.to_owned() };
        self.transport.post("/keylodge/v1/organizations", &request).await
    }

    /// The organizations that the operator may see.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn list_organizations(&self, limit: Option<usize>) -> Result<Vec<Organization>, ClientError> {
        self.transport.pages::<SearchOrganizationsResponse>("/v3/organizations:search", &[], limit).await
    }

    /// An organization, by its number.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn get_organization(&self, organization: &str) -> Result<Organization, ClientError> {
        let number = organization.strip_prefix("organizations/").unwrap_or(organization);
        self.transport.get(&format!("/v3/organizations/{}", segment(number))).await
    }
}
