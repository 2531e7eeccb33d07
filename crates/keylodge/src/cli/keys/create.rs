//! `keylodge keys create`, `update` and `set`

use clap::Args;
use keylodge_api::admin::PatchKeyDetailsRequest;
use keylodge_api::apikeys::{
    AndroidApplication, AndroidKeyRestrictions, ApiTarget, BrowserKeyRestrictions, IosKeyRestrictions, Restrictions,
    ServerKeyRestrictions,
};
use keylodge_client::{KeyUpdate, NewKey};

use super::{One, show};
use crate::cli::session::{Done, Failed, Session};
use crate::cli::values::{Expiry, OfProject, Pairs, pairs};

#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    of: OfProject,
    /// The key's id within the project; a UUID if none is chosen
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// A name for people
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// Free data, as a=b,c=d
    #[arg(long, value_name = "PAIRS", value_parser = pairs, default_value = "", hide_default_value = true)]
    annotations: Pairs,
    #[command(flatten)]
    narrowed: Narrowed,
    /// The service account that the key acts as
    #[arg(long, value_name = "EMAIL")]
    service_account: Option<String>,
    #[command(flatten)]
    own: Own,
}

/// Who may use a key, and for what. At most one kind of client.
#[derive(Debug, Args)]
pub(super) struct Narrowed {
    #[command(flatten)]
    client: ClientFlags,
    /// A service that the key is for, as service=NAME or service=NAME,methods=A;B; may be given again
    #[arg(long, value_name = "TARGET", value_parser = api_target)]
    api_target: Vec<ApiTarget>,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct ClientFlags {
    /// Pages that may use the key, as www.example.com/*
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    allowed_referrers: Vec<String>,
    /// Addresses and networks that may use the key, as 198.51.100.0/24
    #[arg(long, value_name = "ADDRESS,…", value_delimiter = ',')]
    allowed_ips: Vec<String>,
    /// iOS apps that may use the key
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    allowed_bundle_ids: Vec<String>,
    /// An Android app that may use the key, as sha1_fingerprint=F,package_name=P; may be given again
    #[arg(long, value_name = "APP", value_parser = application)]
    allowed_application: Vec<AndroidApplication>,
}

/// What Keylodge adds to keys.
#[derive(Debug, Args)]
struct Own {
    #[command(flatten)]
    expiry: Expiry,
    /// Whom to ask about it
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// Labels, as a=b,c=d
    #[arg(long, value_name = "PAIRS", value_parser = pairs)]
    labels: Option<Pairs>,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    key: One,
    /// A name for people
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// Free data in place of what there is, as a=b,c=d
    #[arg(long, value_name = "PAIRS", value_parser = pairs, conflicts_with = "clear_annotations")]
    annotations: Option<Pairs>,
    /// Remove all annotations
    #[arg(long)]
    clear_annotations: bool,
    #[command(flatten)]
    narrowed: Narrowed,
    /// Lift all restrictions
    #[arg(long, conflicts_with_all = [
        "allowed_referrers", "allowed_ips", "allowed_bundle_ids", "allowed_application", "api_target",
    ])]
    clear_restrictions: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(flatten)]
    key: One,
    #[command(flatten)]
    own: Own,
    /// Let it work for ever
    #[arg(long, conflicts_with_all = ["expire_time", "ttl"])]
    clear_expire_time: bool,
    /// Remove all labels
    #[arg(long, conflicts_with = "labels")]
    clear_labels: bool,
}

pub(super) async fn create(session: &Session, create: Create) -> Done {
    let Create { of, key_id, display_name, annotations, narrowed, service_account, own } = create;
    let restrictions = narrowed.restrictions();
    let restrictions = (restrictions != Restrictions::default()).then_some(restrictions);
    let new = NewKey { key_id, display_name, annotations, restrictions, service_account_email: service_account };
    let (mask, details) = own.details();
    let client = session.client()?;
    let made = client.create_key(&of.project, &new).await?;
    // The string is printed before anything else can go wrong: it may never be shown again.
    show::with_string(session, &made);
    if mask.is_empty() {
        return Ok(());
    }
    let patched = client.patch_key_details(&of.project, &made.name, &mask, &details).await;
    let patched = patched.map(|_| ());
    patched.map_err(|error| Failed(format!("the key was made, but without {}: {error}", mask.join(", "))))
}

