//! The OpenAPI 3.1 document of Keylodge's own API, put together from the table of routes and the schemas of messages.

use axum::response::{IntoResponse, Response};
use keylodge_api::admin::{
    AcceptTermsRequest, AcceptTermsResponse, AddUpstreamCredentialRequest, AuditCheckpoint, CreateOperatorRequest,
    CreateOperatorResponse, CreateOrganizationRequest, CreateTokenRequest, CreateWorkspaceKeyRequest,
    CreateWorkspaceProjectsRequest, EmptyResponse, Explanation, ImportKeysRequest, ImportKeysResponse,
    ImportProjectRequest, KeyDetails, KeyRules, ListAuditLogsResponse, ListCallersResponse, ListDecisionsResponse,
    ListOperatorsResponse, ListTokensResponse, ListUpstreamsResponse, ListUsageResponse, ListWorkspaceKeysResponse,
    Operator, PatchKeyDetailsRequest, PatchProjectSettingsRequest, ProjectLimits, ProjectSettings, Receipt,
    RehearseKeyRequest, RehearseKeyResponse, RevokeKeysRequest, RevokeKeysResponse, RotateKeyRequest,
    RotateKeyResponse, StopKeyResponse, Token, UpstreamCredential, Workspace,
};
use keylodge_api::status::{JSON, json_bytes};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::iam;
use crate::management::route::KEYLODGE;
use crate::management::{On, Route};

/// Where the document is served. It needs no credential: it says nothing that the source does not.
pub(crate) const PATH: &str = "/keylodge/v1/openapi.json";

/// The schema of what a route takes or gives.
#[derive(Clone, Copy)]
enum Body {
    /// Nothing.
    None,
    /// A message of Keylodge's own.
    Own(fn(&mut SchemaGenerator) -> Schema),
    /// A message of one of Google's APIs, by its full name.
    Google(&'static str),
    /// Lines of JSON.
    Lines,
}

fn own<T: JsonSchema>() -> Body {
    Body::Own(SchemaGenerator::subschema_for::<T>)
}

/// What each method takes and gives. A method that is missing here fails a test.
fn bodies(method: &str) -> Option<(Body, Body)> {
    const PROJECTS: Body = Body::Google("google.cloud.resourcemanager.v3.ListProjectsResponse");
    const POLICY: Body = Body::Google("google.iam.v1.Policy");
    const KEY: Body = Body::Google("google.api.apikeys.v2.Key");
    let (_, method) = method.split_once("keylodge.v1.")?;
    Some(match method {
        "Operators.ListOperators" => (Body::None, own::<ListOperatorsResponse>()),
        "Operators.CreateOperator" => (own::<CreateOperatorRequest>(), own::<CreateOperatorResponse>()),
        "Operators.GetOperator" | "Operators.DisableOperator" | "Operators.EnableOperator" => {
            (Body::None, own::<Operator>())
        }
        "Operators.ListTokens" => (Body::None, own::<ListTokensResponse>()),
        "Operators.CreateToken" => (own::<CreateTokenRequest>(), own::<Token>()),
        "Operators.RevokeToken" => (Body::None, own::<Token>()),
        "Organizations.CreateOrganization" => {
            (own::<CreateOrganizationRequest>(), Body::Google("google.cloud.resourcemanager.v3.Organization"))
        }
        "Projects.GetSettings" => (Body::None, own::<ProjectSettings>()),
        "Projects.UpdateSettings" => (own::<PatchProjectSettingsRequest>(), own::<ProjectSettings>()),
        "Projects.GetLimits" => (Body::None, own::<ProjectLimits>()),
        "Projects.SetLimits" => (own::<ProjectLimits>(), own::<ProjectLimits>()),
        "Keys.GetKeyRules" => (Body::None, own::<KeyRules>()),
        "Keys.SetKeyRules" => (own::<KeyRules>(), own::<KeyRules>()),
        "Keys.GetKeyDetails" | "Keys.EnableKey" | "Keys.RetireKeyStrings" => (Body::None, own::<KeyDetails>()),
        "Keys.UpdateKeyDetails" => (own::<PatchKeyDetailsRequest>(), own::<KeyDetails>()),
        "Keys.ListCallers" => (Body::None, own::<ListCallersResponse>()),
        "Keys.DisableKey" | "Keys.RevokeKey" => (Body::None, own::<StopKeyResponse>()),
        "Keys.GetReceipt" => (Body::None, own::<Receipt>()),
        "Keys.RevokeKeys" => (own::<RevokeKeysRequest>(), own::<RevokeKeysResponse>()),
        "Keys.RotateKey" => (own::<RotateKeyRequest>(), own::<RotateKeyResponse>()),
        "Keys.RehearseKey" => (own::<RehearseKeyRequest>(), own::<RehearseKeyResponse>()),
        "Usage.ListUsage" | "Usage.ListProjectUsage" => (Body::None, own::<ListUsageResponse>()),
        "Decisions.ListDecisions" => (Body::None, own::<ListDecisionsResponse>()),
        "Decisions.ExplainDecision" => (Body::None, own::<Explanation>()),
        "Keys.ImportKeys" => (own::<ImportKeysRequest>(), own::<ImportKeysResponse>()),
        "Upstreams.ListUpstreams" => (Body::None, own::<ListUpstreamsResponse>()),
        "Upstreams.AddCredential" => (own::<AddUpstreamCredentialRequest>(), own::<UpstreamCredential>()),
        "Upstreams.RemoveCredential" => (Body::None, own::<EmptyResponse>()),
        "Workspace.GetWorkspace" => (Body::None, own::<Workspace>()),
        "Workspace.AcceptTerms" => (own::<AcceptTermsRequest>(), own::<AcceptTermsResponse>()),
        "Workspace.ListProjects" | "Workspace.SearchProjects" => (Body::None, PROJECTS),
        "Workspace.CreateProjects" => (own::<CreateWorkspaceProjectsRequest>(), PROJECTS),
        "Workspace.ImportProject" => {
            (own::<ImportProjectRequest>(), Body::Google("google.cloud.resourcemanager.v3.Project"))
        }
        "Workspace.RemoveProject" => (Body::None, own::<EmptyResponse>()),
        "Workspace.ListKeys" => (Body::None, own::<ListWorkspaceKeysResponse>()),
        "Workspace.CreateKey" => (own::<CreateWorkspaceKeyRequest>(), KEY),
        "AuditLogs.ListAuditLogs" | "AuditLogs.ListProjectAuditLogs" => (Body::None, own::<ListAuditLogsResponse>()),
        "AuditLogs.ExportAuditLogs" => (Body::None, Body::Lines),
        "AuditLogs.GetCheckpoint" => (Body::None, own::<AuditCheckpoint>()),
        "Deployment.GetIamPolicy" => (Body::Google("google.iam.v1.GetIamPolicyRequest"), POLICY),
        "Deployment.SetIamPolicy" => (Body::Google("google.iam.v1.SetIamPolicyRequest"), POLICY),
        "Deployment.TestIamPermissions" => (
            Body::Google("google.iam.v1.TestIamPermissionsRequest"),
            Body::Google("google.iam.v1.TestIamPermissionsResponse"),
        ),
        _ => return None,
    })
}

/// The routes of Keylodge's own API.
fn described() -> impl Iterator<Item = &'static Route> {
    super::ROUTES.iter().chain(iam::ROUTES).filter(|route| route.service == KEYLODGE)
}

