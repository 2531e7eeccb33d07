//! Keylodge's own API, `/keylodge/v1`: what Google has no API for.

mod audit;
mod key_details;
mod key_import;
mod key_stop;
pub(crate) mod openapi;
mod operators;
mod organizations;
mod rotation;
mod settings;
mod tokens;
mod workspace;

pub(crate) use operators::folded;

use crate::management::Route;
use crate::management::route::route;

/// The workspace profile of keys for Jules.
pub(crate) const JULES_PROFILE: &str = "jules";

/// The routes of Keylodge's own API. Policies of the deployment are with the other policies.
pub(crate) const ROUTES: &[Route] = &[
    route!("GET" "/keylodge/v1/operators", KEYLODGE "keylodge.v1.Operators.ListOperators",
        "keylodge.operators.list" on Deployment, ["pageSize", "pageToken"], operators::list, "Lists operators"),
    route!("POST" "/keylodge/v1/operators", KEYLODGE "keylodge.v1.Operators.CreateOperator",
        "keylodge.operators.create" on Deployment, [], operators::create,
        "Makes an operator and its first token, which is shown this once"),
    route!("GET" "/keylodge/v1/operators/{operator}", KEYLODGE "keylodge.v1.Operators.GetOperator",
        "keylodge.operators.get" on Each, [], operators::get, "Shows an operator; `me` is the caller"),
    route!("POST" "/keylodge/v1/operators/{operator}:disable", KEYLODGE "keylodge.v1.Operators.DisableOperator",
        "keylodge.operators.update" on Deployment, [], operators::disable,
        "Switches an operator off: its tokens prove nobody from the next request on"),
    route!("POST" "/keylodge/v1/operators/{operator}:enable", KEYLODGE "keylodge.v1.Operators.EnableOperator",
        "keylodge.operators.update" on Deployment, [], operators::enable, "Switches an operator on again"),
    route!("GET" "/keylodge/v1/operators/{operator}/tokens", KEYLODGE "keylodge.v1.Operators.ListTokens",
        "keylodge.tokens.list" on Each, ["pageSize", "pageToken"], tokens::list,
        "Lists an operator's tokens; one's own need no permission"),
    route!("POST" "/keylodge/v1/operators/{operator}/tokens", KEYLODGE "keylodge.v1.Operators.CreateToken",
        "keylodge.tokens.create" on Each, [], tokens::create,
        "Gives an operator one more token, shown this once; for oneself it needs no permission"),
    route!("DELETE" "/keylodge/v1/operators/{operator}/tokens/{token}", KEYLODGE "keylodge.v1.Operators.RevokeToken",
        "keylodge.tokens.delete" on Each, [], tokens::revoke,
        "Revokes a token; one's own needs no permission"),
    route!("POST" "/keylodge/v1/organizations", KEYLODGE "keylodge.v1.Organizations.CreateOrganization",
        "keylodge.organizations.create" on Deployment, [], organizations::create,
        "Makes an organization, owned by the caller"),
    route!("GET" "/keylodge/v1/projects/{project}/settings", KEYLODGE "keylodge.v1.Projects.GetSettings",
        "keylodge.settings.get" on Project, [], settings::get, "Shows how a project treats its keys"),
    route!("PATCH" "/keylodge/v1/projects/{project}/settings", KEYLODGE "keylodge.v1.Projects.UpdateSettings",
        "keylodge.settings.update" on Project, [], settings::update, "Alters how a project treats its keys"),
    route!("GET" "/keylodge/v1/projects/{project}/keys/{key}", KEYLODGE "keylodge.v1.Keys.GetKeyDetails",
        "apikeys.keys.get" on Project, [], key_details::get,
        "Shows what Google has no field for: expiry, owner, purpose, labels, strings, last use"),
    route!("PATCH" "/keylodge/v1/projects/{project}/keys/{key}", KEYLODGE "keylodge.v1.Keys.UpdateKeyDetails",
        "apikeys.keys.update" on Project, ["updateMask"], key_details::update, "Alters expiry, owner, purpose and labels"),
    route!("GET" "/keylodge/v1/projects/{project}/keys/{key}/callers", KEYLODGE "keylodge.v1.Keys.ListCallers",
        "apikeys.keys.get" on Project, [], key_details::list_callers, "Shows who used a key: address, client, last call"),
    route!("POST" "/keylodge/v1/projects/{project}/keys/{key}:enable", KEYLODGE "keylodge.v1.Keys.EnableKey",
        "apikeys.keys.update" on Project, [], key_stop::enable, "Switches a key on again"),
    route!("POST" "/keylodge/v1/projects/{project}/keys/{key}:disable", KEYLODGE "keylodge.v1.Keys.DisableKey",
        "apikeys.keys.update" on Project, [], key_stop::disable, "Switches a key off, with a receipt"),
    route!("POST" "/keylodge/v1/projects/{project}/keys/{key}:revoke", KEYLODGE "keylodge.v1.Keys.RevokeKey",
        "apikeys.keys.delete" on Project, [], key_stop::revoke, "Deletes a key, with a receipt"),
    route!("GET" "/keylodge/v1/projects/{project}/keys/{key}/receipt", KEYLODGE "keylodge.v1.Keys.GetReceipt",
        "apikeys.keys.get" on Project, [], key_stop::receipt, "Gives this node's signed word that it refuses a key"),
    route!("POST" "/keylodge/v1/projects/{project}/keys:revoke", KEYLODGE "keylodge.v1.Keys.RevokeKeys",
        "apikeys.keys.delete" on Project, [], key_stop::revoke_many,
        "Deletes many keys at once, all or none, with receipts"),
    route!("POST" "/keylodge/v1/projects/{project}/keys/{key}:rotate", KEYLODGE "keylodge.v1.Keys.RotateKey",
        "keylodge.keys.rotate" on Project, [], rotation::rotate,
        "Gives a key a new string; the old one can stay good for a while"),
    route!("POST" "/keylodge/v1/projects/{project}/keys/{key}:retire", KEYLODGE "keylodge.v1.Keys.RetireKeyStrings",
        "keylodge.keys.rotate" on Project, [], rotation::retire, "Ends the overlap of a rotation now"),
    route!("POST" "/keylodge/v1/projects/{project}/keys:import", KEYLODGE "keylodge.v1.Keys.ImportKeys",
        "keylodge.keys.import" on Project, [], key_import::import,
        "Takes over keys of another gateway, by their strings or by the SHA-256 of them"),
    route!("GET" "/keylodge/v1/workspace", KEYLODGE "keylodge.v1.Workspace.GetWorkspace",
        "" on Each, [], workspace::get, "Shows the caller's workspace"),
    route!("POST" "/keylodge/v1/workspace:acceptTerms", KEYLODGE "keylodge.v1.Workspace.AcceptTerms",
        "" on Each, [], workspace::accept_terms,
        "Accepts the terms; whoever is new gets a project and a key"),
    route!("GET" "/keylodge/v1/workspace/projects", KEYLODGE "keylodge.v1.Workspace.ListProjects",
        "" on Each, ["query"], workspace::list_projects, "Lists the projects in the caller's workspace"),
    route!("POST" "/keylodge/v1/workspace/projects", KEYLODGE "keylodge.v1.Workspace.CreateProjects",
        "resourcemanager.projects.create" on Deployment, [], workspace::create_projects,
        "Makes projects in the caller's workspace, several at a time"),
    route!("GET" "/keylodge/v1/workspace/projects:search", KEYLODGE "keylodge.v1.Workspace.SearchProjects",
        "" on Each, ["query"], workspace::search_projects,
        "Finds projects that the caller may see and that are not in the workspace yet, by name or id"),
    route!("POST" "/keylodge/v1/workspace/projects:import", KEYLODGE "keylodge.v1.Workspace.ImportProject",
        "" on Each, [], workspace::import_project, "Takes a project into the caller's workspace"),
    route!("DELETE" "/keylodge/v1/workspace/projects/{project}", KEYLODGE "keylodge.v1.Workspace.RemoveProject",
        "" on Each, [], workspace::remove_project, "Takes a project out of the workspace; the project stays"),
    route!("GET" "/keylodge/v1/workspace/keys", KEYLODGE "keylodge.v1.Workspace.ListKeys",
        "" on Each, [], workspace::list_keys,
        "Lists the keys in the caller's workspace: unrestricted ones and those for the Gemini API"),
    route!("POST" "/keylodge/v1/workspace/keys", KEYLODGE "keylodge.v1.Workspace.CreateKey",
        "" on Each, [], workspace::create_key, "Makes a key for the Gemini API or for Jules"),
    route!("GET" "/keylodge/v1/auditLogs", KEYLODGE "keylodge.v1.AuditLogs.ListAuditLogs",
        "keylodge.auditLogs.list" on Deployment, ["pageSize", "pageToken", "afterSequence"], audit::list,
        "Shows the audit log, oldest first"),
    route!("GET" "/keylodge/v1/projects/{project}/auditLogs", KEYLODGE "keylodge.v1.AuditLogs.ListProjectAuditLogs",
        "keylodge.auditLogs.list" on Project, ["pageSize", "pageToken", "afterSequence"], audit::list_of_project,
        "Shows what the audit log has about a project, oldest first"),
    route!("GET" "/keylodge/v1/auditLogs:export", KEYLODGE "keylodge.v1.AuditLogs.ExportAuditLogs",
        "keylodge.auditLogs.export" on Deployment, ["afterSequence"], audit::export,
        "Gives the audit log as lines of JSON that end with the signed checkpoint, for `keylodge audit verify`"),
    route!("GET" "/keylodge/v1/auditLogs:checkpoint", KEYLODGE "keylodge.v1.AuditLogs.GetCheckpoint",
        "keylodge.auditLogs.list" on Deployment, [], audit::checkpoint, "Gives the signed end of the audit log"),
];
