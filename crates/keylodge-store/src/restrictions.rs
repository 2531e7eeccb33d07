//! Restrictions as they are kept: JSON of our own, with the entries as their callers spelled them.

use keylodge_rules::restrictions::{
    AllowedIp, AndroidApp, ApiTarget, BundleId, ClientRestriction, MethodPattern, PackageName, Referrer, Restrictions,
    Sha1Fingerprint, TargetService,
};
use serde_json::{Map, Value, json};

/// Restrictions as JSON; `{}` for none.
pub(crate) fn to_json(restrictions: &Restrictions) -> Value {
    let mut kept = Map::new();
    match &restrictions.client {
        None => {}
        Some(ClientRestriction::Browser(referrers)) => {
            kept.insert("referrers".into(), referrers.iter().map(Referrer::as_str).collect());
        }
        Some(ClientRestriction::Server(addresses)) => {
            kept.insert("ips".into(), addresses.iter().map(AllowedIp::as_str).collect());
        }
        Some(ClientRestriction::Android(apps)) => {
            let apps = apps.iter().map(|app| json!([app.package_name.as_str(), app.sha1_fingerprint.to_string()]));
            kept.insert("apps".into(), apps.collect());
        }
        Some(ClientRestriction::Ios(bundles)) => {
            kept.insert("bundles".into(), bundles.iter().map(BundleId::as_str).collect());
        }
    }
    if !restrictions.api_targets.is_empty() {
        let targets = restrictions.api_targets.iter().map(|target| {
            let methods: Vec<&str> = target.methods.iter().map(MethodPattern::as_str).collect();
            json!([target.service.as_str(), methods])
        });
        kept.insert("targets".into(), targets.collect());
    }
    Value::Object(kept)
}

/// Restrictions from what [`to_json`] made, or nothing where it is something else.
pub(crate) fn from_json(kept: &Value) -> Option<Restrictions> {
    let client = if let Some(entries) = kept.get("referrers") {
        Some(ClientRestriction::Browser(texts(entries, Referrer::parse)?))
    } else if let Some(entries) = kept.get("ips") {
        Some(ClientRestriction::Server(texts(entries, AllowedIp::parse)?))
    } else if let Some(entries) = kept.get("bundles") {
        Some(ClientRestriction::Ios(texts(entries, BundleId::parse)?))
    } else if let Some(entries) = kept.get("apps") {
        let app = |app: &Value| {
            Some(AndroidApp {
                package_name: PackageName::parse(app.get(0)?.as_str()?).ok()?,
                sha1_fingerprint: Sha1Fingerprint::parse(app.get(1)?.as_str()?).ok()?,
            })
        };
        Some(ClientRestriction::Android(entries.as_array()?.iter().map(app).collect::<Option<_>>()?))
    } else {
        None
    };
    let target = |target: &Value| {
        Some(ApiTarget {
            service: TargetService::parse(target.get(0)?.as_str()?).ok()?,
            methods: texts(target.get(1)?, MethodPattern::parse)?,
        })
    };
    let api_targets = match kept.get("targets") {
        None => Vec::new(),
        Some(targets) => targets.as_array()?.iter().map(target).collect::<Option<_>>()?,
    };
    Some(Restrictions { client, api_targets })
}

fn texts<T, E>(entries: &Value, parse: impl Fn(&str) -> Result<T, E>) -> Option<Vec<T>> {
    entries.as_array()?.iter().map(|entry| parse(entry.as_str()?).ok()).collect()
}
