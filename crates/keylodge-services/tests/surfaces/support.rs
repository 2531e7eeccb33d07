//! A lodge to test with, and the one door to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use keylodge_gate::{Clock, Entropy, Judge, Ledger, Names};
use keylodge_model::{Embedder, Engine, Script};
use keylodge_rules::quota::{Price, PriceTable};
use keylodge_rules::{OperatorToken, Timestamp};
use keylodge_services::observe::Metrics;
use keylodge_services::{
    AuthTokens, Background, Catalogue, Elsewhere, EmbeddingEntry, Follower, Limits, ListensAt, LiveLimits, Lodge,
    LodgeParts, ModelEntry, Models, Served, Sessions, Tally, Unwritten, Upstreams, Uses, WorkspaceRules, first_start,
    metering, router,
};
use keylodge_store::meter::{Meter, MeterOptions};
use keylodge_store::{Ephemeral, Interactions, InteractionsOptions, MasterKey, Store, StoreOptions, Vault};
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt;

/// 2026-01-31T12:00:00Z
pub(crate) const NOON: i64 = 1_769_860_800_000_000;
pub(crate) const KEYS: &str = "/v2/projects/default-project/locations/global/keys";
pub(crate) const MODEL: &str = "gemini-2.5-flash";
pub(crate) const EMBEDDING_MODEL: &str = "gemini-embedding-001";
pub(crate) const BODY_BYTES_MAX: usize = 4096;

