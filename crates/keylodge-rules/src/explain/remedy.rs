//! The smallest change after which a rule lets a call pass.

use std::time::Duration;

use super::Moments;
use crate::restrictions::{Hours, MethodPattern, ModelPattern, PackageName, Sha1Fingerprint, TargetService};
use crate::{
    AllowedIp, AndroidApp, ApiTarget, BundleId, Call, ClientRestriction, Known, Project, ProjectState, Referrer,
    Restrictions, Rule, ServiceName, Stage, Terms, Timestamp,
};

/// How far beyond now a key that has expired is good again.
const EXTEND: Duration = Duration::from_secs(24 * 60 * 60);

/// A change after which a rule lets a call pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The caller takes the key's current string.
    TakeCurrentString,
    /// The key is brought back.
    Undelete,
    /// The key was deleted too long ago to come back: another is made.
    MakeAnother,
    /// The key is switched on.
    Enable,
    /// The key is good until then.
    Extend(Timestamp),
    /// The project is brought back.
    UndeleteProject,
    /// The key is narrowed to the service that was called.
    NarrowTo(TargetService),
    /// This target is added to those of the key.
    AddTarget(ApiTarget),
    /// This method is added to the target of its service that the key has.
    AddMethod(TargetService, MethodPattern),
    /// This page is added.
    AddReferrer(Referrer),
    /// This address is added.
    AddAddress(AllowedIp),
    /// This app is added.
    AddAndroid(AndroidApp),
    /// This app is added.
    AddIos(BundleId),
    /// The caller says who it is: without that no entry covers it.
    SayWho,
    /// The caller names another model: none can be added that is called so.
    CallAnotherModel,
    /// This model is added.
    AddModel(ModelPattern),
    /// This span is added.
    AddHours(Hours),
    /// The project switches the service on.
    EnableService(ServiceName),
}

impl Remedy {
    /// The change that a rule which is broken asks for.
    pub(super) fn of(rule: Rule, known: &Known<'_>, call: &Call<'_>, moments: Moments) -> Self {
        match rule {
            Rule::StringGood => Self::TakeCurrentString,
            Rule::NotDeleted => match known.terms.stage.undelete(moments.now) {
                Ok(_) => Self::Undelete,
                Err(_) => Self::MakeAnother,
            },
            Rule::Enabled => Self::Enable,
            Rule::NotExpired => Self::Extend(moments.now.plus(EXTEND)),
            Rule::ProjectActive => Self::UndeleteProject,
            Rule::Restricted => Self::NarrowTo(target_service(call)),
            Rule::ApiTarget => add_target(&known.terms.restrictions.api_targets, call),
            Rule::Client => {
                let client = known.terms.restrictions.client.as_ref();
                client.and_then(|client| add_client(client, call)).unwrap_or(Self::SayWho)
            }
            Rule::Model => {
                let model = call.model.filter(|model| is_plain(model));
                let model =
                    model.and_then(|model| ModelPattern::parse(model).ok().filter(|known| known.matches(model)));
                model.map_or(Self::CallAnotherModel, Self::AddModel)
            }
            Rule::Hours => Self::AddHours(Hours::around(moments.then)),
            Rule::ServiceOn => Self::EnableService(call.service.clone()),
        }
    }

    /// Makes the change to a key's terms, its project, and the end of the string that was presented. Gives whether it is a
    /// change to these; what is left to the caller changes nothing.
    pub fn apply(&self, terms: &mut Terms, project: &mut Project, until: &mut Option<Timestamp>) -> bool {
        match self {
            Self::TakeCurrentString => *until = None,
            Self::Undelete => terms.stage = Stage::Live,
            Self::Enable => terms.enabled = true,
            Self::Extend(end) => terms.expires = Some(*end),
            Self::UndeleteProject => project.state = ProjectState::Active,
            Self::AddModel(model) => terms.rules.models.push(model.clone()),
            Self::AddHours(hours) => terms.rules.hours.push(*hours),
            Self::EnableService(service) => {
                project.services.insert(service.clone());
            }
            _ => return self.apply_to(&mut terms.restrictions),
        }
        true
    }

