//! Lists that come in pages.

use keylodge_api::admin::{
    Decision, ListDecisionsResponse, ListOperatorsResponse, ListTokensResponse, Operator, Token,
};
use keylodge_api::apikeys::{Key, ListKeysResponse};
use keylodge_api::iam::{ListRolesResponse, Role};
use keylodge_api::resource_manager::{v1, v3};
use keylodge_api::service_usage::{ListServicesResponse, Service};
use serde::de::DeserializeOwned;

use crate::ClientError;
use crate::transport::{Transport, query};

/// An answer that is a part of a list.
pub(crate) trait Page: DeserializeOwned {
    type Item;

    /// What is on it, and where the next begins.
    fn turn(self) -> (Vec<Self::Item>, Option<String>);
}

macro_rules! pages {
    ($($page:ty: $field:ident of $item:ty;)+) => {
        $(impl Page for $page {
            type Item = $item;

            fn turn(self) -> (Vec<Self::Item>, Option<String>) {
                (self.$field, self.next_page_token)
            }
        })+
    };
}

pages! {
    ListKeysResponse: keys of Key;
    v1::ListProjectsResponse: projects of v1::Project;
    v3::ListProjectsResponse: projects of v3::Project;
    v3::SearchOrganizationsResponse: organizations of v3::Organization;
    ListServicesResponse: services of Service;
    ListRolesResponse: roles of Role;
    ListOperatorsResponse: operators of Operator;
    ListTokensResponse: tokens of Token;
    ListDecisionsResponse: decisions of Decision;
}

impl Transport {
    /// The items of all pages, or as many as the limit says.
    pub(crate) async fn pages<P: Page>(
        &self,
        path: &str,
        parameters: &[(&str, Option<&str>)],
        limit: Option<usize>,
    ) -> Result<Vec<P::Item>, ClientError> {
        let limit = limit.unwrap_or(usize::MAX);
        let mut all = Vec::new();
        let mut token: Option<String> = None;
        while all.len() < limit {
            let size = (limit != usize::MAX).then(|| (limit - all.len()).min(PAGE_MAX).to_string());
            let mut parameters = parameters.to_vec();
            parameters.extend([("pageSize", size.as_deref()), ("pageToken", token.as_deref())]);
            let page: P = self.get(&format!("{path}{}", query(&parameters))).await?;
            let (items, next) = page.turn();
            all.extend(items);
            token = next.filter(|token| !token.is_empty());
            if token.is_none() {
                break;
            }
        }
        all.truncate(limit);
        Ok(all)
    }
}

/// The most that every list gives on a page.
const PAGE_MAX: usize = 200;