pub(super) async fn update(session: &Session, update: Update) -> Done {
    let Update { key: One { key, of }, display_name, annotations, clear_annotations, narrowed, clear_restrictions } =
        update;
    let mut mask = Vec::new();
    mask.extend(display_name.as_ref().map(|_| "displayName"));
    mask.extend((annotations.is_some() || clear_annotations).then_some("annotations"));
    let restrictions = narrowed.restrictions();
    mask.extend(restrictions.browser_key_restrictions.as_ref().map(|_| "restrictions.browserKeyRestrictions"));
    mask.extend(restrictions.server_key_restrictions.as_ref().map(|_| "restrictions.serverKeyRestrictions"));
    mask.extend(restrictions.android_key_restrictions.as_ref().map(|_| "restrictions.androidKeyRestrictions"));
    mask.extend(restrictions.ios_key_restrictions.as_ref().map(|_| "restrictions.iosKeyRestrictions"));
    mask.extend((!restrictions.api_targets.is_empty()).then_some("restrictions.apiTargets"));
    mask.extend(clear_restrictions.then_some("restrictions"));
    something(&mask)?;
    let update = KeyUpdate {
        mask: mask.into_iter().map(str::to_owned).collect(),
        display_name,
        annotations: annotations.unwrap_or_default(),
        restrictions: Some(restrictions),
        etag: None,
    };
    show::key(session, session.client()?.update_key(&of.project, &key, &update).await?);
    Ok(())
}

pub(super) async fn set(session: &Session, set: Set) -> Done {
    let Set { key: One { key, of }, own, clear_expire_time, clear_labels } = set;
    let (mut mask, details) = own.details();
    mask.extend(clear_expire_time.then_some("expireTime"));
    mask.extend(clear_labels.then_some("labels"));
    something(&mask)?;
    show::details(session, &session.client()?.patch_key_details(&of.project, &key, &mask, &details).await?);
    Ok(())
}

fn something(mask: &[&str]) -> Done {
    if mask.is_empty() {
        Err(Failed("nothing to change was given; --help lists what can be".to_owned()))
    } else {
        Ok(())
    }
}

impl Own {
    /// What is given, and its names.
    fn details(self) -> (Vec<&'static str>, PatchKeyDetailsRequest) {
        let Self { expiry, owner, purpose, labels } = self;
        let expire_time = expiry.end();
        let given = [
            ("expireTime", expire_time.is_some()),
            ("owner", owner.is_some()),
            ("purpose", purpose.is_some()),
            ("labels", labels.is_some()),
        ];
        let mask = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
        (mask, PatchKeyDetailsRequest { expire_time, owner, purpose, labels })
    }
}

impl Narrowed {
    pub(super) fn restrictions(self) -> Restrictions {
        let Self { client, api_target: api_targets } = self;
        let ClientFlags { allowed_referrers, allowed_ips, allowed_bundle_ids, allowed_application } = client;
        Restrictions {
            browser_key_restrictions: some(allowed_referrers)
                .map(|allowed_referrers| BrowserKeyRestrictions { allowed_referrers }),
            server_key_restrictions: some(allowed_ips).map(|allowed_ips| ServerKeyRestrictions { allowed_ips }),
            android_key_restrictions: some(allowed_application)
                .map(|allowed_applications| AndroidKeyRestrictions { allowed_applications }),
            ios_key_restrictions: some(allowed_bundle_ids)
                .map(|allowed_bundle_ids| IosKeyRestrictions { allowed_bundle_ids }),
            api_targets,
        }
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

/// Reads `sha1_fingerprint=F,package_name=P`, as gcloud has it.
fn application(text: &str) -> Result<AndroidApplication, String> {
    let mut pairs = pairs(text)?;
    let mut take = |name: &str| pairs.remove(name).ok_or_else(|| format!("{name} is missing"));
    let app = AndroidApplication { sha1_fingerprint: take("sha1_fingerprint")?, package_name: take("package_name")? };
    none_left(&pairs, app)
}

/// Reads `service=NAME,methods=A;B`, as gcloud has it.
fn api_target(text: &str) -> Result<ApiTarget, String> {
    let mut pairs = pairs(text)?;
    let service = pairs.remove("service").ok_or("service is missing")?;
    let methods = pairs.remove("methods").unwrap_or_default();
    let methods = methods.split(';').filter(|method| !method.is_empty()).map(str::to_owned).collect();
    none_left(&pairs, ApiTarget { service, methods })
}

fn none_left<T>(pairs: &Pairs, read: T) -> Result<T, String> {
    match pairs.keys().next() {
        Some(name) => Err(format!("there is no '{name}' here")),
        None => Ok(read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_written_as_for_gcloud() {
        let target = api_target("service=generativelanguage.googleapis.com,methods=A.*;B").unwrap();

        assert_eq!((target.service.as_str(), target.methods.len()), ("generativelanguage.googleapis.com", 2));
        for wrong in ["", "methods=A", "service=a,method=b", "generativelanguage.googleapis.com"] {
            assert!(api_target(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_app_is_written_as_for_gcloud() {
        let app = application("sha1_fingerprint=AA:BB,package_name=com.example").unwrap();

        assert_eq!((app.sha1_fingerprint.as_str(), app.package_name.as_str()), ("AA:BB", "com.example"));
        assert!(application("package_name=com.example").is_err());
    }
}
