//! Operators and their tokens. `me` names the operator who asks.

use keylodge_api::admin::{
    CreateOperatorRequest, CreateOperatorResponse, CreateTokenRequest, ListOperatorsResponse, ListTokensResponse,
    Operator, Token,
};
use serde_json::json;

use crate::{Client, ClientError, segment};

const OPERATORS: &str = "/keylodge/v1/operators";

impl Client {
    /// Makes an operator and its first token, which is shown this once.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn create_operator(&self, new: &CreateOperatorRequest) -> Result<CreateOperatorResponse, ClientError> {
        self.transport.post(OPERATORS, new).await
    }

    /// Operators, in the order they were made.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn list_operators(&self, limit: Option<usize>) -> Result<Vec<Operator>, ClientError> {
        self.transport.pages::<ListOperatorsResponse>(OPERATORS, &[], limit).await
    }

    /// An operator, by id or member.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn get_operator(&self, operator: &str) -> Result<Operator, ClientError> {
        self.transport.get(&path(operator)).await
    }

    /// Switches an operator off: its tokens prove nobody from the next request on.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn disable_operator(&self, operator: &str) -> Result<Operator, ClientError> {
        self.transport.post(&format!("{}:disable", path(operator)), &json!({})).await
    }

    /// Switches an operator on again.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn enable_operator(&self, operator: &str) -> Result<Operator, ClientError> {
        self.transport.post(&format!("{}:enable", path(operator)), &json!({})).await
    }

    /// Gives an operator one more token, shown this once.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn create_token(&self, operator: &str, new: &CreateTokenRequest) -> Result<Token, ClientError> {
        self.transport.post(&format!("{}/tokens", path(operator)), new).await
    }

    /// The tokens of an operator, revoked ones included.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn list_tokens(&self, operator: &str, limit: Option<usize>) -> Result<Vec<Token>, ClientError> {
        self.transport.pages::<ListTokensResponse>(&format!("{}/tokens", path(operator)), &[], limit).await
    }

    /// Revokes a token of an operator.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn revoke_token(&self, operator: &str, token: &str) -> Result<Token, ClientError> {
        self.transport.delete(&format!("{}/tokens/{}", path(operator), segment(token))).await
    }
}

fn path(operator: &str) -> String {
    format!("{OPERATORS}/{}", segment(operator.strip_prefix("operators/").unwrap_or(operator)))
}
