//! The question everything else exists for: may this key make this call?

use crate::secret::{head, mask};
use crate::{
    Call, ClientRestriction, Credential, Key, Known, Presented, Project, ProjectState, Refusal, Stage, Timestamp,
};

/// How much of what a caller claimed is repeated in a refusal, in characters.
const CLAIM_CHARS_MAX: usize = 256;

/// Yes: the key and the project that the call is made for.
#[derive(Clone, Copy, Debug)]
pub struct Admitted<'index> {
    /// The key that was presented.
    pub key: &'index Key,
    /// The project that pays for the call.
    pub project: &'index Project,
    /// Which of the key's strings was presented.
    pub credential: &'index Credential,
}

/// Decides about a call with a key that was looked up in the index.
///
/// The order of checks is Google's as far as its error messages show it: key known and still good, consumer, API target,
/// client restriction, service. It costs a few comparisons and, for a restricted key, a look at each entry of its lists.
/// If it said yes wrongly, a revoked key would spend its owner's money; if no wrongly, a running application would stop.
///
/// # Errors
/// The first rule that speaks against the call.
pub fn admit<'index>(
    known: Option<Known<'index>>,
    call: &Call<'_>,
    now: Timestamp,
) -> Result<Admitted<'index>, Refusal> {
    let Known { key, project, credential } = known.ok_or(Refusal::UnknownKey)?;
    let presented = || Presented { key: key.uid.clone(), project: project.number };
    let is_over = |end: Option<Timestamp>| end.is_some_and(|end| end <= now);

    if is_over(credential.until) {
        return Err(Refusal::StringRotatedOut(presented()));
    }
    match key.stage {
        Stage::Live => {}
        Stage::Deleted { .. } => return Err(Refusal::KeyDeleted(presented())),
    }
    if !key.enabled {
        return Err(Refusal::KeyDisabled(presented()));
    }
    if is_over(key.expires) {
        return Err(Refusal::KeyExpired(presented()));
    }
    match project.state {
        ProjectState::Active => {}
        ProjectState::DeleteRequested => return Err(Refusal::ProjectDeleted(presented())),
    }
    let is_bound = key.service_account.is_some() || !key.restrictions.is_unrestricted();
    if project.standard_keys_must_be_restricted && !is_bound {
        return Err(Refusal::MustBeRestricted(presented()));
    }
    if !key.restrictions.allow_api(call.service, call.method) {
        return Err(Refusal::ServiceBlocked(presented()));
    }
    if let Some(client) = &key.restrictions.client
        && !client.allows(call)
    {
        return Err(blocked(client, call, presented()));
    }
    if !project.services.contains(call.service) {
        return Err(Refusal::ServiceDisabled { presented: presented(), service: call.service.clone() });
    }
    Ok(Admitted { key, project, credential })
}

/// The refusal that belongs to a client restriction, with what the caller said of itself.
fn blocked(client: &ClientRestriction, call: &Call<'_>, presented: Presented) -> Refusal {
    match client {
        ClientRestriction::Browser(_) => {
            Refusal::ReferrerBlocked { presented, referrer: call.referrer.and_then(claim) }
        }
        ClientRestriction::Server(_) => {
            Refusal::AddressBlocked { presented, address: call.address.map(|address| address.to_canonical()) }
        }
        ClientRestriction::Android(_) => Refusal::AndroidAppBlocked {
            presented,
            package_name: call.android.and_then(|caller| claim(caller.package_name)),
        },
        ClientRestriction::Ios(_) => Refusal::IosAppBlocked { presented, bundle: call.ios_bundle.and_then(claim) },
    }
}

