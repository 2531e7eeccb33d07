//! The question everything else exists for: may this key make this call?

use crate::key_rules::{allow_model, allow_time};
use crate::secret::{head, mask};
use crate::{Call, ClientRestriction, Known, Presented, ProjectState, Refusal, Shadow, Stage, Timestamp};

/// How much of what a caller claimed is repeated in a refusal, in characters.
const CLAIM_CHARS_MAX: usize = 256;

/// Decides about a call with a key that was looked up in the index.
///
/// It costs a few comparisons and, for a restricted key, a look at each entry of its lists. If it said yes wrongly, a
/// revoked key would spend its owner's money; if no wrongly, a running application would stop.
///
/// # Errors
/// The first of the [`Rule`]s that speaks against the call.
pub fn admit<'index>(known: Option<Known<'index>>, call: &Call<'_>, now: Timestamp) -> Result<Known<'index>, Refusal> {
    let known = known.ok_or(Refusal::UnknownKey)?;
    for rule in Rule::ALL {
        rule.check(&known, call, now)?;
    }
    Ok(known)
}

/// One of the rules that a call with a known key must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The string was not rotated out.
    StringGood,
    /// The key is not deleted.
    NotDeleted,
    /// The key is switched on.
    Enabled,
    /// The key's time is not over.
    NotExpired,
    /// The project is not deleted.
    ProjectActive,
    /// The key is restricted or bound, where its project asks for it.
    Restricted,
    /// The key is for this method of this service.
    ApiTarget,
    /// The key is for this caller.
    Client,
    /// The key is for this model.
    Model,
    /// The key is for this hour.
    Hours,
    /// The project has switched the service on.
    ServiceOn,
}

impl Rule {
    /// All of them, in the order in which they speak. It is Google's as far as its error messages show it: key known and
    /// still good, consumer, API target, client restriction, service; ours stand beside the client restriction.
    pub const ALL: [Self; 11] = [
        Self::StringGood,
        Self::NotDeleted,
        Self::Enabled,
        Self::NotExpired,
        Self::ProjectActive,
        Self::Restricted,
        Self::ApiTarget,
        Self::Client,
        Self::Model,
        Self::Hours,
        Self::ServiceOn,
    ];

    /// A short fixed word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::StringGood => "string_good",
            Self::NotDeleted => "not_deleted",
            Self::Enabled => "enabled",
            Self::NotExpired => "not_expired",
            Self::ProjectActive => "project_active",
            Self::Restricted => "restricted",
            Self::ApiTarget => "api_target",
            Self::Client => "client",
            Self::Model => "model",
            Self::Hours => "hours",
            Self::ServiceOn => "service_on",
        }
    }

    /// Whether a call keeps this rule, whatever the others say.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(self, known: &Known<'_>, call: &Call<'_>, now: Timestamp) -> Result<(), Refusal> {
        let Known { key, terms, project, .. } = *known;
        let presented = Presented { key, project: project.number };
        let is_over = |end: Option<Timestamp>| end.is_some_and(|end| end <= now);
        let refused = match self {
            Self::StringGood => is_over(known.until).then_some(Refusal::StringRotatedOut(presented)),
            Self::NotDeleted => match terms.stage {
                Stage::Live => None,
                Stage::Deleted { .. } => Some(Refusal::KeyDeleted(presented)),
            },
            Self::Enabled => (!terms.enabled).then_some(Refusal::KeyDisabled(presented)),
            Self::NotExpired => is_over(terms.expires).then_some(Refusal::KeyExpired(presented)),
            Self::ProjectActive => match project.state {
                ProjectState::Active => None,
                ProjectState::DeleteRequested => Some(Refusal::ProjectDeleted(presented)),
            },
            Self::Restricted => {
                let is_free = !terms.is_bound && terms.restrictions.is_unrestricted();
                (project.standard_keys_must_be_restricted && is_free).then_some(Refusal::MustBeRestricted(presented))
            }
            Self::ApiTarget => {
                let allowed = terms.restrictions.allow_api(call.service, call.method);
                (!allowed).then_some(Refusal::ServiceBlocked(presented))
            }
            Self::Client => match &terms.restrictions.client {
                Some(client) if !client.allows(call) => Some(blocked(client, call, presented)),
                Some(_) | None => None,
            },
            Self::Model => {
                let model = || call.model.and_then(claim).unwrap_or_default();
                let allowed = allow_model(&terms.rules.models, call.model);
                (!allowed).then(|| Refusal::ModelBlocked { presented, model: model() })
            }
            Self::Hours => (!allow_time(&terms.rules.hours, now)).then_some(Refusal::HoursBlocked(presented)),
            Self::ServiceOn => {
                let is_on = project.services.contains(call.service);
                (!is_on).then(|| Refusal::ServiceDisabled { presented, service: call.service.clone() })
            }
        };
        refused.map_or(Ok(()), Err)
    }
}

