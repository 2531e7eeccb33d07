//! One small harm at a time, done to an export.

use std::borrow::Cow;

use keylodge_api::audit_log::{parse, parse_checkpoint, print, print_checkpoint};
use keylodge_rules::audit::{Chain, ChainHash, Checkpoint, Entry, Signed};
use keylodge_rules::{ProjectNumber, Revision, Timestamp};
use proptest::prelude::Rng;
use proptest::test_runner::TestRng;

use crate::export::{key, other_key};

/// The lines of an export, without newlines.
pub(crate) type Lines<'a> = Vec<Cow<'a, [u8]>>;

/// The ways to do harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    FlipByte,
    DeleteLine,
    DuplicateLine,
    SwapLines,
    InsertEntry,
    EditEntry,
    EditEntryAndItsHash,
    CutTail,
    CutTailBeforeCheckpoint,
    CutHead,
    DropSignature,
    OtherSignature,
    OtherKeyUnderOurName,
    OtherCheckpoint,
}

impl Kind {
    pub(crate) const ALL: [Self; 14] = [
        Self::FlipByte,
        Self::DeleteLine,
        Self::DuplicateLine,
        Self::SwapLines,
        Self::InsertEntry,
        Self::EditEntry,
        Self::EditEntryAndItsHash,
        Self::CutTail,
        Self::CutTailBeforeCheckpoint,
        Self::CutHead,
        Self::DropSignature,
        Self::OtherSignature,
        Self::OtherKeyUnderOurName,
        Self::OtherCheckpoint,
    ];
}

/// Does harm of this kind in a random place of a whole export.
pub(crate) fn harm<'a>(kind: Kind, lines: &Lines<'a>, rng: &mut TestRng) -> Lines<'a> {
    let end = lines.len() - 1;
    let mut pick = |below: usize| usize::try_from(rng.next_u64() % below as u64).unwrap();
    let mut harmed = lines.clone();
    match kind {
        Kind::FlipByte => return flip_byte(lines, &mut pick),
        Kind::DeleteLine => drop(harmed.remove(pick(lines.len()))),
        Kind::DuplicateLine => {
            let (from, to) = (pick(lines.len()), pick(lines.len() + 1));
            harmed.insert(to, lines[from].clone());
        }
        Kind::SwapLines => {
            let one = pick(lines.len());
            let other = (one + 1 + pick(lines.len() - 1)) % lines.len();
            harmed.swap(one, other);
        }
        Kind::InsertEntry => {
            // An entry that was never written, tied to the one before it as a forger without the key can do it.
            let at = 1 + pick(end);
            let (sequence, mut entry, hash) = parse(text(&lines[at - 1])).unwrap();
            edit(&mut entry, &mut pick);
            let link = Chain::at(sequence, hash).extend(&entry);
            harmed.insert(at, print(link.sequence, &entry, &link.hash).into_bytes().into());
        }
        Kind::EditEntry | Kind::EditEntryAndItsHash => {
            let at = pick(end);
            let (sequence, mut entry, mut hash) = parse(text(&lines[at])).unwrap();
            edit(&mut entry, &mut pick);
            if kind == Kind::EditEntryAndItsHash {
                let before = at.checked_sub(1).map(|before| parse(text(&lines[before])).unwrap().2);
                hash = Chain::at(sequence - 1, before.unwrap_or(ChainHash::START)).extend(&entry).hash;
            }
            harmed[at] = print(sequence, &entry, &hash).into_bytes().into();
        }
        Kind::CutTail => harmed.truncate(pick(lines.len())),
        Kind::CutTailBeforeCheckpoint => drop(harmed.drain(pick(end)..end)),
        Kind::CutHead => drop(harmed.drain(..1 + pick(end))),
        Kind::DropSignature | Kind::OtherSignature | Kind::OtherKeyUnderOurName | Kind::OtherCheckpoint => {
            harmed[end] = forge(kind, text(&lines[end]), &mut pick).into_bytes().into();
        }
    }
    harmed
}

/// A byte anywhere in the text, newlines included, becomes any other byte.
fn flip_byte<'a>(lines: &Lines<'a>, pick: &mut impl FnMut(usize) -> usize) -> Lines<'a> {
    let mut place = pick(lines.iter().map(|line| line.len() + 1).sum());
    let at = lines.iter().position(|line| match place.checked_sub(line.len() + 1) {
        Some(rest) => {
            place = rest;
            false
        }
        None => true,
    });
    let at = at.unwrap();
    // A harmed newline joins two lines, a new one parts one.
    let upto = (at + 2).min(lines.len());
    let mut bytes: Vec<u8> = lines[at..upto].iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect();
    bytes[place] ^= u8::try_from(1 + pick(255)).unwrap();
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    let parted = bytes.split(|byte| *byte == b'\n').map(|line| Cow::Owned(line.to_vec()));
    lines[..at].iter().cloned().chain(parted).chain(lines[upto..].iter().cloned()).collect()
}

/// Another value for one of the fields.
fn edit(entry: &mut Entry, pick: &mut impl FnMut(usize) -> usize) {
    let word = format!("forged-{}", pick(1_000_000));
    match pick(14) {
        0 => entry.time = Timestamp::from_micros(entry.time.micros() + 1),
        1 => entry.principal = word,
        2 => entry.service = word,
        3 => entry.method = word,
        4 => entry.resource.push('x'),
        5 => entry.request_id.clear(),
        6 => entry.caller_ip = word,
        7 => entry.user_agent = word,
        8 => entry.permission.clear(),
        9 => entry.project = Some((ProjectNumber::parse("1").unwrap(), word)),
        10 => entry.operation.clear(),
        11 => entry.denied = Some(word),
        12 => drop(entry.request.insert("display_name".to_owned(), word)),
        _ => entry.revision = entry.revision.is_none().then_some(Revision(0)),
    }
}

/// Another checkpoint line.
fn forge(kind: Kind, line: &str, pick: &mut impl FnMut(usize) -> usize) -> String {
    let end = parse_checkpoint(line).unwrap();
    match kind {
        Kind::DropSignature => {
            let signature = format!("\"signature\":\"{}\"", end.signature);
            let without = [(format!(",{signature}"), ""), (signature, "\"signature\":\"\"")];
            let (from, to) = &without[pick(2)];
            line.replace(from, to)
        }
        Kind::OtherSignature => print_checkpoint(&Signed::by(&other_key(), end.statement)),
        Kind::OtherKeyUnderOurName => {
            let forged = Signed::by(&other_key(), end.statement);
            print_checkpoint(&Signed { public_key: key().public_key(), ..forged })
        }
        // Other words over the old signature.
        _ => {
            let Checkpoint { sequence, hash, time, node } = end.statement;
            let statement = match pick(4) {
                0 => Checkpoint { sequence: sequence - 1, hash, time, node },
                1 => Checkpoint { sequence, hash: ChainHash::START, time, node },
                2 => Checkpoint { sequence, hash, time: Timestamp::from_micros(time.micros() + 1), node },
                _ => Checkpoint { sequence, hash, time, node: format!("{node}x") },
            };
            print_checkpoint(&Signed { statement, ..end })
        }
    }
}

fn text(line: &[u8]) -> &str {
    str::from_utf8(line).unwrap()
}
