//! Whatever is presented as a key or a token: no panic, what parses prints back the same, and what is issued parses.

#![no_main]

use keylodge_rules::{EphemeralToken, KeyString, OperatorToken};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(key) = KeyString::parse(text) {
            assert_eq!(key.reveal(), text);
        }
        if let Ok(token) = OperatorToken::parse(text) {
            assert_eq!(token.reveal(), text);
        }
        if let Ok(token) = EphemeralToken::parse(text) {
            assert_eq!(token.reveal(), text);
        }
    }

    if let Some(random) = bytes.first_chunk() {
        let key = KeyString::issue(random);
        let read = KeyString::parse(key.reveal()).expect("an issued key reads back");
        assert_eq!(read.reveal(), key.reveal());
    }
});
