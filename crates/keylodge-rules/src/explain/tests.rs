use super::*;
use crate::restrictions::{Hours, MethodPattern, ModelPattern, PackageName, Sha1Fingerprint, TargetService};
use crate::{
    AllowedIp, AndroidApp, AndroidCaller, ApiTarget, BundleId, ClientRestriction, KeyUid, Presented, Project,
    ProjectId, ProjectNumber, ProjectState, Referrer, Refusal, ServiceName, Stage, Terms, TokenProblem, admit,
};
use proptest::prelude::*;

const METHOD: &str = "google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent";
const SHA1: &str = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709";
const THEN: Timestamp = Timestamp::from_micros(1_769_860_800_000_000);
const NOW: Timestamp = Timestamp::from_micros(1_769_860_800_000_000 + 7_200_000_000);

fn service() -> ServiceName {
    ServiceName::parse("generativelanguage.googleapis.com").unwrap()
}

/// A key, its project and the string that was presented.
#[derive(Clone, Debug)]
struct Given {
    terms: Terms,
    project: Project,
    until: Option<Timestamp>,
}

impl Given {
    fn good() -> Self {
        let project = Project {
            number: ProjectNumber::from_random([0; 8]),
            id: ProjectId::parse("default-project").unwrap(),
            state: ProjectState::Active,
            services: [service()].into(),
            standard_keys_must_be_restricted: false,
            limits: std::sync::Arc::default(),
        };
        Self { terms: Terms::default(), project, until: None }
    }

    fn known(&self) -> Known<'_> {
        let key = KeyUid::from_random([0; 16]);
        Known { key, terms: &self.terms, project: &self.project, generation: 1, until: self.until, is_foreign: false }
    }
}

/// What a caller is like, in texts of its own.
#[derive(Clone, Debug, Default)]
struct Caller {
    model: Option<String>,
    method: String,
    address: Option<[u8; 4]>,
    referrer: Option<String>,
    package: Option<String>,
    bundle: Option<String>,
}

impl Caller {
    fn call<'call>(&'call self, service: &'call ServiceName) -> Call<'call> {
        Call {
            model: self.model.as_deref(),
            address: self.address.map(Into::into),
            referrer: self.referrer.as_deref(),
            android: self.package.as_deref().map(|package_name| AndroidCaller { package_name, sha1_fingerprint: SHA1 }),
            ios_bundle: self.bundle.as_deref(),
            ..Call::new(service, &self.method)
        }
    }
}

fn client() -> impl Strategy<Value = Option<ClientRestriction>> {
    let app = AndroidApp {
        package_name: PackageName::parse("com.example.a").unwrap(),
        sha1_fingerprint: Sha1Fingerprint::parse(SHA1).unwrap(),
    };
    prop_oneof![
        Just(None),
        Just(Some(ClientRestriction::Browser(vec![Referrer::parse("www.example.com").unwrap()]))),
        Just(Some(ClientRestriction::Server(vec![AllowedIp::parse("192.0.2.0/24").unwrap()]))),
        Just(Some(ClientRestriction::Android(vec![app]))),
        Just(Some(ClientRestriction::Ios(vec![BundleId::parse("com.example.ios").unwrap()]))),
    ]
}

fn targets() -> impl Strategy<Value = Vec<ApiTarget>> {
    let target = ("generativelanguage|Generativelanguage|jules", prop::collection::vec("Generate\\*|Count\\*", 0..2));
    let target = target.prop_map(|(name, methods)| ApiTarget {
        service: TargetService::parse(&format!("{name}.googleapis.com")).unwrap(),
        methods: methods.iter().map(|text| MethodPattern::parse(text).unwrap()).collect(),
    });
    prop::collection::vec(target, 0..3)
}

