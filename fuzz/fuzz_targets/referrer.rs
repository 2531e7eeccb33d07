//! Patterns of referrers and the headers they are held against: no panic, a pattern prints back as it was, and a `Referer`
//! is covered only if the host of the pattern stands in it.
//!
//! The input is the pattern on the first line, then the `Referer`.

#![no_main]

use keylodge_rules::Referrer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (pattern, referer) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(read) = Referrer::parse(pattern) else { return };
    assert_eq!(read.as_str(), pattern);

    if read.matches(referer) {
        assert!(referer.contains(':'), "only a URL is covered");
        if !pattern.starts_with("__") {
            // Query and fragment are read past, and may have anything in them.
            let pattern = pattern.split(['?', '#']).next().unwrap_or_default();
            let after_scheme = pattern.split_once("://").map_or(pattern, |(_, rest)| rest);
            let host =
                after_scheme.trim_start_matches("*.").split(['/', ':', '?', '#', '[']).next().unwrap_or_default();
            assert!(referer.to_ascii_lowercase().contains(&host.to_ascii_lowercase()), "the host stands in it");
        }
    }
    assert!(!read.matches(""), "a missing header is covered by nothing");
});
