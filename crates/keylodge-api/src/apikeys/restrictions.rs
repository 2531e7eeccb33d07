//! Restrictions as they travel, and their way from and to the rules.

use keylodge_rules::{
    AllowedIp, AndroidApp, BundleId, ClientRestriction, Referrer,
    restrictions::{self as rules, ENTRIES_MAX, MethodPattern, PackageName, Sha1Fingerprint, TargetService},
};
use serde::{Deserialize, Serialize};

use crate::proto_json::{Fields, Message};

/// The full name of [`Restrictions`].
pub(super) const RESTRICTIONS: &str = "google.api.apikeys.v2.Restrictions";

/// What narrows a key. At most one of the first four is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Restrictions {
    /// The pages it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser_key_restrictions: Option<BrowserKeyRestrictions>,
    /// The machines it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_key_restrictions: Option<ServerKeyRestrictions>,
    /// The Android apps it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub android_key_restrictions: Option<AndroidKeyRestrictions>,
    /// The iOS apps it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ios_key_restrictions: Option<IosKeyRestrictions>,
    /// The services it is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_targets: Vec<ApiTarget>,
}

/// The pages a key is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrowserKeyRestrictions {
    /// Patterns, as `www.example.com/*`.
    pub allowed_referrers: Vec<String>,
}

/// The machines a key is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerKeyRestrictions {
    /// Addresses and networks, as `198.51.100.0/24`.
    pub allowed_ips: Vec<String>,
}

/// The Android apps a key is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AndroidKeyRestrictions {
    /// The apps.
    pub allowed_applications: Vec<AndroidApplication>,
}

/// An Android app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AndroidApplication {
    /// The SHA-1 of its certificate: answers have 40 upper-case hexadecimal digits without colons.
    pub sha1_fingerprint: String,
    /// Its package name.
    pub package_name: String,
}

/// The iOS apps a key is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IosKeyRestrictions {
    /// Bundle ids.
    pub allowed_bundle_ids: Vec<String>,
}

/// A service that a key is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiTarget {
    /// Its name.
    pub service: String,
    /// Its methods; all where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
}

impl Restrictions {
    /// The message of a key's restrictions; none where nothing narrows the key.
    #[must_use]
    pub fn of(restrictions: &rules::Restrictions) -> Option<Self> {
        if restrictions.is_unrestricted() {
            return None;
        }
        let mut message = Self { api_targets: texts(&restrictions.api_targets, api_target), ..Self::default() };
        match &restrictions.client {
            None => {}
            Some(ClientRestriction::Browser(referrers)) => {
                let allowed_referrers = texts(referrers, |referrer| referrer.as_str().to_owned());
                message.browser_key_restrictions = Some(BrowserKeyRestrictions { allowed_referrers });
            }
            Some(ClientRestriction::Server(addresses)) => {
                let allowed_ips = texts(addresses, |address| address.as_str().to_owned());
                message.server_key_restrictions = Some(ServerKeyRestrictions { allowed_ips });
            }
            Some(ClientRestriction::Android(apps)) => {
                let allowed_applications = texts(apps, |app| AndroidApplication {
                    sha1_fingerprint: app.sha1_fingerprint.to_string(),
                    package_name: app.package_name.as_str().to_owned(),
                });
                message.android_key_restrictions = Some(AndroidKeyRestrictions { allowed_applications });
            }
            Some(ClientRestriction::Ios(bundles)) => {
                let allowed_bundle_ids = texts(bundles, |bundle| bundle.as_str().to_owned());
                message.ios_key_restrictions = Some(IosKeyRestrictions { allowed_bundle_ids });
            }
        }
        Some(message)
    }
}

fn texts<T, U>(entries: &[T], text: impl Fn(&T) -> U) -> Vec<U> {
    entries.iter().map(text).collect()
}

fn api_target(target: &rules::ApiTarget) -> ApiTarget {
    ApiTarget {
        service: target.service.as_str().to_owned(),
        methods: texts(&target.methods, |method| method.as_str().to_owned()),
    }
}

/// The kinds of client restriction, each with a field of its own on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// `browserKeyRestrictions`
    Browser,
    /// `serverKeyRestrictions`
    Server,
    /// `androidKeyRestrictions`
    Android,
    /// `iosKeyRestrictions`
    Ios,
}

impl ClientKind {
    /// Every kind, in the order of the message.
    pub const ALL: [Self; 4] = [Self::Browser, Self::Server, Self::Android, Self::Ios];

    /// The kind of a restriction.
    #[must_use]
    pub const fn of(restriction: &ClientRestriction) -> Self {
        match restriction {
            ClientRestriction::Browser(_) => Self::Browser,
            ClientRestriction::Server(_) => Self::Server,
            ClientRestriction::Android(_) => Self::Android,
            ClientRestriction::Ios(_) => Self::Ios,
        }
    }

    /// Its field in [`Restrictions`].
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Browser => "browserKeyRestrictions",
            Self::Server => "serverKeyRestrictions",
            Self::Android => "androidKeyRestrictions",
            Self::Ios => "iosKeyRestrictions",
        }
    }

    fn read(self, fields: &mut Fields<'_, '_>) -> Option<ClientRestriction> {
        match self {
            Self::Browser => fields.message(self.field()).map(|Browser(list)| ClientRestriction::Browser(list)),
            Self::Server => fields.message(self.field()).map(|Server(list)| ClientRestriction::Server(list)),
            Self::Android => fields.message(self.field()).map(|Android(list)| ClientRestriction::Android(list)),
            Self::Ios => fields.message(self.field()).map(|Ios(list)| ClientRestriction::Ios(list)),
        }
    }
}

