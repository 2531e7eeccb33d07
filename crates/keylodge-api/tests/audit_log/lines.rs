//! Lines print as Google's do, read back as they were, and nothing else is read.

use keylodge_api::audit_log::{NotAnEntry, parse, parse_checkpoint, print, print_checkpoint, verify_export};
use keylodge_rules::audit::{Chain, ChainHash, Checkpoint, Entry, Signed};
use keylodge_rules::{ProjectNumber, Revision, Timestamp};
use proptest::prelude::*;

use crate::export::{end, entry, export, key, lines, other_key};

const HASH: ChainHash = ChainHash::from_bytes([0xab; 32]);

#[test]
fn an_entry_prints_as_cloud_logging_has_it() {
    let expected = concat!(
        r#"{"logName":"projects/default-project/logs/cloudaudit.googleapis.com%2Factivity","#,
        r#""insertId":"00000000000000000008","#,
        r#""timestamp":"2026-01-31T12:00:08.000024Z","receiveTimestamp":"2026-01-31T12:00:08.000024Z","#,
        r#""severity":"NOTICE","resource":{"type":"audited_resource","labels":{"project_id":"default-project","#,
        r#""service":"apikeys.googleapis.com","method":"google.api.apikeys.v2.ApiKeys.CreateKey"}},"#,
        r#""labels":{"keylodge.format":"1","keylodge.sequence":"8","#,
        r#""keylodge.hash":"abababababababababababababababababababababababababababababababab","#,
        r#""keylodge.revision":"8","keylodge.request_id":"r-8","keylodge.project_number":"123456789012"},"#,
        r#""operation":{"id":"operations/akmf.p7-123456789012-8","producer":"apikeys.googleapis.com","#,
        r#""first":true,"last":true},"#,
        r#""protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","#,
        r#""serviceName":"apikeys.googleapis.com","methodName":"google.api.apikeys.v2.ApiKeys.CreateKey","#,
        r#""resourceName":"projects/123456789012","#,
        r#""authenticationInfo":{"principalEmail":"ana@example.com","principalSubject":"user:ana@example.com"},"#,
        r#""authorizationInfo":[{"permission":"serviceusage.apiKeys.create","#,
        r#""resource":"projectnumbers/123456789012","granted":true,"resourceAttributes":{}}],"#,
        r#""requestMetadata":{"callerIp":"203.0.113.5","callerSuppliedUserAgent":"google-cloud-sdk gcloud/528.0.0","#,
        r#""requestAttributes":{"time":"2026-01-31T12:00:08.000024Z","auth":{}},"destinationAttributes":{}},"#,
        r#""request":{"display_name":"Web „8“","key_id":"web-8"},"status":{}}}"#,
    );

    assert_eq!(print(8, &entry(8), &HASH), expected);
}

