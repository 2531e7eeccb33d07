//! What people do with Google's Rust client for API keys, against a running Keylodge.
//!
//! Usage: `rust-client URL TOKEN_FILE`. It works in the project `default-project`, prints a line for each check and
//! ends at the first that fails.

use google_cloud_apikeys_v2::client::ApiKeys;
use google_cloud_apikeys_v2::model::{
    AndroidApplication, AndroidKeyRestrictions, ApiTarget, BrowserKeyRestrictions, IosKeyRestrictions, Key,
    Restrictions, ServerKeyRestrictions,
};
use google_cloud_auth::credentials::{CacheableResource, Credentials, CredentialsProvider, EntityTag};
use google_cloud_auth::errors::CredentialsError;
use google_cloud_gax::error::Error;
use google_cloud_gax::error::rpc::{Code, StatusDetails};
use google_cloud_gax::paginator::ItemPaginator;
use google_cloud_lro::Poller;
use google_cloud_wkt::FieldMask;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

const PARENT: &str = "projects/default-project/locations/global";
const GEMINI: &str = "generativelanguage.googleapis.com";

/// A bearer token that never changes. The library has none for this; its seam for other credentials is this trait.
#[derive(Debug)]
struct Bearer {
    tag: EntityTag,
    headers: HeaderMap,
}

fn bearer(token: &str) -> Credentials {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a token is plain text");
    value.set_sensitive(true);
    Credentials::from(Bearer { tag: EntityTag::new(), headers: HeaderMap::from_iter([(AUTHORIZATION, value)]) })
}

