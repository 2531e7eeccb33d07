//! Keylodge's own API, `/keylodge/v1`: what Google has no API for.
//!
//! Every message here has a JSON schema, made from the same lines as its reading and printing; the server's OpenAPI
//! document is put together from them.

mod count;
mod decisions;
mod field;
mod keys;
mod limits;
mod operators;
mod rehearsal;
mod upstreams;
mod usage;
mod workspace;

pub use count::Count;
pub use decisions::{
    CallerInfo, Decision, Explanation, ListDecisionsResponse, ReachedLimit, RuleStep, SuggestedChange,
};
pub use field::{Span, Time};
pub use keys::{
    Caller, EmptyResponse, ImportKeysRequest, ImportKeysResponse, ImportedKey, KeyDetails, KeyStringInfo,
    ListCallersResponse, PatchKeyDetailsRequest, PatchProjectSettingsRequest, ProjectSettings, Receipt,
    RevokeKeysRequest, RevokeKeysResponse, RotateKeyRequest, RotateKeyResponse, StopKeyResponse,
};
pub use limits::{KeyRules, Limit, ProjectLimits, SetKeyRulesRequest, SetLimitsRequest, ShadowRules};
pub use operators::{
    AuditCheckpoint, CreateOperatorRequest, CreateOperatorResponse, CreateOrganizationRequest, CreateTokenRequest,
    ListAuditLogsResponse, ListOperatorsResponse, ListTokensResponse, Operator, Token,
};
pub use rehearsal::{
    LimitRehearsal, Rehearse, RehearseKeyRequest, RehearseKeyResponse, RehearsedCaller, RehearsedRule,
};
pub use upstreams::{
    AddUpstreamCredentialRequest, ListUpstreamsResponse, Upstream, UpstreamCredential, UpstreamCredentialState,
    UpstreamState,
};
pub use usage::{LatencyBucket, LatencyOfCalls, ListUsageResponse, Money, UsageRow};
pub use workspace::{
    AcceptTermsRequest, AcceptTermsResponse, CreateWorkspaceKeyRequest, CreateWorkspaceProjectsRequest,
    ImportProjectRequest, ListWorkspaceKeysResponse, NewWorkspaceProject, Workspace, WorkspaceKey,
};

pub(crate) use field::request;
