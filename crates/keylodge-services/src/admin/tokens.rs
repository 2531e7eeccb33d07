//! The bearer tokens of operators. Everybody manages their own.

use axum::response::Response;
use keylodge_api::admin::{CreateTokenRequest, ListTokensResponse, Time, Token};
use keylodge_api::{Code, Status};
use keylodge_rules::{KeyUid, OperatorToken, Timestamp};
use keylodge_store::{NewToken, TokenRecord};

use super::operators::{expiry_or_status, visible};
use crate::management::Call;
use crate::query::invalid;
use crate::{Lodge, failure, paging, uses};

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1000;
/// How many tokens that are neither revoked nor expired an operator has at most.
const TOKENS_MAX: u64 = 100;

pub(crate) async fn list(call: Call) -> Result<Response, Status> {
    let operator = visible(&call, "keylodge.tokens.list").await?;
    // So that what was used a moment ago reads so.
    uses::freshen(&call.lodge).await;
    let size = call.query.page_size(PAGE_DEFAULT, PAGE_MAX)?;
    let page = call.lodge.store.tokens(&operator.id, paging::begin(&call.query)?, size).await;
    let page = page.map_err(|error| failure::store(&error))?;
    call.answer(&ListTokensResponse {
        tokens: page.items.iter().map(|record| to_wire(record, None)).collect(),
        next_page_token: page.next.map(paging::token),
    })
}

pub(crate) async fn create(mut call: Call) -> Result<Response, Status> {
    let request: CreateTokenRequest = call.read().await?;
    let operator = visible(&call, "keylodge.tokens.create").await?;
    if request.display_name.chars().count() > 63 {
        return Err(invalid("display_name", "display_name must have at most 63 characters."));
    }
    let expire_time = expiry_or_status(call.lodge.now(), request.expire_time, request.ttl)?;
    // A token cannot outlive itself by making another.
    let expire_time = if operator.id == call.operator.record().id {
        expire_time.into_iter().chain(call.operator.expires()).min()
    } else {
        expire_time
    };
    let live = call.lodge.store.live_tokens(&operator.id, call.lodge.now()).await;
    if live.map_err(|error| failure::store(&error))? >= TOKENS_MAX {
        return Err(Status::new(
            Code::ResourceExhausted,
            format!("The operator has {TOKENS_MAX} tokens, which is the most one can have. Revoke one first."),
        ));
    }
    let token = OperatorToken::issue(&call.lodge.random());
    let act = call.act_with([("display_name", request.display_name.clone())]);
    let new = new(&call.lodge, &operator.id, &token, request.display_name, expire_time);
    let made = call.lodge.store.create_token(&new, &act).await.map_err(|error| failure::operator(&error))?;
    call.answer(&to_wire(&made.value, Some(&token)))
}

pub(crate) async fn revoke(call: Call) -> Result<Response, Status> {
    let operator = visible(&call, "keylodge.tokens.delete").await?;
    let revoked = call.lodge.store.revoke_token(&operator.id, call.place("token"), &call.act()).await;
    call.answer(&to_wire(&revoked.map_err(|error| failure::operator(&error))?.value, None))
}

/// A token to be made for an operator.
pub(crate) fn new(
    lodge: &Lodge,
    operator: &str,
    token: &OperatorToken,
    display_name: String,
    expire_time: Option<Timestamp>,
) -> NewToken {
    NewToken {
        id: KeyUid::from_random(lodge.random()).to_string(),
        operator: operator.to_owned(),
        display_name,
        hash: lodge.master.pepper().hash_token(token),
        expire_time,
    }
}

/// A token as it is kept, into a token as it travels; with the token itself where it was just made.
pub(crate) fn to_wire(record: &TokenRecord, token: Option<&OperatorToken>) -> Token {
    Token {
        name: format!("operators/{}/tokens/{}", record.operator, record.id),
        display_name: record.display_name.clone(),
        token: token.map(|token| token.reveal().to_owned()),
        create_time: Time(record.create_time),
        expire_time: record.expire_time.map(Time),
        revoke_time: record.revoke_time.map(Time),
        last_use_time: record.last_use_time.map(Time),
    }
}