#[test]
fn what_is_not_there_is_not_printed() {
    let bare = Entry { method: "Lodge.Purge".to_owned(), ..Entry::at(Timestamp::from_micros(0)) };

    let line = print(1, &bare, &HASH);

    assert!(line.starts_with(r#"{"logName":"keylodge/logs/cloudaudit.googleapis.com%2Factivity","#), "{line}");
    for absent in
        ["operation", "authorizationInfo\"", "callerIp", "\"request\"", "revision", "principalEmail", "project_id"]
    {
        assert!(!line.contains(absent), "{absent} in {line}");
    }
}

#[test]
fn a_refused_call_is_an_error_that_was_not_granted() {
    let line = print(7, &entry(7), &HASH);

    for part in [r#""severity":"ERROR""#, r#""granted":false"#, r#""status":{"code":7,"message":"Permission denied."}"#]
    {
        assert!(line.contains(part), "{part} not in {line}");
    }
}

#[test]
fn reads_are_in_the_data_access_log() {
    let log = |method: &str| {
        let line = print(1, &Entry { method: method.to_owned(), ..entry(1) }, &HASH);
        if line.contains("%2Fdata_access\"") { "data_access" } else { "activity" }
    };

    for read in ["GetKeyString", "GetKey", "ListKeys", "LookupKey", "SearchProjects", "TestIamPermissions"] {
        assert_eq!(log(&format!("google.api.apikeys.v2.ApiKeys.{read}")), "data_access", "{read}");
    }
    for write in ["CreateKey", "UpdateKey", "DeleteKey", "UndeleteKey", "SetIamPolicy", "EnableService"] {
        assert_eq!(log(&format!("google.api.apikeys.v2.ApiKeys.{write}")), "activity", "{write}");
    }
    assert_eq!(log("google.longrunning.Operations.GetOperation"), "activity");
    assert_eq!(log(""), "activity");
}

#[test]
fn the_same_values_in_other_bytes_are_refused() {
    let line = print(1, &entry(1), &HASH);
    assert_eq!(parse(&line), Ok((1, entry(1), HASH)));

    let check = |from: &str, to: &str, why: NotAnEntry| {
        let other = line.replacen(from, to, 1);
        assert_ne!(other, line, "{from}");
        assert_eq!(parse(&other).unwrap_err(), why, "{other}");
    };
    check("{\"logName\"", "{ \"logName\"", NotAnEntry::OtherSpelling);
    check("\"Web ", "\"\\u0057eb ", NotAnEntry::OtherSpelling);
    check("\"status\":{}", "\"status\":{},\"status2\":{}", NotAnEntry::OtherSpelling);
    check("\"granted\":true", "\"granted\":false", NotAnEntry::OtherSpelling);
    check("\"first\":true", "\"first\":false", NotAnEntry::OtherSpelling);
    check("\"severity\":\"NOTICE\"", "\"severity\":\"ERROR\"", NotAnEntry::OtherSpelling);
    check(",\"keylodge.revision\":\"1\"", ",\"keylodge.revision\":null", NotAnEntry::OtherSpelling);
    check("\"keylodge.sequence\":\"1\"", "\"keylodge.sequence\":\"01\"", NotAnEntry::OtherSpelling);
    check("\"keylodge.sequence\":\"1\"", "\"keylodge.sequence\":\"-1\"", NotAnEntry::Field("keylodge.sequence"));
    check("\"keylodge.hash\":\"ab", "\"keylodge.hash\":\"AB", NotAnEntry::Field("keylodge.hash"));
    check("\"keylodge.format\":\"1\"", "\"keylodge.format\":\"2\"", NotAnEntry::OtherFormat);
    check("{\"logName\"", "{\"logNam\"", NotAnEntry::NotJson);
    assert_eq!(parse(&format!("{line}\r")).unwrap_err(), NotAnEntry::OtherSpelling);
    assert_eq!(parse("").unwrap_err(), NotAnEntry::NotJson);
}

#[test]
fn an_export_is_whole_from_the_start_and_from_an_earlier_checkpoint() {
    let key = key().public_key();
    let whole = export(20);

    let verified = verify_export(&whole, Some(&key), None).unwrap();
    assert_eq!((verified.first, verified.entries, verified.signed_by), (1, 20, key));
    let (_, half) = lines(10);
    let earlier = end(&half, &self::key()).statement;
    assert_eq!(verify_export(&whole, Some(&key), Some(earlier.clone())).unwrap().first, 1);
    assert_eq!(verify_export(&whole[10..], Some(&key), Some(earlier)).unwrap().first, 11);
    assert_eq!(verify_export(export(0), Some(&key), None).unwrap().entries, 0);
}

#[test]
fn a_broken_export_says_where_and_what() {
    let key = key().public_key();
    let whole = export(20);
    let check = |lines: &[String], words: &str| {
        assert_eq!(verify_export(lines, Some(&key), None).unwrap_err().to_string(), words);
    };

    check(&whole[..20], "the log stops before entry 21 without a signed checkpoint, so its end may be missing");
    check(&whole[5..], "entries 1 to 5 are missing");
    check(&[], "the log stops before entry 1 without a signed checkpoint, so its end may be missing");
    check(
        &[&whole[..], &whole[20..]].concat(),
        "the log goes on with entry 21, but its checkpoint ends it at entry 20",
    );
    let mut spaced = whole;
    spaced[4].push(' ');
    check(&spaced, "the line of entry 5 is not as it was written: some of its bytes are not those that were written");
    let (mut lines, chain) = lines(20);
    lines.push(print_checkpoint(&end(&chain, &other_key())));
    let other = other_key().public_key();
    check(&lines, &format!("the checkpoint of entry 20 is signed with another key than expected: {other}"));
    assert_eq!(verify_export(&lines, None, None).unwrap().signed_by, other);
    assert!(verify_export([b"\xff"], None, None).unwrap_err().to_string().ends_with("it is not UTF-8"));
}

fn any_text() -> impl Strategy<Value = String> {
    // Every character there is, and those that JSON and line readers stumble over more often than chance would.
    let trouble = "[\"\\\\/\u{0}-\u{1f}\u{7f}\u{85}\u{2028}\u{2029}\u{feff}@:<>&é🦀]{0,6}";
    prop_oneof![
        Just(String::new()),
        trouble,
        proptest::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter)
    ]
}

prop_compose! {
    fn any_entry()(
        texts in proptest::collection::vec(any_text(), 9),
        // The years -9999 to 9999, a day less at either end for the offsets from UTC.
        micros in -377_705_023_201_000_000_i64..=253_402_207_200_000_000,
        project in proptest::option::of((any::<[u8; 8]>(), any_text())),
        denied in proptest::option::of(any_text()),
        request in proptest::collection::btree_map(any_text(), any_text(), 0..4),
        revision in proptest::option::of(any::<u64>()),
    ) -> Entry {
        let mut texts = texts.into_iter();
        let mut text = || texts.next().unwrap();
        Entry {
            time: Timestamp::from_micros(micros),
            principal: text(),
            service: text(),
            method: text(),
            resource: text(),
            request_id: text(),
            caller_ip: text(),
            user_agent: text(),
            permission: text(),
            project: project.map(|(number, id)| (ProjectNumber::from_random(number), id)),
            operation: text(),
            denied,
            request,
            revision: revision.map(Revision),
        }
    }
}

proptest! {
    #[test]
    fn every_entry_reads_back_from_one_line(sequence: u64, entry in any_entry(), hash: [u8; 32]) {
        let hash = ChainHash::from_bytes(hash);

        let line = print(sequence, &entry, &hash);

        prop_assert!(!line.contains(['\n', '\r']));
        prop_assert_eq!(parse(&line), Ok((sequence, entry, hash)));
    }

    #[test]
    fn every_checkpoint_reads_back_with_its_signature(entry in any_entry(), node in any_text(), sequence: u64) {
        let mut chain = Chain::at(sequence, HASH);
        chain.extend(&entry);
        let end = Signed::by(&key(), Checkpoint { node, ..Checkpoint::of(&chain, entry.time, "") });

        let line = print_checkpoint(&end);

        prop_assert!(!line.contains(['\n', '\r']));
        prop_assert_eq!(&parse_checkpoint(&line).unwrap(), &end);
        prop_assert!(end.verify().is_ok());
    }

    #[test]
    fn no_line_makes_the_reader_panic(line in any::<Vec<u8>>(), text in any_text()) {
        prop_assert!(verify_export([line], None, None).is_err());
        prop_assert!(parse(&text).is_err());
        prop_assert!(parse_checkpoint(&text).is_err());
    }
}
