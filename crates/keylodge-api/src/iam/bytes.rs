//! Bytes in proto3 JSON: printed in base64's standard alphabet, read in either, with padding or without.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};

use crate::proto_json::Fields;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn print(bytes: &[u8]) -> String {
    general_purpose::STANDARD.encode(bytes)
}

/// Reads an etag as clients write it back: gcloud uses the URL-safe alphabet for what it read in the standard one. Empty
/// text is an empty etag. Policies and roles have such etags, keys and projects have not.
#[must_use]
pub fn parse(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text.replace('-', "+").replace('_', "/")).ok()
}

/// A field of bytes; absent reads as empty.
pub(super) fn field(fields: &mut Fields<'_, '_>, name: &str) -> Vec<u8> {
    let text = fields.string(name).unwrap_or_default();
    parse(&text).unwrap_or_else(|| {
        fields.refuse(name, format!("Invalid value for {name} (TYPE_BYTES): it is not base64."));
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_in_both_alphabets_with_padding_or_without() {
        let bytes = vec![0x67, 0xeb, 0xff, 0xfe];

        assert_eq!(print(&bytes), "Z+v//g==");
        for text in ["Z+v//g==", "Z-v__g==", "Z+v//g", "Z-v__g", "Z-v//g="] {
            assert_eq!(parse(text), Some(bytes.clone()), "{text}");
        }
        assert_eq!(parse(""), Some(Vec::new()));
        for text in ["Z+v//g===", "Z v", "é", "Z+v//"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