/// The whole document.
#[must_use]
pub fn document() -> Value {
    // JSON Schema 2020-12 is what OpenAPI 3.1 has; the schemas stand where OpenAPI keeps them.
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for route in described() {
        let operation = operation(route, &mut generator);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.verb.to_ascii_lowercase()] = operation;
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Status".to_owned(), status());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Keylodge admin API",
            "version": "v1",
            "summary": "What Google has no API for: operators, rotation, receipts, import, workspaces, the audit log.",
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "security": [{"operator": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "operator": {"type": "http", "scheme": "bearer", "description": "The token of an operator, klo_…"},
            },
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let (request, response) = bodies(route.method).unwrap_or((Body::None, Body::None));
    let on = match route.on {
        On::Project => " on the project",
        On::Organization => " on the organization",
        On::Deployment => " on the deployment",
        On::Each => "",
    };
    let description = match route.permission {
        "" => "Any operator may call it.".to_owned(),
        permission => format!("Needs `{permission}`{on}."),
    };
    let places = route.path.split(['{', '}']).skip(1).step_by(2);
    let in_path =
        places.map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    let in_query = route.query.iter().map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}));
    let mut operation = json!({
        "operationId": route.method.trim_start_matches("keylodge.v1.").replace('.', "_"),
        "summary": route.summary,
        "description": description,
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": {
            "200": {"description": "Done.", "content": content(response, generator)},
            "default": {
                "description": "What was wrong, where, and what to do next.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Status"}}},
            },
        },
    });
    if !matches!(request, Body::None) {
        operation["requestBody"] = json!({"content": content(request, generator)});
    }
    operation
}

fn content(body: Body, generator: &mut SchemaGenerator) -> Value {
    match body {
        Body::None => json!({}),
        Body::Own(schema) => json!({"application/json": {"schema": schema(generator)}}),
        Body::Google(name) => {
            json!({"application/json": {"schema": {"type": "object", "description": format!("As {name} of Google's API.")}}})
        }
        Body::Lines => json!({"application/x-ndjson": {"schema": {"type": "string"}}}),
    }
}

/// `google.rpc.Status`, as every error is.
fn status() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {"error": {
            "type": "object",
            "required": ["code", "message", "status"],
            "properties": {
                "code": {"type": "integer", "description": "The HTTP status."},
                "message": {"type": "string"},
                "status": {"type": "string", "description": "The canonical code, as INVALID_ARGUMENT."},
                "details": {"type": "array", "items": {"type": "object"}},
            },
        }},
    })
}

/// `GET /keylodge/v1/openapi.json`
pub(crate) async fn serve() -> Response {
    ([(http::header::CONTENT_TYPE, JSON)], json_bytes(&document(), true)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_keylodge_s_own_api_is_described() {
        for route in described() {
            assert!(bodies(route.method).is_some(), "say in openapi.rs what {} takes and gives", route.method);
            assert!(!route.summary.is_empty(), "{} needs a summary", route.method);
        }
    }
}
