//! An operator's workspace: what AI Studio adds to projects and keys. Everything else reaches them through the full APIs.

use std::collections::BTreeSet;

use axum::response::Response;
use keylodge_api::admin::{
    AcceptTermsRequest, AcceptTermsResponse, CreateWorkspaceKeyRequest, CreateWorkspaceProjectsRequest, EmptyResponse,
    ImportProjectRequest, ListWorkspaceKeysResponse, Time, Workspace, WorkspaceKey,
};
use keylodge_api::apikeys::{Key, NewKey};
use keylodge_api::resource_manager::v3::{ListProjectsResponse, Project};
use keylodge_api::{Code, GEMINI_SERVICE, Status};
use keylodge_rules::restrictions::{ApiTarget, TargetService};
use keylodge_rules::{ProjectNumber, ProjectState, Restrictions, Revision};
use keylodge_store::{Among, KeyRecord, OperatorRecord, ProfileLimit, ProjectRecord};

use crate::keys::{self, JULES_PROFILE, Making};
use crate::management::Call;
use crate::management::access::{Access, projects_with};
use crate::query::invalid;
use crate::{failure, find, projects};

const JULES_SERVICE: &str = "jules.googleapis.com";

/// What whoever makes a key in the workspace needs in its project.
const NEEDED: [&str; 3] = ["resourcemanager.projects.get", "apikeys.keys.create", "serviceusage.services.get"];

pub(crate) async fn get(call: Call) -> Result<Response, Status> {
    call.answer(&of(&call, call.operator.record()))
}

/// Notes that the terms were accepted. Whoever is new, with no project to see, gets one and a key in it.
pub(crate) async fn accept_terms(mut call: Call) -> Result<Response, Status> {
    let request: AcceptTermsRequest = call.read().await?;
    let lodge = &call.lodge;
    let current = &lodge.workspace.terms_version;
    if request.version != *current {
        return Err(invalid(
            "version",
            format!("The terms there are have version {current}. Read them and accept that."),
        ));
    }
    let _one_at_a_time = lodge.newcomers.lock().await;
    let known = lodge.store.operator(&call.operator.record().id).await.map_err(|error| failure::store(&error))?;
    let known = known.ok_or_else(Status::internal)?;
    let visible = projects_with(lodge, &call.operator, "resourcemanager.projects.get").await?;
    let is_new = known.terms.is_none() && page(&call, &visible, 1).await?.is_empty();
    let act = call.act_with([("version", request.version.clone())]);
    let (mut project, mut key) = (None, None);
    if is_new {
        let making = projects::Making {
            display_name: "Default Gemini Project".to_owned(),
            owner: known.member.clone(),
            ..projects::Making::default()
        };
        let (_, made) = projects::make(lodge, &act, making).await?;
        set_in_workspace(&call, made.number, true).await?;
        let new = NewKey { display_name: "Default Gemini API Key".to_owned(), ..gemini_key()? };
        key = Some(keys::make(lodge, &act, &made, Making::of(new)).await?);
        project = Some(projects::to_v3(&made));
    }
    // Last, so that whoever was cut off before is still new, or has a project.
    let accepted = lodge.store.alter_operator(&known.id, &act, |record| {
        record.terms = Some((request.version, act.at));
        Ok(())
    });
    let record = accepted.await.map_err(|error| failure::operator(&error))?.value;
    let answer = AcceptTermsResponse { workspace: of(&call, &record), project, key };
    call.answer(&answer)
}

pub(crate) async fn list_projects(call: Call) -> Result<Response, Status> {
    let projects = imported(&call).await?;
    let wanted = named_like(call.query.get("query"));
    let projects = projects.iter().filter(|project| wanted(project)).map(projects::to_v3).collect();
    call.answer(&ListProjectsResponse { projects, next_page_token: None })
}

/// Finds projects that the caller may see and that are not in the workspace, by a part of their name or id.
pub(crate) async fn search_projects(call: Call) -> Result<Response, Status> {
    let lodge = &call.lodge;
    let known = workspace_of(&call).await?;
    let visible = projects_with(lodge, &call.operator, "resourcemanager.projects.get").await?;
    let wanted = named_like(call.query.get("query"));
    let wanted = |project: &ProjectRecord| {
        project.state == ProjectState::Active && !known.contains(&project.number) && wanted(project)
    };
    let (found, _) = projects::page(lodge, &visible, Revision(0), lodge.workspace.projects_max, wanted).await?;
    let projects: Vec<Project> = found.iter().map(projects::to_v3).collect();
    call.answer(&ListProjectsResponse { projects, next_page_token: None })
}

