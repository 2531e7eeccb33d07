//! Reading the body of a generateContent: no panic, and an answer within its bounds, whatever was sent.

#![no_main]

use keylodge_api::Detail;
use keylodge_api::gemini::GenerateContentRequest;
use keylodge_api::proto_json::{MISTAKES_MAX, parse};
use libfuzzer_sys::fuzz_target;

/// A description is a sentence around a path and an excerpt; this is several times what it can get to.
const DESCRIPTION_BYTES_MAX: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    let Err(status) = parse::<GenerateContentRequest>(bytes) else { return };

    let [Detail::BadRequest(violations)] = &status.details[..] else { panic!("one BadRequest: {status:?}") };
    assert!((1..=MISTAKES_MAX).contains(&violations.len()));
    for violation in violations {
        assert!(violation.field.len() <= DESCRIPTION_BYTES_MAX);
        assert!(violation.description.len() <= DESCRIPTION_BYTES_MAX);
    }
});
