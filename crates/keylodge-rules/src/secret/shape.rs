//! The shape of our secrets: a prefix for the kind, 256 bits in base62, a CRC32 in base62 over all that precedes.

use std::fmt;

use zeroize::Zeroizing;

const BODY_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Why a string can be no secret of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It begins with something else.
    Prefix,
    /// It is too long or too short.
    Length,
    /// It holds a character that no key has (a blank, a quotation mark, an umlaut).
    Character,
    /// Its last six characters do not match the rest: most likely mistyped or cut.
    Checksum,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => "it has another prefix",
            Self::Length => "its length is wrong",
            Self::Character => "it holds a character that no key has",
            Self::Checksum => "its checksum does not match: it is mistyped or cut",
        })
    }
}

impl std::error::Error for Malformed {}

/// Prints a secret with its checksum.
pub(super) fn print(prefix: &str, random: &[u8; 32]) -> Zeroizing<String> {
    let mut text = print_bare(prefix, random);
    let checksum = checksum(&text);
    text.extend(checksum.map(char::from));
    text
}

/// Prints a secret. 62^43 is a little more than 2^256, so the 43 characters hold every value.
pub(super) fn print_bare(prefix: &str, random: &[u8; 32]) -> Zeroizing<String> {
    let mut number = Zeroizing::new(*random);
    let mut body = Zeroizing::new([0u8; BODY_CHARS]);
    for place in body.iter_mut().rev() {
        *place = DIGITS[usize::from(divide(&mut number, 62))];
    }
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + BODY_CHARS + CHECKSUM_CHARS));
    text.push_str(prefix);
    text.extend(body.iter().copied().map(char::from));
    text
}

/// Checks prefix, length and alphabet of a secret without a checksum.
pub(super) fn check_bare(prefix: &str, text: &str) -> Result<(), Malformed> {
    let body = text.strip_prefix(prefix).ok_or(Malformed::Prefix)?;
    if body.len() != BODY_CHARS {
        return Err(Malformed::Length);
    }
    if !body.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Malformed::Character);
    }
    Ok(())
}

/// Checks prefix, length, alphabet and checksum of a secret.
pub(super) fn check(prefix: &str, text: &str) -> Result<(), Malformed> {
    let Some(rest) = text.strip_prefix(prefix) else {
        return Err(Malformed::Prefix);
    };
    if rest.len() != BODY_CHARS + CHECKSUM_CHARS {
        return Err(Malformed::Length);
    }
    if !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Malformed::Character);
    }
    let (covered, sent) = text.split_at(text.len() - CHECKSUM_CHARS);
    if checksum(covered) == sent.as_bytes() { Ok(()) } else { Err(Malformed::Checksum) }
}

fn checksum(covered: &str) -> [u8; CHECKSUM_CHARS] {
    let mut number = crc32fast::hash(covered.as_bytes());
    let mut chars = [0; CHECKSUM_CHARS];
    for place in chars.iter_mut().rev() {
        *place = DIGITS[usize::try_from(number % 62).unwrap_or(0)];
        number /= 62;
    }
    chars
}

/// Divides a big-endian number in place and gives the remainder.
fn divide(number: &mut [u8; 32], by: u16) -> u8 {
    let mut remainder = 0u16;
    for byte in number.iter_mut() {
        let value = remainder * 256 + u16::from(*byte);
        *byte = u8::try_from(value / by).unwrap_or(u8::MAX);
        remainder = value % by;
    }
    u8::try_from(remainder).unwrap_or(u8::MAX)
}