pub(crate) async fn create_projects(mut call: Call) -> Result<Response, Status> {
    let request: CreateWorkspaceProjectsRequest = call.read().await?;
    let most = call.lodge.workspace.projects_at_once_max;
    if request.projects.is_empty() || request.projects.len() > usize::try_from(most).unwrap_or(usize::MAX) {
        return Err(invalid("projects", format!("projects must have 1 to {most} entries.")));
    }
    let mut made = Vec::new();
    for new in request.projects {
        let making = projects::Making {
            id: new.project_id.clone(),
            display_name: new.display_name.clone(),
            owner: call.operator.member().to_owned(),
            ..projects::Making::default()
        };
        let act = call.act_with([("project_id", new.project_id), ("display_name", new.display_name)]);
        let project = projects::make(&call.lodge, &act, making).await;
        let (_, project) = project.map_err(|status| after(made.len(), status))?;
        set_in_workspace(&call, project.number, true).await?;
        made.push(projects::to_v3(&project));
    }
    call.answer(&ListProjectsResponse { projects: made, next_page_token: None })
}

/// Projects are made one after the other; who asked must know how far it came.
fn after(made: usize, status: Status) -> Status {
    if made == 0 {
        return status;
    }
    let message = format!("{} The {made} projects before it in the list were made.", status.message);
    Status { message, ..status }
}

pub(crate) async fn import_project(mut call: Call) -> Result<Response, Status> {
    let request: ImportProjectRequest = call.read().await?;
    let project = permitted(&call, &request.project, &NEEDED[..1]).await?;
    let most = usize::try_from(call.lodge.workspace.projects_max).unwrap_or(usize::MAX);
    if imported(&call).await?.len() >= most {
        return Err(Status::new(
            Code::FailedPrecondition,
            format!("The workspace has {most} projects, which is the most it lists. Take one out first."),
        ));
    }
    set_in_workspace(&call, project.number, true).await?;
    call.answer(&projects::to_v3(&project))
}

/// Takes a project out of the workspace, also one that the caller may no longer see.
pub(crate) async fn remove_project(call: Call) -> Result<Response, Status> {
    let found = find::project(&call.lodge, call.place("project")).await?.map(|project| project.number);
    let known = workspace_of(&call).await?;
    let number = found.filter(|number| known.contains(number)).ok_or_else(|| not_there(call.place("project")))?;
    set_in_workspace(&call, number, false).await?;
    call.answer(&EmptyResponse {})
}

/// The newest keys first: those that are unrestricted or for the Gemini API, in projects where the caller may list keys.
pub(crate) async fn list_keys(call: Call) -> Result<Response, Status> {
    let lodge = &call.lodge;
    let most = usize::try_from(lodge.workspace.keys_max).unwrap_or(usize::MAX);
    let mut listed: Vec<(Revision, WorkspaceKey)> = Vec::new();
    for project in imported(&call).await? {
        if !Access::to_project(lodge, &project).await?.grants(lodge, &call.operator, "apikeys.keys.list") {
            continue;
        }
        let mut after = Revision(0);
        loop {
            let page = lodge.store.keys(project.number, false, after, 300, lodge.now()).await;
            let page = page.map_err(|error| failure::store(&error))?;
            listed.extend(page.items.iter().filter(|key| is_for_gemini(key)).map(|key| {
                let key_listed = WorkspaceKey {
                    key: keys::to_wire(key),
                    project_id: project.id.to_string(),
                    project_display_name: project.display_name.clone(),
                };
                (key.created_at, key_listed)
            }));
            listed.sort_by_key(|(created_at, _)| std::cmp::Reverse(*created_at));
            listed.truncate(most);
            let Some(next) = page.next else { break };
            after = next;
        }
    }
    call.answer(&ListWorkspaceKeysResponse { keys: listed.into_iter().map(|(_, key)| key).collect() })
}

/// Makes a key for the Gemini API, or for Jules: such a key is shown this once, and an operator has few of them.
pub(crate) async fn create_key(mut call: Call) -> Result<Response, Status> {
    let request: CreateWorkspaceKeyRequest = call.read().await?;
    let project = permitted(&call, &request.project, &NEEDED).await?;
    let lodge = &call.lodge;
    let making = match request.service.as_str() {
        "" | GEMINI_SERVICE => Making::of(gemini_key()?),
        JULES_SERVICE => Making {
            profile: JULES_PROFILE,
            limit: Some(ProfileLimit { keys_max: lodge.workspace.jules_keys_max }),
            shown_once: true,
            ..Making::of(key_for(JULES_SERVICE)?)
        },
        _ => {
            return Err(invalid(
                "service",
                format!(
                    "The workspace makes keys for {GEMINI_SERVICE} and {JULES_SERVICE}; API Keys v2 makes all others."
                ),
            ));
        }
    };
    if request.display_name.chars().count() > 63 {
        return Err(invalid("display_name", "display_name must have at most 63 characters."));
    }
    let making = Making { new: NewKey { display_name: request.display_name, ..making.new }, ..making };
    let act = call.act_with([("service", request.service), ("display_name", making.new.display_name.clone())]);
    let key: Key = keys::make(lodge, &act, &project, making).await?;
    call.answer(&key)
}

