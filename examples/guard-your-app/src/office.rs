//! Where keys are made and revoked, and what the gate is told of them.
//!
//! Keys live as long as the program. To keep them, write each [`Key`] to a database before the index is told of it, and
//! tell the index of all of them at the start, with the same pepper: a key's string is not among what is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{Method, Uri};
use keylodge_api::{Code, Status};
use keylodge_gate::source::random;
use keylodge_gate::{Clock, Entropy, IndexWriter, Judge, Ledger, Surface, Target, index};
use keylodge_rules::quota::{Limit, Limits, Metric, Mode, Models, Window};
use keylodge_rules::{
    Credential, Key, KeyHash, KeyRules, KeyString, KeyUid, Lookup, OperatorToken, Pepper, Project, ProjectId,
    ProjectNumber, ProjectState, ServiceName, Subject, Terms,
};

const CALLS_PER_MINUTE: u64 = 60;

/// What the handlers share.
pub(crate) struct Office {
    pub(crate) surface: Surface,
    pub(crate) judge: Judge,
    admin: KeyHash,
    pepper: Pepper,
    clock: Clock,
    entropy: Entropy,
    project: ProjectNumber,
    limits: Arc<Limits>,
    keys: Mutex<Keys>,
}

struct Keys {
    by_uid: HashMap<KeyUid, Key>,
    index: IndexWriter,
}

/// The method that a request means, by the name that restrictions of keys know it by.
fn identify(verb: &Method, uri: &Uri) -> Result<Target, Status> {
    match (verb, uri.path()) {
        (&Method::GET, "/v1/forecast") => Ok(Target::new("example.weather.v1.Weather.GetForecast")),
        _ => Err(Status::new(Code::NotFound, "There is no such method.")),
    }
}

impl Office {
    /// An office without keys. All of them will belong to one project, for which the one service is switched on.
    pub(crate) fn new(admin: &OperatorToken, clock: Clock, entropy: Entropy) -> Self {
        let service = ServiceName::parse("weather.example.com").expect("the name of a service");
        let limit = Limit::new(Metric::Requests, Window::Minute, Models::All, CALLS_PER_MINUTE, Mode::Enforced);
        let limits = Limits::new(vec![limit.expect("requests can be counted by the minute")]);
        let project = Project {
            number: ProjectNumber::from_random(random(&entropy)),
            id: ProjectId::parse("weather").expect("the id of a project"),
            state: ProjectState::Active,
            services: [service.clone()].into(),
            standard_keys_must_be_restricted: false,
            limits: Arc::default(),
        };
        let (number, pepper) = (project.number, Pepper::new(random(&entropy)));
        let (mut index, reader) = index::channel();
        index.tell([Subject::Project(project)]);
        let ledger = Arc::new(Ledger::new(Arc::clone(&clock), false));
        Self {
            surface: Surface::new(service, "Weather API", "http://127.0.0.1:8080", identify),
            judge: Judge::new(reader, pepper.clone(), ledger, Arc::clone(&clock), &entropy),
            admin: pepper.hash_token(admin),
            pepper,
            clock,
            entropy,
            project: number,
            limits: Arc::new(limits.expect("one limit is not too many")),
            keys: Mutex::new(Keys { by_uid: HashMap::new(), index }),
        }
    }

    /// Makes a key. It is good when this returns.
    pub(crate) fn issue(&self) -> (KeyUid, KeyString) {
        let uid = KeyUid::from_random(random(&self.entropy));
        let string = KeyString::issue(&random(&self.entropy));
        let lookup = Lookup::Hash(self.pepper.hash(&string));
        let rules = KeyRules { limits: Arc::clone(&self.limits), ..KeyRules::default() };
        self.with_keys(|keys| {
            keys.put(Key {
                uid,
                project: self.project,
                strings: vec![Credential { lookup, generation: 1, until: None }],
                terms: Terms { rules, ..Terms::default() },
            });
        });
        (uid, string)
    }

    /// Takes a key back, if it is live. No call that begins after this has returned gets through with it.
    pub(crate) fn revoke(&self, uid: KeyUid) -> Option<()> {
        self.with_keys(|keys| {
            let mut key = keys.by_uid.get(&uid)?.clone();
            key.terms.stage = key.terms.stage.delete((self.clock)()).ok()?;
            keys.put(key);
            Some(())
        })
    }

    pub(crate) fn is_admin(&self, token: &OperatorToken) -> bool {
        self.pepper.hash_token(token) == self.admin
    }

    fn with_keys<T>(&self, change: impl FnOnce(&mut Keys) -> T) -> T {
        change(&mut self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Keys {
    fn put(&mut self, key: Key) {
        self.by_uid.insert(key.uid, key.clone());
        self.index.tell([Subject::Key(key)]);
    }
}
