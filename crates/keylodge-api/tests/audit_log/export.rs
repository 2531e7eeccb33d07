//! An export to test with, and how little it takes to write one.

use keylodge_api::audit_log::{print, print_checkpoint};
use keylodge_rules::audit::{AuditKey, Chain, Checkpoint, Entry, Signed};
use keylodge_rules::{ProjectNumber, Revision, Timestamp};

/// The key that the node signs with.
pub(crate) fn key() -> AuditKey {
    AuditKey::new(&[7; 32])
}

/// A key of somebody else.
pub(crate) fn other_key() -> AuditKey {
    AuditKey::new(&[8; 32])
}

/// An entry as the server would write it; every seventh was refused, every fifth has no project.
pub(crate) fn entry(number: u64) -> Entry {
    let text = |text: &str| text.to_owned();
    let project =
        (!number.is_multiple_of(5)).then(|| (ProjectNumber::parse("123456789012").unwrap(), text("default-project")));
    Entry {
        principal: text("user:ana@example.com"),
        service: text("apikeys.googleapis.com"),
        method: text("google.api.apikeys.v2.ApiKeys.CreateKey"),
        resource: text("projects/123456789012"),
        request_id: format!("r-{number}"),
        caller_ip: text("203.0.113.5"),
        user_agent: text("google-cloud-sdk gcloud/528.0.0"),
        permission: text("serviceusage.apiKeys.create"),
        project,
        operation: format!("operations/akmf.p7-123456789012-{number}"),
        denied: number.is_multiple_of(7).then(|| text("Permission denied.")),
        request: [(text("display_name"), format!("Web „{number}“")), (text("key_id"), format!("web-{number}"))].into(),
        revision: (!number.is_multiple_of(7)).then_some(Revision(number)),
        ..Entry::at(Timestamp::from_micros(1_769_860_800_000_000 + i64::try_from(number).unwrap() * 1_000_003))
    }
}

/// The lines of a log with so many entries, and where it ends.
pub(crate) fn lines(length: u64) -> (Vec<String>, Chain) {
    let mut chain = Chain::start();
    let lines = (1..=length).map(|number| {
        let entry = entry(number);
        let link = chain.extend(&entry);
        print(link.sequence, &entry, &link.hash)
    });
    (lines.collect(), chain)
}

/// The end of a log, signed.
pub(crate) fn end(chain: &Chain, key: &AuditKey) -> Signed<Checkpoint> {
    Signed::by(key, Checkpoint::of(chain, Timestamp::from_micros(1_769_870_000_000_000), "node-1"))
}

/// A whole export, the checkpoint last.
pub(crate) fn export(length: u64) -> Vec<String> {
    let (mut lines, chain) = lines(length);
    lines.push(print_checkpoint(&end(&chain, &key())));
    lines
}