fn gemini_key() -> Result<NewKey, Status> {
    key_for(GEMINI_SERVICE)
}

fn key_for(service: &str) -> Result<NewKey, Status> {
    let service = TargetService::parse(service).map_err(|_| Status::internal())?;
    let restrictions = Restrictions { client: None, api_targets: vec![ApiTarget { service, methods: Vec::new() }] };
    Ok(NewKey { restrictions, ..NewKey::default() })
}

/// As AI Studio lists them: unrestricted, or restricted to the Gemini API alone.
fn is_for_gemini(key: &KeyRecord) -> bool {
    key.restrictions.api_targets.iter().all(|target| target.service.as_str().eq_ignore_ascii_case(GEMINI_SERVICE))
}

/// A project in which the caller has these permissions. What is missing is told to those who may see the project; to
/// others it reads as a project that is not there.
async fn permitted(call: &Call, project: &str, permissions: &[&str]) -> Result<ProjectRecord, Status> {
    let lodge = &call.lodge;
    let found = find::project(lodge, project).await?.filter(|project| project.state == ProjectState::Active);
    let found = found.ok_or_else(|| not_there(project))?;
    let access = Access::to_project(lodge, &found).await?;
    let missing: Vec<&str> =
        permissions.iter().copied().filter(|permission| !access.grants(lodge, &call.operator, permission)).collect();
    if missing.contains(&"resourcemanager.projects.get") {
        return Err(not_there(project));
    }
    if missing.is_empty() {
        return Ok(found);
    }
    Err(Status::new(
        Code::PermissionDenied,
        format!(
            "You do not have permission to create a key in this project. Missing permissions: {}.",
            missing.join(", ")
        ),
    ))
}

/// A project that is not there and one that is not the caller's read alike.
fn not_there(project: &str) -> Status {
    Status::new(
        Code::PermissionDenied,
        format!(
            "Permission 'resourcemanager.projects.get' denied on resource '//keylodge/projects/{project}' (or it may not exist)."
        ),
    )
}

/// The projects in the caller's workspace that are there and that the caller may still see.
async fn imported(call: &Call) -> Result<Vec<ProjectRecord>, Status> {
    let among = Among::These { parents: BTreeSet::new(), projects: workspace_of(call).await? };
    let mut seen = Vec::new();
    for project in page(call, &among, call.lodge.workspace.projects_max).await? {
        let access = Access::to_project(&call.lodge, &project).await?;
        if access.grants(&call.lodge, &call.operator, "resourcemanager.projects.get") {
            seen.push(project);
        }
    }
    Ok(seen)
}

async fn page(call: &Call, among: &Among, size: u32) -> Result<Vec<ProjectRecord>, Status> {
    let active = |project: &ProjectRecord| project.state == ProjectState::Active;
    Ok(projects::page(&call.lodge, among, Revision(0), size, active).await?.0)
}

async fn workspace_of(call: &Call) -> Result<BTreeSet<ProjectNumber>, Status> {
    let id = &call.operator.record().id;
    call.lodge.store.workspace(id).await.map_err(|error| failure::store(&error))
}

async fn set_in_workspace(call: &Call, project: ProjectNumber, is_in: bool) -> Result<(), Status> {
    let set = call.lodge.store.set_in_workspace(&call.operator.record().id, project, is_in, &call.act()).await;
    set.map_err(|error| failure::store(&error))
}

/// Whether a project's name, id or number has a text in it, letters of either case alike; any, without a text.
fn named_like(text: Option<&str>) -> impl Fn(&ProjectRecord) -> bool {
    let text = text.unwrap_or_default().to_lowercase();
    move |project| {
        project.display_name.to_lowercase().contains(&text)
            || project.id.as_str().contains(&text)
            || project.number.to_string() == text
    }
}

fn of(call: &Call, record: &OperatorRecord) -> Workspace {
    let rules = &call.lodge.workspace;
    Workspace {
        member: record.member.clone(),
        terms_version: rules.terms_version.clone(),
        accepted_terms_version: record.terms.as_ref().map(|(version, _)| version.clone()),
        terms_accept_time: record.terms.as_ref().map(|(_, time)| Time(*time)),
        projects_max: rules.projects_max,
        keys_max: rules.keys_max,
        projects_at_once_max: rules.projects_at_once_max,
    }
}