fn claim(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| mask(head(text, 4 * CLAIM_CHARS_MAX)).chars().take(CLAIM_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restrictions::{MethodPattern, PackageName, Sha1Fingerprint, TargetService};
    use crate::{
        AllowedIp, AndroidApp, AndroidCaller, ApiTarget, BundleId, KeyHash, KeyId, KeyUid, Lookup, ProjectId,
        ProjectNumber, Referrer, Restrictions, ServiceName,
    };

    const METHOD: &str = "google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent";
    const SHA1: &str = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709";
    const NOW: Timestamp = Timestamp::from_micros(100);
    const PAST: Option<Timestamp> = Some(NOW);
    const FUTURE: Option<Timestamp> = Some(Timestamp::from_micros(101));

    fn service() -> ServiceName {
        ServiceName::parse("generativelanguage.googleapis.com").unwrap()
    }

    fn target(service: &str, methods: &[&str]) -> ApiTarget {
        ApiTarget {
            service: TargetService::parse(service).unwrap(),
            methods: methods.iter().map(|method| MethodPattern::parse(method).unwrap()).collect(),
        }
    }

    fn presented() -> Presented {
        Presented { key: KeyUid::from_random([0; 16]), project: ProjectNumber::from_random([0; 8]) }
    }

    /// A good key and a call that says nothing of its caller, each altered.
    fn check_call(
        change: impl FnOnce(&mut Key, &mut Project),
        describe: impl FnOnce(&mut Call<'_>),
    ) -> Result<(), Refusal> {
        let Presented { key: uid, project: number } = presented();
        let mut project = Project {
            number,
            id: ProjectId::parse("default-project").unwrap(),
            state: ProjectState::Active,
            services: [service()].into(),
            standard_keys_must_be_restricted: false,
        };
        let lookup = Lookup::Hash(KeyHash::from_bytes([0; 32]));
        let mut key = Key {
            id: KeyId::from(uid.clone()),
            uid,
            project: number,
            strings: vec![Credential { lookup, generation: 1, until: None }],
            stage: Stage::Live,
            enabled: true,
            expires: None,
            restrictions: Restrictions::default(),
            service_account: None,
        };
        change(&mut key, &mut project);
        let service = service();
        let mut call = Call::new(&service, METHOD);
        describe(&mut call);
        let known = Some(Known { key: &key, project: &project, credential: &key.strings[0] });
        admit(known, &call, NOW).map(|_| ())
    }

    fn check(change: impl FnOnce(&mut Key, &mut Project)) -> Result<(), Refusal> {
        check_call(change, |_| {})
    }

    fn check_client(client: ClientRestriction, describe: impl FnOnce(&mut Call<'_>)) -> Result<(), Refusal> {
        check_call(|key, _| key.restrictions.client = Some(client), describe)
    }

    #[test]
    fn a_live_key_of_an_active_project_with_the_service_on_passes() {
        assert_eq!(check(|_, _| {}), Ok(()));
    }

    #[test]
    fn a_rotated_out_string_is_good_until_its_moment() {
        assert_eq!(check(|key, _| key.strings[0].until = FUTURE), Ok(()));
        assert_eq!(check(|key, _| key.strings[0].until = PAST), Err(Refusal::StringRotatedOut(presented())));
    }

    #[test]
    fn an_expiring_key_is_good_until_its_moment() {
        assert_eq!(check(|key, _| key.expires = FUTURE), Ok(()));
        assert_eq!(check(|key, _| key.expires = PAST), Err(Refusal::KeyExpired(presented())));
    }

    #[test]
    fn an_unrestricted_standard_key_passes_only_where_the_project_allows_it() {
        let strict = |change: fn(&mut Key)| {
            check(|key, project| {
                project.standard_keys_must_be_restricted = true;
                change(key);
            })
        };

        assert_eq!(strict(|_| {}), Err(Refusal::MustBeRestricted(presented())));
        assert_eq!(strict(|key| key.service_account = Some("a@p.iam.example.com".into())), Ok(()));
        assert_eq!(strict(|key| key.restrictions.api_targets = vec![target(service().as_str(), &[])]), Ok(()));
    }

    #[test]
    fn a_key_for_other_services_or_methods_is_refused() {
        let targets = |targets| check(|key, _| key.restrictions.api_targets = targets);

        assert_eq!(targets(vec![target("jules.googleapis.com", &[]), target(service().as_str(), &["Gen*"])]), Ok(()));
        assert_eq!(targets(vec![target("jules.googleapis.com", &[])]), Err(Refusal::ServiceBlocked(presented())));
        assert_eq!(targets(vec![target(service().as_str(), &["Count*"])]), Err(Refusal::ServiceBlocked(presented())));
    }

    #[test]
    fn a_key_for_pages_passes_from_one_of_them_and_without_a_referer_from_none() {
        let from = |referrer: Option<&'static str>| {
            let pages = ["other.example.com", "www.example.com/*"].map(|text| Referrer::parse(text).unwrap());
            check_client(ClientRestriction::Browser(pages.into()), |call| call.referrer = referrer)
        };
        let refused = |referrer: Option<&str>| {
            Err(Refusal::ReferrerBlocked { presented: presented(), referrer: referrer.map(str::to_owned) })
        };

        assert_eq!(from(Some("https://www.example.com/x")), Ok(()));
        assert_eq!(from(Some("https://evil.net/")), refused(Some("https://evil.net/")));
        assert_eq!(from(Some("")), refused(None));
        assert_eq!(from(None), refused(None));
    }

    #[test]
    fn a_key_for_machines_passes_from_one_of_them_and_from_an_unknown_address_never() {
        let from = |address: Option<&str>| {
            let network = AllowedIp::parse("198.51.100.0/24").unwrap();
            check_client(ClientRestriction::Server(vec![network]), |call| {
                call.address = address.map(|text| text.parse().unwrap());
            })
        };
        let refused = |address: Option<&str>| {
            let address = address.map(|text| text.parse().unwrap());
            Err(Refusal::AddressBlocked { presented: presented(), address })
        };

        assert_eq!(from(Some("198.51.100.7")), Ok(()));
        assert_eq!(from(Some("::ffff:198.51.100.7")), Ok(()));
        assert_eq!(from(Some("::ffff:203.0.113.5")), refused(Some("203.0.113.5")));
        assert_eq!(from(None), refused(None));
    }

    #[test]
    fn a_key_for_an_android_app_passes_with_its_package_and_certificate() {
        let from = |android: Option<AndroidCaller<'static>>| {
            let app = AndroidApp {
                package_name: PackageName::parse("com.example.app").unwrap(),
                sha1_fingerprint: Sha1Fingerprint::parse(SHA1).unwrap(),
            };
            check_client(ClientRestriction::Android(vec![app]), |call| call.android = android)
        };
        let refused = |package_name: Option<&str>| {
            Err(Refusal::AndroidAppBlocked { presented: presented(), package_name: package_name.map(str::to_owned) })
        };
        let app = AndroidCaller { package_name: "com.example.app", sha1_fingerprint: SHA1 };

        assert_eq!(from(Some(app)), Ok(()));
        assert_eq!(from(Some(AndroidCaller { sha1_fingerprint: "", ..app })), refused(Some("com.example.app")));
        assert_eq!(from(Some(AndroidCaller { package_name: "", ..app })), refused(None));
        assert_eq!(from(None), refused(None));
    }

    #[test]
    fn a_key_for_an_ios_app_passes_with_its_bundle_id() {
        let from = |ios_bundle: Option<&'static str>| {
            let bundle = BundleId::parse("com.example.ios").unwrap();
            check_client(ClientRestriction::Ios(vec![bundle]), |call| call.ios_bundle = ios_bundle)
        };
        let refused = |bundle: Option<&str>| {
            Err(Refusal::IosAppBlocked { presented: presented(), bundle: bundle.map(str::to_owned) })
        };

        assert_eq!(from(Some("com.example.ios")), Ok(()));
        assert_eq!(from(Some("com.example.evil")), refused(Some("com.example.evil")));
        assert_eq!(from(None), refused(None));
    }

    #[test]
    fn a_refusal_repeats_a_claim_cut_and_without_keys() {
        let key = crate::KeyString::issue(&[1; 32]);
        let referer = format!("https://evil.net/?key={}&{}", key.reveal(), "x".repeat(1000));

        let client = ClientRestriction::Browser(vec![Referrer::parse("www.example.com").unwrap()]);
        // The text must outlive the call that borrows it.
        let referer: &'static str = referer.leak();
        let refusal = check_client(client, |call| call.referrer = Some(referer)).unwrap_err();

        let Refusal::ReferrerBlocked { referrer: Some(repeated), .. } = refusal else { panic!("{refusal:?}") };
        assert!(repeated.starts_with("https://evil.net/?key=kl_…&xxx"), "{repeated}");
        assert_eq!(repeated.chars().count(), CLAIM_CHARS_MAX);
    }

    /// Each rule alone against everything that comes after it: mending the first mistake shows the next.
    #[test]
    fn the_rules_speak_in_their_order() {
        type Mistake = (fn(&mut Key, &mut Project), &'static str);
        let mistakes: [Mistake; 9] = [
            (|key, _| key.strings[0].until = PAST, "string_rotated_out"),
            (|key, _| key.stage = Stage::Deleted { at: Timestamp::from_micros(5) }, "key_deleted"),
            (|key, _| key.enabled = false, "key_disabled"),
            (|key, _| key.expires = PAST, "key_expired"),
            (|_, project| project.state = ProjectState::DeleteRequested, "project_deleted"),
            (|_, project| project.standard_keys_must_be_restricted = true, "must_be_restricted"),
            (|key, _| key.restrictions.api_targets = vec![target("jules.googleapis.com", &[])], "service_blocked"),
            (
                |key, _| {
                    let bundle = BundleId::parse("com.example.ios").unwrap();
                    key.restrictions.client = Some(ClientRestriction::Ios(vec![bundle]));
                },
                "ios_app_blocked",
            ),
            (|_, project| project.services.clear(), "service_disabled"),
        ];
        for (first, (_, word)) in mistakes.iter().enumerate() {
            // A key without any restriction has none that could be broken.
            let goes_together = |at: usize| *word != "must_be_restricted" || !(6..=7).contains(&at);

            let refusal = check(|key, project| {
                for (at, (make, _)) in mistakes.iter().enumerate().skip(first) {
                    if goes_together(at) {
                        make(key, project);
                    }
                }
            });

            assert_eq!(refusal.unwrap_err().word(), *word);
        }
        assert_eq!(admit(None, &Call::new(&service(), METHOD), NOW).unwrap_err(), Refusal::UnknownKey);
    }

    #[test]
    fn a_service_that_is_off_is_refused_by_name() {
        let refusal = check(|_, project| project.services.clear());

        assert_eq!(refusal, Err(Refusal::ServiceDisabled { presented: presented(), service: service() }));
    }
}