fn given() -> impl Strategy<Value = Given> {
    let moment = || prop_oneof![Just(None), Just(Some(THEN)), Just(Some(NOW)), Just(Some(NOW.plus(NEVER)))];
    let stage = prop_oneof![Just(Stage::Live), Just(Stage::Deleted { at: THEN })];
    let rules = (prop::collection::vec("gemini-2\\*|gemma", 0..2), prop::collection::vec("mon|sat", 0..2));
    (client(), targets(), rules, stage, moment(), moment(), any::<[bool; 5]>()).prop_map(
        |(client, api_targets, (models, days), stage, expires, until, [enabled, bound, active, strict, on])| {
            let mut given = Given::good();
            given.terms.restrictions.client = client;
            given.terms.restrictions.api_targets = api_targets;
            given.terms.rules.models = models.iter().map(|model| ModelPattern::parse(model).unwrap()).collect();
            let hours = days.iter().map(|day| Hours::parse(&format!("{day} 00:00-06:00 Z")).unwrap());
            given.terms.rules.hours = hours.collect();
            given.terms.stage = stage;
            given.terms.expires = expires;
            (given.terms.enabled, given.terms.is_bound, given.until) = (enabled, bound, until);
            given.project.state = if active { ProjectState::Active } else { ProjectState::DeleteRequested };
            given.project.standard_keys_must_be_restricted = strict;
            if !on {
                given.project.services.clear();
            }
            given
        },
    )
}

const NEVER: std::time::Duration = std::time::Duration::from_secs(1_000_000);

fn caller() -> impl Strategy<Value = Caller> {
    let referrer = prop_oneof![
        "https?://([a-z]{1,5}\\.){1,2}test(:[1-9][0-9]{1,3})?(/[a-z~%*]{0,4}){0,3}([?#][a-z]{0,3})?",
        "file:///[a-z]{1,5}/x",
        ".{0,12}",
    ];
    let model = prop::option::of("gemini-[12](\\.5)?-pro|gemma|[ *a-z]{1,4}");
    let method = prop_oneof![Just(METHOD.to_owned()), "[A-Za-z./* ]{0,12}"];
    let package = prop::option::of("com\\.example\\.[a-c]| ");
    let bundle = prop::option::of("com\\.example\\.[a-z]{1,3}| ");
    (model, method, any::<Option<[u8; 4]>>(), prop::option::of(referrer), package, bundle).prop_map(
        |(model, method, address, referrer, package, bundle)| Caller {
            model,
            method,
            address,
            referrer,
            package,
            bundle,
        },
    )
}

proptest! {
    #[test]
    fn after_all_remedies_a_call_passes_and_after_each_its_rule_is_kept(given in given(), caller in caller()) {
        let service = service();
        let call = caller.call(&service);
        let moments = Moments { then: THEN, now: NOW };
        let found = remedies(&given.known(), &call, moments);

        let mut mended = given.clone();
        let mut all_apply = true;
        for (rule, remedy) in &found {
            let mut alone = given.clone();
            if remedy.apply(&mut alone.terms, &mut alone.project, &mut alone.until) {
                prop_assert_eq!(rule.check(&alone.known(), &call, asked(*rule, moments)), Ok(()), "{:?}", remedy);
            } else {
                all_apply = false;
            }
            remedy.apply(&mut mended.terms, &mut mended.project, &mut mended.until);
        }

        if all_apply {
            prop_assert!(admit(Some(mended.known()), &call, THEN).is_ok(), "{:?} {:?}", found, mended);
        }
        let broken: Vec<Rule> = Rule::ALL.into_iter().filter(|rule| rule.check(&given.known(), &call, asked(*rule, moments)).is_err()).collect();
        prop_assert_eq!(found.iter().map(|(rule, _)| *rule).collect::<Vec<_>>(), broken);
    }

    /// Otherwise a stranger could have an owner add what lets everybody in.
    #[test]
    fn no_remedy_covers_a_page_or_model_that_did_not_call(given in given(), caller in caller(), other in "https://([a-z]{1,5}\\.){1,2}test/[a-z]{0,4}") {
        let service = service();
        let call = caller.call(&service);
        for (_, remedy) in remedies(&given.known(), &call, Moments { then: THEN, now: NOW }) {
            match remedy {
                Remedy::AddReferrer(page) => {
                    prop_assert!(!page.as_str().contains('*'));
                    let same = caller.referrer.as_deref().is_some_and(|referrer| referrer.starts_with(&other));
                    prop_assert!(same || !page.matches(&other), "{} {}", page.as_str(), other);
                }
                Remedy::AddModel(model) => prop_assert!(!model.as_str().contains('*')),
                _ => {}
            }
        }
    }
}

