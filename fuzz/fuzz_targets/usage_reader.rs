//! Reading token counts in passing: no panic, the same however the bytes are cut, and what a whole parser finds.
//!
//! The first byte of the input says how the answer is framed and how large its pieces are.

#![no_main]

use keylodge_services::relay::usage::{InteractionRequest, Kind, Tokens, UsageReader, worst_case_of_interaction};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, answer)) = bytes.split_first() else { return };
    let kind = if first & 1 == 0 { Kind::Json } else { Kind::Sse };

    let mut whole = UsageReader::new(kind);
    whole.push(answer);
    let mut cut = UsageReader::new(kind);
    for piece in answer.chunks(usize::from(first >> 1) + 1) {
        cut.push(piece);
    }
    assert_eq!(whole.tokens(), cut.tokens());
    assert_eq!(whole.output_tokens_seen_max(), cut.output_tokens_seen_max());
    assert!(whole.output_tokens_seen_max() <= answer.len() as u64);

    let mut whole_interaction = UsageReader::of_interaction(kind);
    whole_interaction.push(answer);
    let mut cut = UsageReader::of_interaction(kind);
    for piece in answer.chunks(usize::from(first >> 1) + 1) {
        cut.push(piece);
    }
    let read =
        |reader: &UsageReader| (reader.tokens(), reader.id().map(str::to_owned), reader.status().map(str::to_owned));
    assert_eq!(read(&whole_interaction), read(&cut));
    assert_eq!(whole_interaction.output_tokens_seen_max(), cut.output_tokens_seen_max());

    // What callers send is read without a panic, and what is said of it can be said.
    if InteractionRequest::read(answer).is_ok() {
        assert!(worst_case_of_interaction(answer).is_ok());
    }

    // A name that stands twice is left out: which of them counts is nobody's promise. So is what is too large.
    if kind == Kind::Json
        && answer.len() < 8 * 1024
        && let Ok(parsed) = serde_json::from_slice::<Value>(answer)
        && parsed.is_object()
        && answer.windows(5).filter(|&letters| letters == b"usage").count() <= 1
        && !answer.contains(&b'\\')
    {
        let usage = parsed.get("usageMetadata").and_then(Value::as_object);
        assert_eq!(whole.tokens(), usage.map(Tokens::of_metadata));
    }
});
