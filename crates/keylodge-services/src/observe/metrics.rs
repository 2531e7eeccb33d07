//! Counters with bounded labels: surfaces, method names, status codes and refusal words are all fixed sets.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use keylodge_store::meter::CallRow;

use crate::Lodge;

type Labels = Vec<(&'static str, String)>;

/// What is counted. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: Family<Labels, Counter>,
    durations: Family<Labels, Histogram, fn() -> Histogram>,
    refusals: Family<Labels, Counter>,
    relayed: Family<Labels, Counter>,
    tokens: Family<Labels, Counter>,
    running: Gauge<u64, AtomicU64>,
    waiting: Gauge<u64, AtomicU64>,
    embedding: Gauge<u64, AtomicU64>,
    worker_starts: Gauge<u64, AtomicU64>,
    keys: Gauge<u64, AtomicU64>,
    revision: Gauge<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics that have counted nothing.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("keylodge");
        let requests = Family::default();
        registry.register("requests", "Requests answered", requests.clone());
        let durations = Family::new_with_constructor(histogram as fn() -> Histogram);
        registry.register_with_unit(
            "request_duration",
            "Time to the head of the answer",
            Unit::Seconds,
            durations.clone(),
        );
        let refusals = Family::default();
        registry.register("refusals", "Calls that the gate refused, by rule", refusals.clone());
        let relayed = Family::default();
        registry.register("relayed_calls", "Calls that went to upstreams, by outcome", relayed.clone());
        let tokens = Family::default();
        registry.register("tokens", "Tokens that models read and wrote", tokens.clone());
        let gauge = |registry: &mut Registry, name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let running = gauge(&mut registry, "generations_running", "Generations that have a slot");
        let waiting = gauge(&mut registry, "generations_waiting", "Generations that wait for a slot");
        let embedding = gauge(&mut registry, "embeddings_running", "Calls whose texts are made into vectors");
        let worker_starts = gauge(&mut registry, "model_worker_starts", "Times a model worker was started");
        let keys = gauge(&mut registry, "index_keys", "Keys in the gate's index");
        let revision = gauge(&mut registry, "index_revision", "Newest change that the gate acts on");
        let inner = Inner {
            registry,
            requests,
            durations,
            refusals,
            relayed,
            tokens,
            running,
            waiting,
            embedding,
            worker_starts,
            keys,
            revision,
        };
        Self(Arc::new(inner))
    }

    pub(crate) fn count_request(&self, surface: &'static str, method: &str, status: StatusCode, took: Duration) {
        let labels = |code: Option<StatusCode>| {
            let mut labels: Labels = vec![("surface", surface.to_owned()), ("method", method.to_owned())];
            labels.extend(code.map(|code| ("code", code.as_u16().to_string())));
            labels
        };
        self.0.requests.get_or_create(&labels(Some(status))).inc();
        self.0.durations.get_or_create(&labels(None)).observe(took.as_secs_f64());
    }

    /// Counts calls of the data plane from the rows they were tallied in.
    pub(crate) fn count_rows(&self, rows: &[CallRow]) {
        // Many rows, few labels.
        let mut sums = HashMap::<(&str, &str), u64>::new();
        for row in rows.iter().filter(|row| !row.kind.upstream.is_empty()) {
            *sums.entry((&row.kind.upstream, &row.kind.outcome)).or_default() += row.counts.calls;
        }
        for ((upstream, outcome), calls) in sums {
            let labels: Labels = vec![("upstream", upstream.to_owned()), ("outcome", outcome.to_owned())];
            self.0.relayed.get_or_create(&labels).inc_by(calls);
        }
    }

    pub(crate) fn count_refusal(&self, word: &'static str) {
        self.0.refusals.get_or_create(&vec![("reason", word.to_owned())]).inc();
    }

    pub(crate) fn count_tokens(&self, prompt: u64, output: u64) {
        self.0.tokens.get_or_create(&vec![("direction", "input".to_owned())]).inc_by(prompt);
        self.0.tokens.get_or_create(&vec![("direction", "output".to_owned())]).inc_by(output);
    }

    /// Everything, in OpenMetrics text.
    pub(crate) fn print(&self, lodge: &Lodge) -> String {
        let (mut running, mut waiting, mut starts) = (0, 0, 0);
        for engine in lodge.models.engines() {
            let gauges = engine.gauges();
            running += gauges.running;
            waiting += gauges.waiting;
            starts += gauges.worker_starts;
        }
        let mut embedding = 0;
        for embedder in lodge.models.embedders() {
            let gauges = embedder.gauges();
            embedding += gauges.running;
            starts += gauges.worker_starts;
        }
        self.0.embedding.set(embedding);
        self.0.running.set(running);
        self.0.waiting.set(waiting);
        self.0.worker_starts.set(starts);
        self.0.keys.set(u64::try_from(lodge.index.read(keylodge_rules::KeyIndex::len)).unwrap_or(u64::MAX));
        self.0.revision.set(lodge.index.revision().0);
        let mut text = String::new();
        // Writing into a String cannot fail; an empty page would show it if it ever did.
        let _ = encode(&mut text, &self.0.registry);
        text
    }
}

fn histogram() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0])
}
