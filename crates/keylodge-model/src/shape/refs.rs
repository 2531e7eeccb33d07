//! Where `$ref` points to.

/// A reference into its own document as JSON Pointer; `None` for what is elsewhere.
pub(super) fn pointer(reference: &str) -> Option<String> {
    let mut pieces = reference.strip_prefix('#')?.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (byte, rest) = piece.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(byte, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    let pointer = String::from_utf8(bytes).ok()?;
    (pointer.is_empty() || pointer.starts_with('/')).then_some(pointer)
}
