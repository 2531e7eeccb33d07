//! What the decision costs by itself: [`Judge::admit`] with as many keys as are asked for, no socket, no body, no limits.
//!
//! `cargo bench -p keylodge-gate --bench decision -- 1000 10000000`; bench/README.md says what the columns are.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, Uri};
use keylodge_gate::{Clock, Credentials, Entropy, Judge, Ledger, Peer, Surface, Target, index};
use keylodge_rules::restrictions::TargetService;
use keylodge_rules::{
    ApiTarget, Credential, Key, KeyString, KeyUid, Lookup, Pepper, Project, ProjectId, ProjectNumber, ProjectState,
    Restrictions, ServiceName, Subject, Terms, Timestamp,
};

const SIZES: &[u64] = &[1_000, 100_000, 1_000_000];
const ROUNDS: usize = 21;
/// So few that their strings stay in the processor's cache, as that of a request does which was just read.
const CALLS: usize = 10_000;
/// Below this the index is lost among the allocator's own pages.
const MEMORY_FROM: u64 = 100_000;
const SERVICE: &str = "generativelanguage.googleapis.com";

fn main() {
    // `cargo bench` says `--bench`; `cargo test --benches` does not, and only wants to see that this runs.
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let given: Vec<u64> = std::env::args().skip(1).filter_map(|arg| arg.replace('_', "").parse().ok()).collect();
    match &given[..] {
        [] if is_bench => all(SIZES),
        [] => print(1_000, &Bench::new(1_000).rounds(1, 1_000)),
        [keys] => print(*keys, &Bench::new(*keys).rounds(ROUNDS, CALLS)),
        sizes => all(sizes),
    }
}

/// Each size in a process of its own, so that none grows into memory that another has given back.
fn all(sizes: &[u64]) {
    println!("{ROUNDS} rounds of {CALLS} calls; reading the clock twice takes {} ns of p50 and p99\n", clock_ns());
    println!("|       keys | call    | mean ns | p50 ns | p99 ns | bytes/key |");
    println!("|-----------:|---------|--------:|-------:|-------:|----------:|");
    for keys in sizes {
        let status = Command::new(std::env::current_exe().unwrap()).arg(keys.to_string()).status();
        assert!(status.unwrap().success());
    }
}

fn print(keys: u64, (rows, bytes_per_key): &([(&str, Figures); 2], Option<f64>)) {
    for (call, Figures { mean, p50, p99 }) in rows {
        let bytes = bytes_per_key.map_or_else(|| "–".to_owned(), |bytes| format!("{bytes:.1}"));
        println!("| {keys:>10} | {call:<7} | {mean:>7} | {p50:>6} | {p99:>6} | {bytes:>9} |");
    }
}

/// A gate that knows so many keys, and a call as it sees it.
struct Bench {
    keys: u64,
    judge: Judge,
    surface: Surface,
    target: Target,
    headers: HeaderMap,
    peer: Peer,
    bytes_per_key: Option<f64>,
    dice: u64,
}

/// Nanoseconds.
struct Figures {
    mean: u64,
    p50: u64,
    p99: u64,
}

impl Bench {
    fn new(keys: u64) -> Self {
        let entropy: Entropy = Arc::new(|bytes: &mut [u8]| bytes.fill(1));
        let clock: Clock = Arc::new(now);
        let pepper = Pepper::new([7; 32]);
        let service = ServiceName::parse(SERVICE).unwrap();
        let project = Project {
            number: ProjectNumber::from_random([0; 8]),
            id: ProjectId::parse("default-project").unwrap(),
            state: ProjectState::Active,
            services: [service.clone()].into(),
            standard_keys_must_be_restricted: true,
            limits: Arc::default(),
        };
        let only_this = ApiTarget { service: TargetService::parse(SERVICE).unwrap(), methods: vec![] };
        let restrictions = Restrictions { api_targets: vec![only_this], ..Restrictions::default() };
        let terms = Terms { restrictions, ..Terms::default() };
        let key = |number: u64| Key {
            uid: KeyUid::from_random(*random::<32>(!number).first_chunk().unwrap()),
            project: project.number,
            strings: vec![Credential {
                lookup: Lookup::Hash(pepper.hash(&string(number))),
                generation: 1,
                until: None,
            }],
            terms: terms.clone(),
        };

        let (mut writer, reader) = index::channel();
        writer.tell([Subject::Project(project.clone())]);
        let before = resident_bytes();
        for from in (0..keys).step_by(1000) {
            writer.tell((from..keys.min(from + 1000)).map(|number| Subject::Key(key(number))));
        }
        let bytes = before.zip(resident_bytes()).filter(|_| keys >= MEMORY_FROM);

        let ledger = Arc::new(Ledger::new(Arc::clone(&clock), false));
        let headers = [
            ("host", "127.0.0.1:8585"),
            ("accept", "*/*"),
            ("accept-encoding", "gzip, deflate"),
            ("connection", "keep-alive"),
            ("content-type", "application/json"),
            ("content-length", "200"),
            ("user-agent", "google-genai-sdk/1.60.0 gl-python/3.12.3"),
            ("x-goog-api-client", "google-genai-sdk/1.60.0 gl-python/3.12.3"),
        ];
        let peer = Peer::direct("198.51.100.9:4000".parse().unwrap());
        Self {
            keys,
            judge: Judge::new(reader, pepper, ledger, clock, &entropy),
            surface: Surface::new(service, "Generative Language API", "http://127.0.0.1:8585/studio", |_, _| {
                Ok(Target::new(""))
            }),
            target: Target::new("google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent"),
            headers: headers
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .into_iter()
                .collect(),
            peer,
            bytes_per_key: bytes.map(|(before, after)| (after - before) as f64 / keys as f64),
            dice: 1,
        }
    }