/// Reads restrictions. Those of a kind that is not heeded need only be of the right form; `heeds` is asked for each kind
/// of client restriction, and without one for the API targets.
pub(super) fn read(fields: &mut Fields<'_, '_>, heeds: impl Fn(Option<ClientKind>) -> bool) -> rules::Restrictions {
    let mut client = None;
    for kind in ClientKind::ALL {
        fields.heed(heeds(Some(kind)));
        let Some(given) = kind.read(fields) else { continue };
        if client.is_some() {
            fields.refuse_second(kind.field(), "client_restrictions");
        } else {
            client = Some(given);
        }
    }
    fields.heed(heeds(None));
    let targets: Vec<Target> = fields.messages("apiTargets");
    let api_targets = targets.into_iter().filter_map(|Target(target)| target).collect();
    rules::Restrictions { client, api_targets }
}

/// What is wrong with restrictions as a whole: the field (below `key`), and the sentence.
pub(super) fn mistakes(
    restrictions: &rules::Restrictions,
    service_account: Option<&str>,
) -> Vec<(&'static str, String)> {
    let mut mistakes = Vec::new();
    let entries = restrictions.entries();
    if entries > ENTRIES_MAX {
        let description = format!("A key can have {ENTRIES_MAX} restriction entries in all; there are {entries}.");
        mistakes.push(("restrictions", description));
    }
    let only_by_address = "A key that is bound to a service account can be restricted to IP addresses and APIs only.";
    let refused = match (&restrictions.client, service_account) {
        (None | Some(ClientRestriction::Server(_)), _) | (_, None) => None,
        (Some(ClientRestriction::Browser(_)), Some(_)) => Some("restrictions.browser_key_restrictions"),
        (Some(ClientRestriction::Android(_)), Some(_)) => Some("restrictions.android_key_restrictions"),
        (Some(ClientRestriction::Ios(_)), Some(_)) => Some("restrictions.ios_key_restrictions"),
    };
    mistakes.extend(refused.map(|field| (field, only_by_address.to_owned())));
    mistakes
}

struct Browser(Vec<Referrer>);

impl Message for Browser {
    const NAME: &str = "google.api.apikeys.v2.BrowserKeyRestrictions";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let list = fields.parsed("allowedReferrers", Referrer::parse);
        Self(not_empty(fields, "allowedReferrers", list))
    }
}

struct Server(Vec<AllowedIp>);

impl Message for Server {
    const NAME: &str = "google.api.apikeys.v2.ServerKeyRestrictions";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let list = fields.parsed("allowedIps", AllowedIp::parse);
        Self(not_empty(fields, "allowedIps", list))
    }
}

struct Android(Vec<AndroidApp>);

impl Message for Android {
    const NAME: &str = "google.api.apikeys.v2.AndroidKeyRestrictions";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let apps: Vec<App> = fields.messages("allowedApplications");
        let apps = apps.into_iter().map(|App(app)| app).collect();
        Self(not_empty(fields, "allowedApplications", apps))
    }
}

struct Ios(Vec<BundleId>);

impl Message for Ios {
    const NAME: &str = "google.api.apikeys.v2.IosKeyRestrictions";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let list = fields.parsed("allowedBundleIds", BundleId::parse);
        Self(not_empty(fields, "allowedBundleIds", list))
    }
}

/// An empty list would allow nobody. None of Google's clients sends one by itself: gcloud, Python and Terraform leave the
/// message out or send an empty `restrictions`; a program that sends it meant something else.
fn not_empty<T>(fields: &mut Fields<'_, '_>, name: &str, list: Vec<Option<T>>) -> Vec<T> {
    if list.is_empty() {
        let description = "An empty list would allow nobody. Name who may use the key, or leave the restriction out.";
        fields.refuse(name, description);
    }
    list.into_iter().flatten().collect()
}

struct App(Option<AndroidApp>);

impl Message for App {
    const NAME: &str = "google.api.apikeys.v2.AndroidApplication";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let package_name = fields.string("packageName").unwrap_or_default();
        let package_name = PackageName::parse(&package_name);
        let package_name = package_name.map_err(|rule| fields.refuse("packageName", format!("Invalid app: {rule}.")));
        let fingerprint = fields.string("sha1Fingerprint").unwrap_or_default();
        let fingerprint = Sha1Fingerprint::parse(&fingerprint);
        let fingerprint = fingerprint.map_err(|rule| fields.refuse("sha1Fingerprint", format!("Invalid app: {rule}.")));
        match (package_name, fingerprint) {
            (Ok(package_name), Ok(sha1_fingerprint)) => Self(Some(AndroidApp { package_name, sha1_fingerprint })),
            _ => Self(None),
        }
    }
}

struct Target(Option<rules::ApiTarget>);

impl Message for Target {
    const NAME: &str = "google.api.apikeys.v2.ApiTarget";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let service = TargetService::parse(&fields.string("service").unwrap_or_default());
        let service = service.map_err(|rule| fields.refuse("service", format!("Invalid API target: {rule}.")));
        let methods = fields.parsed("methods", MethodPattern::parse).into_iter().flatten().collect();
        Self(service.ok().map(|service| rules::ApiTarget { service, methods }))
    }
}