/// What restrictions on trial would say to a call that was admitted: the word of the first rule that would refuse it.
#[must_use]
pub fn rehearse(shadow: &Shadow, call: &Call<'_>, now: Timestamp) -> Option<&'static str> {
    let Shadow { restrictions, models, hours } = shadow;
    let client = restrictions.client.as_ref();
    let rules = [
        (Rule::ApiTarget, restrictions.allow_api(call.service, call.method)),
        (Rule::Client, client.is_none_or(|client| client.allows(call))),
        (Rule::Model, allow_model(models, call.model)),
        (Rule::Hours, allow_time(hours, now)),
    ];
    rules.into_iter().find(|(_, kept)| !kept).map(|(rule, _)| rule.word())
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
    use crate::restrictions::{Hours, MethodPattern, ModelPattern, PackageName, Sha1Fingerprint, TargetService};
    use crate::{
        AllowedIp, AndroidApp, AndroidCaller, ApiTarget, BundleId, KeyUid, Project, ProjectId, ProjectNumber, Referrer,
        ServiceName, Terms,
    };
    use std::sync::Arc;

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

    /// A key, as the index would have found it.
    #[derive(Default)]
    struct Given {
        terms: Terms,
        until: Option<Timestamp>,
    }

    /// A good key and a call that says nothing of its caller, each altered.
    fn check_call(
        change: impl FnOnce(&mut Given, &mut Project),
        describe: impl FnOnce(&mut Call<'_>),
    ) -> Result<(), Refusal> {
        let Presented { key, project: number } = presented();
        let mut project = Project {
            number,
            id: ProjectId::parse("default-project").unwrap(),
            state: ProjectState::Active,
            services: [service()].into(),
            standard_keys_must_be_restricted: false,
            limits: Arc::default(),
        };
        let mut given = Given::default();
        change(&mut given, &mut project);
        let service = service();
        let mut call = Call::new(&service, METHOD);
        describe(&mut call);
        let Given { terms, until } = &given;
        let known = Known { key, terms, project: &project, generation: 1, until: *until, is_foreign: false };
        admit(Some(known), &call, NOW).map(|_| ())
    }

    fn check(change: impl FnOnce(&mut Given, &mut Project)) -> Result<(), Refusal> {
        check_call(change, |_| {})
    }

    fn check_client(client: ClientRestriction, describe: impl FnOnce(&mut Call<'_>)) -> Result<(), Refusal> {
        check_call(|key, _| key.terms.restrictions.client = Some(client), describe)
    }

    #[test]
    fn a_live_key_of_an_active_project_with_the_service_on_passes() {
        assert_eq!(check(|_, _| {}), Ok(()));
    }

    #[test]
    fn a_rotated_out_string_is_good_until_its_moment() {
        assert_eq!(check(|key, _| key.until = FUTURE), Ok(()));
        assert_eq!(check(|key, _| key.until = PAST), Err(Refusal::StringRotatedOut(presented())));
    }

    #[test]
    fn an_expiring_key_is_good_until_its_moment() {
        assert_eq!(check(|key, _| key.terms.expires = FUTURE), Ok(()));
        assert_eq!(check(|key, _| key.terms.expires = PAST), Err(Refusal::KeyExpired(presented())));
    }

    #[test]
    fn an_unrestricted_standard_key_passes_only_where_the_project_allows_it() {
        let strict = |change: fn(&mut Terms)| {
            check(|key, project| {
                project.standard_keys_must_be_restricted = true;
                change(&mut key.terms);
            })
        };

        assert_eq!(strict(|_| {}), Err(Refusal::MustBeRestricted(presented())));
        assert_eq!(strict(|key| key.is_bound = true), Ok(()));
        assert_eq!(strict(|key| key.restrictions.api_targets = vec![target(service().as_str(), &[])]), Ok(()));
    }

    #[test]
    fn a_key_for_other_services_or_methods_is_refused() {
        let targets = |targets| check(|key, _| key.terms.restrictions.api_targets = targets);

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
        type Mistake = (fn(&mut Given, &mut Project), &'static str);
        let mistakes: [Mistake; 11] = [
            (|key, _| key.until = PAST, "string_rotated_out"),
            (|key, _| key.terms.stage = Stage::Deleted { at: Timestamp::from_micros(5) }, "key_deleted"),
            (|key, _| key.terms.enabled = false, "key_disabled"),
            (|key, _| key.terms.expires = PAST, "key_expired"),
            (|_, project| project.state = ProjectState::DeleteRequested, "project_deleted"),
            (|_, project| project.standard_keys_must_be_restricted = true, "must_be_restricted"),
            (
                |key, _| key.terms.restrictions.api_targets = vec![target("jules.googleapis.com", &[])],
                "service_blocked",
            ),
            (
                |key, _| {
                    let bundle = BundleId::parse("com.example.ios").unwrap();
                    key.terms.restrictions.client = Some(ClientRestriction::Ios(vec![bundle]));
                },
                "ios_app_blocked",
            ),
            (|key, _| key.terms.rules.models = vec![ModelPattern::parse("other").unwrap()], "model_blocked"),
            (|key, _| key.terms.rules.hours = vec![Hours::parse("fri 00:00-01:00 Z").unwrap()], "hours_blocked"),
            (|_, project| project.services.clear(), "service_disabled"),
        ];
        for (first, (_, word)) in mistakes.iter().enumerate() {
            // A key without any restriction has none that could be broken.
            let goes_together = |at: usize| *word != "must_be_restricted" || !(6..=7).contains(&at);

            let spoil = |key: &mut Given, project: &mut Project| {
                for (at, (make, _)) in mistakes.iter().enumerate().skip(first) {
                    if goes_together(at) {
                        make(key, project);
                    }
                }
            };
            let refusal = check_call(spoil, |call| call.model = Some("gemini-2.5-flash"));

            assert_eq!(refusal.unwrap_err().word(), *word);
        }
        assert_eq!(admit(None, &Call::new(&service(), METHOD), NOW).unwrap_err(), Refusal::UnknownKey);
    }

    #[test]
    fn a_key_for_some_models_passes_with_these_and_where_no_model_is_named() {
        let of = |model: Option<&'static str>| {
            let pattern = ModelPattern::parse("gemini-2.5-*").unwrap();
            check_call(|key, _| key.terms.rules.models = vec![pattern], |call| call.model = model)
        };
        let refused = Refusal::ModelBlocked { presented: presented(), model: "gemini-3-pro".to_owned() };

        assert_eq!(of(Some("gemini-2.5-flash")), Ok(()));
        assert_eq!(of(None), Ok(()));
        assert_eq!(of(Some("gemini-3-pro")), Err(refused));
    }

    #[test]
    fn a_key_for_some_hours_passes_only_then() {
        let at = |hours: &str| check(|key, _| key.terms.rules.hours = vec![Hours::parse(hours).unwrap()]);

        // 1970 began on a Thursday.
        assert_eq!(at("thu 00:00-01:00 Z"), Ok(()));
        assert_eq!(at("thu 01:00-24:00 Z"), Err(Refusal::HoursBlocked(presented())));
    }

    #[test]
    fn restrictions_on_trial_say_which_of_them_would_refuse() {
        let service = service();
        let call = Call { model: Some("gemini-2.5-flash"), ..Call::new(&service, METHOD) };
        let models = vec![ModelPattern::parse("other").unwrap()];

        assert_eq!(rehearse(&Shadow::default(), &call, NOW), None);
        assert_eq!(rehearse(&Shadow { models, ..Shadow::default() }, &call, NOW), Some("model"));
    }

    #[test]
    fn a_service_that_is_off_is_refused_by_name() {
        let refusal = check(|_, project| project.services.clear());

        assert_eq!(refusal, Err(Refusal::ServiceDisabled { presented: presented(), service: service() }));
    }
}