#[test]
fn the_chain_tells_what_each_rule_said_then_and_says_now() {
    let mut given = Given::good();
    given.terms.rules.models = vec![ModelPattern::parse("gemma").unwrap()];
    let service = service();
    let call = Call { model: Some("gemini-3"), ..Call::new(&service, METHOD) };

    // It was disabled then, and is switched on again.
    let steps = chain("key_disabled", Some(&given.known()), &call, NOW);

    let finding = |rule: Rule| steps.iter().find(|step| step.rule == rule).map(|step| (step.then, step.now)).unwrap();
    assert_eq!(finding(Rule::NotDeleted), (Finding::Kept, Finding::Kept));
    assert_eq!(finding(Rule::Enabled), (Finding::Broken, Finding::Kept));
    assert_eq!(finding(Rule::NotExpired), (Finding::NotAsked, Finding::Kept));
    assert_eq!(finding(Rule::Model), (Finding::NotAsked, Finding::Broken));
}

#[test]
fn without_a_key_no_rule_was_asked_and_before_a_limit_all_were() {
    let service = service();
    let call = Call::new(&service, METHOD);

    let unknown = chain("unknown_key", None, &call, NOW);
    assert!(unknown.iter().all(|step| (step.then, step.now) == (Finding::NotAsked, Finding::NotAsked)));
    let given = Given::good();
    for word in ["limit_exceeded", "ledger_away"] {
        let limited = chain(word, Some(&given.known()), &call, NOW);
        assert!(limited.iter().all(|step| (step.then, step.now) == (Finding::Kept, Finding::Kept)), "{word}");
    }
}

#[test]
fn every_word_of_a_refusal_belongs_to_a_rule_or_comes_before_or_after_all() {
    let presented = Presented::NOBODY;
    let text = || "x".to_owned();
    for refusal in [
        Refusal::NoCredential,
        Refusal::TwoCredentials,
        Refusal::NotAnApiKey,
        Refusal::UnknownKey,
        Refusal::StringRotatedOut(presented),
        Refusal::KeyDeleted(presented),
        Refusal::KeyDisabled(presented),
        Refusal::KeyExpired(presented),
        Refusal::ProjectDeleted(presented),
        Refusal::MustBeRestricted(presented),
        Refusal::ServiceBlocked(presented),
        Refusal::ReferrerBlocked { presented, referrer: None },
        Refusal::AddressBlocked { presented, address: None },
        Refusal::AndroidAppBlocked { presented, package_name: None },
        Refusal::IosAppBlocked { presented, bundle: None },
        Refusal::ModelBlocked { presented, model: text() },
        Refusal::HoursBlocked(presented),
        Refusal::ServiceDisabled { presented, service: service() },
        Refusal::LimitExceeded { presented, of_project: vec![], of_key: vec![] },
        Refusal::LedgerAway(presented),
        Refusal::UnknownToken,
        Refusal::Token { presented, problem: TokenProblem::Expired },
        Refusal::Token { presented, problem: TokenProblem::Away },
    ] {
        let word = refusal.word();
        assert_eq!(Rule::of_refusal(word).is_some(), refusal.key().is_some() && !is_after_all_rules(word), "{word}");
        assert_eq!(is_before_all_rules(word), refusal.key().is_none(), "{word}");
        assert!(is_refusal(word), "{word}");
    }
    for answered in ["ok", "http_429", "broken", "caller_gone", "unreachable"] {
        assert!(!is_refusal(answered), "{answered}");
    }
}

#[test]
fn a_page_is_named_without_its_query_in_the_notation_of_its_scheme() {
    let mut given = Given::good();
    given.terms.restrictions.client = Some(ClientRestriction::Browser(vec![Referrer::parse("a.test").unwrap()]));
    let service = service();
    let remedy = |referrer| {
        let call = Call { referrer: Some(referrer), ..Call::new(&service, METHOD) };
        remedies(&given.known(), &call, Moments { then: THEN, now: NOW }).remove(0).1
    };
    let page = |text| Remedy::AddReferrer(Referrer::parse(text).unwrap());

    assert_eq!(remedy("https://b.test:8443/x?key=1#y"), page("https://b.test:8443/x"));
    assert_eq!(remedy("https://b.test"), page("https://b.test/"));
    assert_eq!(remedy("file:///home/x.html"), page("__file_url__//home/x.html"));
    for nobody in ["https://*.test/", "https://b.test/*", "b.test", "", "https://me@b.test/"] {
        assert_eq!(remedy(nobody), Remedy::SayWho, "{nobody}");
    }
}