impl CredentialsProvider for Bearer {
    async fn headers(&self, known: http::Extensions) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        if known.get::<EntityTag>() == Some(&self.tag) {
            return Ok(CacheableResource::NotModified);
        }
        Ok(CacheableResource::New { entity_tag: self.tag.clone(), data: self.headers.clone() })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

#[track_caller]
fn check(what: &str, holds: bool, shown: &dyn std::fmt::Debug) {
    assert!(holds, "FAILED {what} {shown:?}");
    println!("ok {what}");
}

#[track_caller]
fn refused<T: std::fmt::Debug>(what: &str, outcome: Result<T, Error>, code: Code, http: u16) -> Error {
    let error = outcome.expect_err(what);
    let seen = (error.status().map(|status| status.code), error.http_status_code());
    check(what, seen == (Some(code), Some(http)), &error);
    error
}

async fn client(url: &str, credentials: Credentials) -> ApiKeys {
    let built = ApiKeys::builder().with_endpoint(url).with_credentials(credentials).build().await;
    built.expect("a client can be built")
}

fn name(id: &str) -> String {
    format!("{PARENT}/keys/{id}")
}

fn kinds() -> [(&'static str, Restrictions); 5] {
    let application = AndroidApplication::new()
        .set_package_name("com.example.app")
        .set_sha1_fingerprint("DA39A3EE5E6B4B0D3255BFEF95601890AFD80709");
    let target = ApiTarget::new().set_service(GEMINI).set_methods(["GenerateContent", "Get*"]);
    let none = Restrictions::new();
    [
        (
            "browser",
            none.clone().set_browser_key_restrictions(
                BrowserKeyRestrictions::new().set_allowed_referrers(["www.example.com/*"]),
            ),
        ),
        (
            "server",
            none.clone().set_server_key_restrictions(
                ServerKeyRestrictions::new().set_allowed_ips(["198.51.100.0/24", "2001:db8::/64"]),
            ),
        ),
        (
            "android",
            none.clone()
                .set_android_key_restrictions(AndroidKeyRestrictions::new().set_allowed_applications([application])),
        ),
        (
            "ios",
            none.clone()
                .set_ios_key_restrictions(IosKeyRestrictions::new().set_allowed_bundle_ids(["com.example.ios"])),
        ),
        ("targets", none.set_api_targets([target])),
    ]
}

async fn create(keys: &ApiKeys) -> Result<Key, Error> {
    let key = Key::new().set_display_name("Rust").set_annotations([("team", "ml")]);
    let made = keys.create_key().set_parent(PARENT).set_key_id("rust-1").set_key(key).poller().until_done().await?;
    let numbered = made.name.starts_with("projects/") && !made.name.starts_with("projects/default-project");
    check("create gives a key named by the project's number", numbered && made.name.ends_with("/keys/rust-1"), &made);
    check("it has its string", !made.key_string.is_empty(), &made.name);
    check("it has what it was given", made.display_name == "Rust" && made.annotations["team"] == "ml", &made.name);

    let unnamed = keys.create_key().set_parent(PARENT).set_key(Key::new()).poller().until_done().await?;
    check("without an id a key is named by its uid", unnamed.name.ends_with(&unnamed.uid), &unnamed.name);

    for (kind, restrictions) in kinds() {
        let id = format!("rust-{kind}");
        let key = Key::new().set_restrictions(restrictions.clone());
        let create = keys.create_key().set_parent(PARENT).set_key_id(&id).set_key(key);
        create.poller().until_done().await?;
        let kept = keys.get_key().set_name(name(&id)).send().await?;
        check(&format!("the {kind} restriction is kept"), kept.restrictions.as_ref() == Some(&restrictions), &kept);
    }
    Ok(made)
}

async fn read(keys: &ApiKeys, made: &Key) -> Result<(), Error> {
    let (mut seen, mut strings) = (Vec::new(), 0);
    let mut list = keys.list_keys().set_parent(PARENT).set_page_size(2).by_item();
    while let Some(key) = list.next().await.transpose()? {
        strings += usize::from(!key.key_string.is_empty());
        seen.push(key.name);
    }
    let all = kinds().map(|(kind, _)| format!("/keys/rust-{kind}"));
    let complete = all.iter().all(|one| seen.iter().any(|name| name.ends_with(one)));
    check("list goes over all pages", complete && seen.contains(&made.name), &seen);

    check("list shows no strings", strings == 0, &seen);

    let got = keys.get_key().set_name(name("rust-1")).send().await?;
    check("get shows it without its string", got.uid == made.uid && got.key_string.is_empty(), &got.name);
    let string = keys.get_key_string().set_name(name("rust-1")).send().await?.key_string;
    check("get_key_string shows the string", string == made.key_string, &made.name);
    let found = keys.lookup_key().set_key_string(&string).send().await?;
    check("lookup finds it", found.name == made.name && made.name.starts_with(&found.parent), &found);
    Ok(())
}

async fn update(keys: &ApiKeys) -> Result<(), Error> {
    let old = keys.get_key().set_name(name("rust-targets")).send().await?;
    let ios = IosKeyRestrictions::new().set_allowed_bundle_ids(["com.example.ios"]);
    let wanted = Key::new()
        .set_name(name("rust-targets"))
        .set_display_name("Renamed")
        .set_restrictions(Restrictions::new().set_ios_key_restrictions(ios.clone()))
        .set_etag(&old.etag);
    let mask = FieldMask::default().set_paths(["displayName", "restrictions.iosKeyRestrictions"]);
    let update = || keys.update_key().set_key(wanted.clone()).set_update_mask(mask.clone());
    let new = update().poller().until_done().await?;
    check("update changes what the mask names", new.display_name == "Renamed", &new);
    let restrictions = new.restrictions.clone().unwrap_or_default();
    check("a part of the restrictions changes alone", restrictions.api_targets.len() == 1, &restrictions);
    check(
        "the other part is set",
        restrictions.ios_key_restrictions().map(|kept| &**kept) == Some(&ios),
        &restrictions,
    );
    check("the etag moves on", new.etag != old.etag, &new);
    check("update does not show the string", new.key_string.is_empty(), &new.name);
    refused("an update with the old etag is ABORTED", update().poller().until_done().await, Code::Aborted, 409);

    let lifted = Key::new().set_name(name("rust-targets"));
    let mask = FieldMask::default().set_paths(["restrictions"]);
    let open = keys.update_key().set_key(lifted).set_update_mask(mask).poller().until_done().await?;
    let none = open.restrictions.unwrap_or_default() == Restrictions::new();
    check("restrictions that are named and not given are lifted", none, &open.name);
    Ok(())
}

async fn delete(keys: &ApiKeys, made: &Key) -> Result<(), Error> {
    let stale = keys.delete_key().set_name(name("rust-1")).set_etag("W/\"AAAAAAAAAAAAAAAAAAAAAA==\"");
    refused("a delete with another etag is ABORTED", stale.poller().until_done().await, Code::Aborted, 409);
    let delete = keys.delete_key().set_name(name("rust-1")).set_etag(&made.etag);
    let gone = delete.poller().until_done().await?;
    check("delete with the etag gives the key with its time", gone.delete_time.is_some(), &gone.name);
    let got = keys.get_key().set_name(name("rust-1")).send().await?;
    check("a deleted key can be looked at", got.delete_time.is_some(), &got);
    let found = keys.lookup_key().set_key_string(&made.key_string).send().await?;
    check("lookup finds a deleted key", found.name == made.name, &found);
    let listed = keys.list_keys().set_parent(PARENT).set_show_deleted(true).send().await?;
    check("show_deleted shows it", listed.keys.iter().any(|key| key.name == made.name), &listed.keys.len());
    let back = keys.undelete_key().set_name(name("rust-1")).poller().until_done().await?;
    check("undelete brings it back", back.delete_time.is_none() && back.key_string == made.key_string, &back.name);
    Ok(())
}

async fn mistakes(keys: &ApiKeys, url: &str) {
    let missing = keys.get_key().set_name(name("nothing-here")).send().await;
    refused("a key that is not there is NOT_FOUND", missing, Code::NotFound, 404);
    let taken = keys.create_key().set_parent(PARENT).set_key_id("rust-1").set_key(Key::new()).send().await;
    refused("a key id in use is ALREADY_EXISTS", taken, Code::AlreadyExists, 409);
    let bad = keys.create_key().set_parent(PARENT).set_key_id("Not_An_Id").set_key(Key::new()).send().await;
    refused("a bad key id is INVALID_ARGUMENT", bad, Code::InvalidArgument, 400);

    let elsewhere = keys.list_keys().set_parent("projects/nobody-has-this/locations/global").send().await;
    let error = refused("a project that is not there is PERMISSION_DENIED", elsewhere, Code::PermissionDenied, 403);
    let details = error.status().map(|status| status.details.as_slice()).unwrap_or_default();
    let reason = details.iter().find_map(|detail| match detail {
        StatusDetails::ErrorInfo(info) => Some(info.reason.as_str()),
        _ => None,
    });
    check("it says why", reason == Some("IAM_PERMISSION_DENIED"), &error);

    let stranger = client(url, google_cloud_auth::credentials::anonymous::Builder::new().build()).await;
    let unknown = stranger.list_keys().set_parent(PARENT).send().await;
    refused("nobody is UNAUTHENTICATED", unknown, Code::Unauthenticated, 401);
    let wrong = client(url, bearer("wrong")).await;
    let unknown = wrong.list_keys().set_parent(PARENT).send().await;
    refused("a wrong token is UNAUTHENTICATED", unknown, Code::Unauthenticated, 401);
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    rustls::crypto::ring::default_provider().install_default().expect("nobody chose a crypto provider before");
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(file)) = (arguments.next(), arguments.next()) else {
        panic!("usage: rust-client URL TOKEN_FILE");
    };
    let token = std::fs::read_to_string(file).expect("the token can be read");
    let keys = client(&url, bearer(token.trim())).await;

    let made = create(&keys).await?;
    read(&keys, &made).await?;
    update(&keys).await?;
    delete(&keys, &made).await?;
    mistakes(&keys, &url).await;
    Ok(())
}
