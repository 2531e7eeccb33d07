//! Where `$ref` points to.

/// A reference into its own document as JSON Pointer, one spelling for each place; `None` for what is elsewhere.
pub(super) fn pointer(reference: &str) -> Option<String> {
    let mut pieces = reference.strip_prefix('#')?.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (byte, rest) = piece.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(byte, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    let pointer = String::from_utf8(bytes).ok()?;
    // A `~` that stands alone is read as `~0`.
    let name = |name: &str| name.replace("~1", "/").replace("~0", "~").replace('~', "~0").replace('/', "~1");
    let is_one = pointer.is_empty() || pointer.starts_with('/');
    is_one.then(|| pointer.split('/').map(name).collect::<Vec<_>>().join("/"))
}