    fn rounds(mut self, rounds: usize, calls: usize) -> ([(&'static str, Figures); 2], Option<f64>) {
        let (keys, mut known, mut unknown) = (self.keys, Vec::new(), Vec::new());
        for _ in 0..rounds {
            known.push(self.round(calls, 0..keys, true));
            unknown.push(self.round(calls, keys..keys * 2, false));
        }
        ([("known", medians(&known)), ("unknown", medians(&unknown))], self.bytes_per_key)
    }

    /// Every call has another key, so that nothing is warm by the call before. The mean is taken without a clock inside
    /// the loop, and so of other calls than the rest.
    fn round(&mut self, calls: usize, numbers: std::ops::Range<u64>, is_known: bool) -> Figures {
        let sample = self.sample(calls, &numbers);
        let begin = Instant::now();
        for credentials in &sample {
            assert_eq!(self.admit(credentials), is_known);
        }
        let mean = ns(begin) / calls as u64;

        let sample = self.sample(calls, &numbers);
        let timed = sample.iter().map(|credentials| {
            let begin = Instant::now();
            black_box(self.admit(credentials));
            ns(begin)
        });
        let mut timed: Vec<u64> = timed.collect();
        timed.sort_unstable();
        Figures { mean, p50: timed[calls / 2], p99: timed[calls * 99 / 100] }
    }

    fn admit(&self, credentials: &Credentials) -> bool {
        let pass = self.judge.admit(
            Some(credentials),
            &self.surface,
            &self.target,
            &self.headers,
            Some(&self.peer),
            self.judge.now(),
        );
        black_box(pass).is_ok()
    }

    fn sample(&mut self, calls: usize, numbers: &std::ops::Range<u64>) -> Vec<Credentials> {
        let mut sample = Vec::with_capacity(calls);
        for _ in 0..calls {
            self.dice += 1;
            let number = numbers.start + mix(self.dice) % (numbers.end - numbers.start);
            let mut headers = HeaderMap::new();
            headers.insert("x-goog-api-key", HeaderValue::from_str(string(number).reveal()).unwrap());
            sample.push(Credentials::take(&mut headers, &mut Uri::from_static("/v1beta/models/m:generateContent")));
        }
        sample
    }
}

fn medians(rounds: &[Figures]) -> Figures {
    let median = |figure: fn(&Figures) -> u64| {
        let mut figures: Vec<u64> = rounds.iter().map(figure).collect();
        figures.sort_unstable();
        figures[figures.len() / 2]
    };
    Figures { mean: median(|f| f.mean), p50: median(|f| f.p50), p99: median(|f| f.p99) }
}

fn clock_ns() -> u64 {
    let mut times: Vec<u64> = (0..10_001).map(|_| ns(black_box(Instant::now()))).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn ns(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The string of the key with this number.
fn string(number: u64) -> KeyString {
    KeyString::issue(&random(number))
}

fn random<const COUNT: usize>(seed: u64) -> [u8; COUNT] {
    let mut bytes = [0; COUNT];
    for (at, word) in (1..).zip(bytes.chunks_exact_mut(8)) {
        word.copy_from_slice(&mix(seed.wrapping_mul(8).wrapping_add(at)).to_le_bytes());
    }
    bytes
}

/// SplitMix64.
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[expect(clippy::disallowed_methods, reason = "the program's clock is this one, and it is part of the decision")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}

/// Memory of this process that is in RAM, where the system says so.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
