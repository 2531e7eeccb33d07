//! 10,000 random single mutations of a 1,000-event log, 10,000 found.

use std::collections::HashMap;
use std::io::BufRead;

use keylodge_api::audit_log::{ExportVerifier, verify_export};
use keylodge_rules::audit::{Broken, Verified};
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::export::{export, key};
use crate::mutator::{Kind, Lines, harm};

const EVENTS: u64 = 1_000;
const MUTATIONS: usize = 10_000;

/// A whole export with the state in which the verifier is before each of its lines. Verifying the lines before a harm
/// again for each of 10,000 harms would take minutes and always end in these states.
struct Prefixes<'a> {
    whole: Lines<'a>,
    before: Vec<ExportVerifier>,
}

impl<'a> Prefixes<'a> {
    fn of(whole: Lines<'a>) -> Self {
        let mut verifier = ExportVerifier::new(None);
        let mut before = vec![verifier.clone()];
        for line in &whole {
            verifier.line(line).unwrap();
            before.push(verifier.clone());
        }
        Self { whole, before }
    }

    /// Verifies lines from the first on that differs. Which one that is, is seen from the lines themselves: what the
    /// mutator says that it did is not believed.
    fn verify(&self, lines: &Lines<'_>) -> Result<Verified, Broken> {
        let same = self.whole.iter().zip(lines).take_while(|(whole, line)| whole == line).count();
        let mut verifier = self.before[same].clone();
        for line in &lines[same..] {
            verifier.line(line)?;
        }
        verifier.finish(Some(&key().public_key()))
    }
}

#[test]
fn ten_thousand_random_single_mutations_of_a_thousand_event_log_are_all_found() {
    let export = export(EVENTS);
    let prefixes = Prefixes::of(export.iter().map(|line| line.as_bytes().into()).collect());
    let whole = prefixes.verify(&prefixes.whole).expect("what was not harmed is whole");
    assert_eq!(whole.entries, EVENTS);
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut found: HashMap<Kind, usize> = HashMap::new();

    for number in 0..MUTATIONS {
        // Bytes are most of what can be harmed, so every second harm is one.
        let kind = if number % 2 == 0 { Kind::FlipByte } else { Kind::ALL[number / 2 % Kind::ALL.len()] };
        let harmed = harm(kind, &prefixes.whole, &mut rng);
        assert_ne!(harmed, prefixes.whole, "mutation {number}, {kind:?}, changed nothing");

        let Err(broken) = prefixes.verify(&harmed) else { panic!("mutation {number}, {kind:?}, was not found") };

        if number % 97 < 2 {
            // A sample without the shortcut, from the first line and with the lines split anew.
            let text: Vec<u8> = harmed.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect();
            let lines = BufRead::split(text.as_slice(), b'\n').map(Result::unwrap);
            let anew = verify_export(lines, Some(&key().public_key()), None);
            assert_eq!(anew, Err(broken), "mutation {number}, {kind:?}");
        }
        *found.entry(kind).or_default() += 1;
    }

    assert_eq!(found.values().sum::<usize>(), MUTATIONS);
    assert!(Kind::ALL.iter().all(|kind| found[kind] > 300), "every kind had its turn: {found:?}");
}