    /// Makes the change to restrictions. Gives whether it is a change to these.
    pub fn apply_to(&self, restrictions: &mut Restrictions) -> bool {
        match (self, &mut restrictions.client) {
            (Self::NarrowTo(service), _) => {
                restrictions.api_targets.push(ApiTarget { service: service.clone(), methods: Vec::new() });
            }
            (Self::AddTarget(target), _) => restrictions.api_targets.push(target.clone()),
            (Self::AddMethod(service, method), _) => {
                let mut targets = restrictions.api_targets.iter_mut();
                let Some(target) = targets.find(|target| is_for(target, service)) else { return false };
                target.methods.push(method.clone());
            }
            (Self::AddReferrer(page), Some(ClientRestriction::Browser(list))) => list.push(page.clone()),
            (Self::AddAddress(address), Some(ClientRestriction::Server(list))) => list.push(address.clone()),
            (Self::AddAndroid(app), Some(ClientRestriction::Android(list))) => list.push(app.clone()),
            (Self::AddIos(bundle), Some(ClientRestriction::Ios(list))) => list.push(bundle.clone()),
            _ => return false,
        }
        true
    }
}

/// Every service name is one of a target.
fn target_service(call: &Call<'_>) -> TargetService {
    TargetService::parse(call.service.as_str()).expect("a service name is a DNS name")
}

fn is_for(target: &ApiTarget, service: &TargetService) -> bool {
    target.service.as_str().eq_ignore_ascii_case(service.as_str())
}

/// A method that no pattern can name is covered by its whole service only.
fn add_target(targets: &[ApiTarget], call: &Call<'_>) -> Remedy {
    let service = target_service(call);
    let method = MethodPattern::parse(call.method)
        .ok()
        .filter(|pattern| is_plain(call.method) && pattern.matches(call.service, call.method));
    match (method, targets.iter().find(|target| is_for(target, &service))) {
        (Some(method), Some(target)) => Remedy::AddMethod(target.service.clone(), method),
        (method, _) => Remedy::AddTarget(ApiTarget { service, methods: method.into_iter().collect() }),
    }
}

/// The entry that covers this caller, where there is one.
fn add_client(client: &ClientRestriction, call: &Call<'_>) -> Option<Remedy> {
    match client {
        ClientRestriction::Browser(_) => page(call.referrer?).map(Remedy::AddReferrer),
        ClientRestriction::Server(_) => {
            let address = call.address?.to_canonical();
            AllowedIp::parse(&address.to_string()).ok().map(Remedy::AddAddress)
        }
        ClientRestriction::Android(_) => {
            let caller = call.android?;
            Some(Remedy::AddAndroid(AndroidApp {
                package_name: PackageName::parse(caller.package_name).ok()?,
                sha1_fingerprint: Sha1Fingerprint::parse(caller.sha1_fingerprint).ok()?,
            }))
        }
        ClientRestriction::Ios(_) => {
            let caller = call.ios_bundle?;
            BundleId::parse(caller).ok().filter(|bundle| bundle.matches(caller)).map(Remedy::AddIos)
        }
    }
}

/// The pattern of one page: its address without query and fragment, in the notation that its scheme has.
fn page(referrer: &str) -> Option<Referrer> {
    let end = referrer.find(['?', '#']).unwrap_or(referrer.len());
    let plain = &referrer[..end];
    if !is_plain(plain) {
        return None;
    }
    let (scheme, rest) = plain.split_once(':')?;
    let rest = rest.trim_start_matches('/');
    // A host without a path would cover all its paths.
    let slash = if rest.contains('/') { "" } else { "/" };
    let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
    let pattern = if is_web { format!("{plain}{slash}") } else { format!("__{scheme}_url__//{rest}") };
    Referrer::parse(&pattern).ok().filter(|pattern| pattern.matches(referrer))
}

/// Whether a text that the caller sent means itself alone. With a star in it, it would be a pattern that covers what nobody
/// asked for.
fn is_plain(text: &str) -> bool {
    !text.contains('*')
}