/// A running lodge: default project, default key, owner.
pub(crate) struct House {
    pub(crate) lodge: Lodge,
    pub(crate) key: String,
    pub(crate) token: String,
    pub(crate) clock: Arc<AtomicI64>,
    router: axum::Router,
    _stop: watch::Sender<bool>,
    pub(crate) folder: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The parts of an error that a caller decides by.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let body = self.json();
        let error = &body["error"];
        assert_eq!(error["code"], self.http, "{body}");
        let text = |name: &str| error[name].as_str().unwrap().to_owned();
        (self.http, text("status"), text("message"))
    }

    /// What came back where all went well.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.http, 200, "{}", self.text());
        self.json()
    }

    /// HTTP status and canonical code of an error.
    #[track_caller]
    pub(crate) fn refused(&self) -> (u16, String) {
        assert_ne!(self.http, 200, "{}", self.text());
        let (http, status, _) = self.error();
        (http, status)
    }

    /// The `ErrorInfo` of an error: reason and metadata.
    #[track_caller]
    pub(crate) fn reason(&self) -> (String, Value) {
        let body = self.json();
        let detail = &body["error"]["details"][0];
        assert_eq!(detail["@type"], "type.googleapis.com/google.rpc.ErrorInfo", "{body}");
        (detail["reason"].as_str().unwrap().to_owned(), detail["metadata"].clone())
    }

    /// The fields that a 400 complains of.
    #[track_caller]
    pub(crate) fn wrong_fields(&self) -> Vec<String> {
        assert_eq!(self.refused(), (400, "INVALID_ARGUMENT".to_owned()), "{}", self.text());
        let body = self.json();
        let details = body["error"]["details"].as_array().unwrap().clone();
        let violations = details.iter().filter_map(|detail| detail["fieldViolations"].as_array()).flatten();
        violations.map(|violation| violation["field"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// A dollar for a million tokens in, ten for a million out.
fn prices() -> PriceTable {
    let dollar = 1_000_000_000;
    let price =
        Price { input_per_million: dollar, cached_input_per_million: dollar / 10, output_per_million: 10 * dollar };
    PriceTable::new(&[(MODEL, price), (EMBEDDING_MODEL, price)]).unwrap()
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with_script("[[reply]]\ntokens = ['Hel', 'lo', '.']\nprompt_tokens = 4").await
    }

    pub(crate) async fn with_script(script: &str) -> Self {
        Self::with(script, BODY_BYTES_MAX, Upstreams::default()).await
    }

    /// A house that takes bodies of this size.
    pub(crate) async fn with_bodies(bytes_max: usize) -> Self {
        Self::with("[[reply]]\ntext = 'x'", bytes_max, Upstreams::default()).await
    }

    /// A house with upstreams; the one that is called `there` has all models that have no other name.
    pub(crate) async fn with_upstreams(upstreams: Upstreams) -> Self {
        Self::with("[[reply]]\ntext = 'x'", BODY_BYTES_MAX, upstreams).await
    }

    async fn with(script: &str, body_bytes_max: usize, upstreams: Upstreams) -> Self {
        let live = LiveLimits::default();
        Self::over(tempfile::tempdir().unwrap(), None, script, body_bytes_max, upstreams, live).await
    }

    /// A house with these bounds on Live sessions.
    pub(crate) async fn with_live(live: LiveLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::over(folder, None, "[[reply]]\ntext = 'x'", BODY_BYTES_MAX, Upstreams::default(), live).await
    }

    /// The same house after a stop: what was in memory is gone, what was written is there.
    pub(crate) async fn reopened(self) -> Self {
        let Self { lodge, key, token, clock, router, folder, _stop } = self;
        let now = clock.load(Ordering::SeqCst);
        _stop.send_replace(true);
        lodge.store.close().await;
        drop((lodge, router));
        let script = "[[reply]]\ntokens = ['Hel', 'lo', '.']\nprompt_tokens = 4";
        let known = Some((key, token));
        let house =
            Self::over(folder, known, script, BODY_BYTES_MAX, Upstreams::default(), LiveLimits::default()).await;
        house.clock.store(now, Ordering::SeqCst);
        house
    }

    /// A house over the files of a folder; whoever opens it the second time knows its key and its owner's token.
    async fn over(
        folder: tempfile::TempDir,
        known: Option<(String, String)>,
        script: &str,
        body_bytes_max: usize,
        upstreams: Upstreams,
        live: LiveLimits,
    ) -> Self {
        let master = MasterKey::new([9; 32]);
        let options = StoreOptions { node: "test".to_owned(), keys_per_project_max: 300 };
        let store = Store::open(&folder.path().join("keylodge.db"), &master, options).await.unwrap();
        let (follower, feed, index) = Follower::start(store.clone()).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let leasing = stopped.clone();
        tokio::spawn(follower.run(stopped));
        let script = Arc::new(Script::parse(script).unwrap());
        let (engine, embedder) = (Engine::Script(Arc::clone(&script)), Embedder::Script(script));
        let text = ["gemini-2.0-flash", MODEL, "gemini-2.5-pro"]
            .map(|name| Served::Here(ModelEntry { name: name.to_owned(), engine: engine.clone(), instead: None }));
        let vectors = Served::Embeds(EmbeddingEntry { name: EMBEDDING_MODEL.to_owned(), embedder: embedder.clone() });
        let entries = text.into_iter().chain([vectors]).collect();
        let clock = Arc::new(AtomicI64::new(NOON));
        let time: Clock = {
            let clock = Arc::clone(&clock);
            Arc::new(move || Timestamp::from_micros(clock.load(Ordering::SeqCst)))
        };
        let dice = AtomicU64::new(1);
        let entropy: Entropy = Arc::new(move |bytes: &mut [u8]| {
            let throw = dice.fetch_add(1, Ordering::SeqCst).to_le_bytes();
            bytes.iter_mut().zip(throw.into_iter().cycle()).for_each(|(byte, die)| *byte = die);
        });
        let ledger = Arc::new(Ledger::new(Arc::clone(&time), true));
        let judge = Judge::new(index.clone(), master.pepper(), ledger, Arc::clone(&time), &entropy);
        let lodge = Lodge::new(LodgeParts {
            judge,
            requests: Names::new(&entropy),
            store,
            vault: Vault::new(&master),
            master,
            index,
            feed,
            models: Models::new(vec![engine], vec![embedder], entries, Elsewhere::new(&upstreams, "there", None)),
            upstreams,
            prices: prices(),
            catalogue: Catalogue::with(Vec::new()),
            workspace: WorkspaceRules::default(),
            newcomers: tokio::sync::Mutex::new(()),
            uses: Uses::default(),
            tally: Tally::default(),
            unwritten: Unwritten::default(),
            meter: Meter::open(&folder.path().join("meter.db"), MeterOptions::default()).await.unwrap(),
            interactions: Interactions::open(
                &folder.path().join("interactions.db"),
                InteractionsOptions { per_project_max: 5, ..InteractionsOptions::default() },
            )
            .await
            .unwrap(),
            auth_tokens: AuthTokens::load(
                Ephemeral::open(&folder.path().join("ephemeral.db")).await.unwrap(),
                &Vault::new(&MasterKey::new([9; 32])),
                Timestamp::from_micros(NOON),
            )
            .await
            .unwrap(),
            live: Sessions::default(),
            background: Background::default(),
            limits: Limits {
                body_bytes_max,
                body_time_max: Duration::from_secs(60),
                generation_time_max: Duration::from_secs(10 * 60),
                interactions_kept: Duration::from_secs(55 * 24 * 60 * 60),
                live,
            },
            public_url: "http://lodge".to_owned(),
            listens_at: ListensAt { data: "http://lodge".to_owned(), control: "http://lodge".to_owned() },
            clock: time,
            entropy,
            metrics: Metrics::new(),
        });
        tokio::spawn(metering::lease(lodge.clone(), leasing));
        let (key, token) = match known {
            Some(known) => known,
            None => {
                let owner = OperatorToken::issue(&[8; 32]);
                let made = first_start::make(&lodge, &owner).await.unwrap();
                (made.key.reveal().to_owned(), owner.reveal().to_owned())
            }
        };
        Self { key, token, clock, router: router(&lodge), lodge, _stop: stop, folder }
    }

    /// All surfaces, for whoever speaks to them over a connection.
    pub(crate) fn router(&self) -> axum::Router {
        self.router.clone()
    }

    /// The one door.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.begin(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { http: parts.status.as_u16(), headers: parts.headers, bytes }
    }

    /// The same, with a body that is still to be read.
    pub(crate) async fn begin(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// A call of the Gemini surface with the default key.
    pub(crate) async fn gemini(&self, path: &str, body: &Value) -> Answer {
        let request = Request::post(path).header("x-goog-api-key", &self.key);
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A management call by the owner.
    pub(crate) async fn manage(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// Whether the gate lets a key through.
    pub(crate) async fn lets_in(&self, key: &str) -> u16 {
        let request = Request::get("/v1/models").header("x-goog-api-key", key);
        self.send(request.body(Body::empty()).unwrap()).await.http
    }
}
