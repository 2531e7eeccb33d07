//! Key strings, operator tokens and ephemeral tokens: types that refuse to be seen, and the hash we keep instead.

mod find;
mod hash;
mod mask;
mod shape;

use std::fmt;

use zeroize::Zeroizing;

pub use find::{find_secrets, is_secret_parameter, names_a_secret};
pub use hash::{KeyHash, Pepper, sha256};
pub use mask::{head, mask};
pub use shape::Malformed;
use shape::{check, check_bare, print, print_bare};

/// The longest key string anybody may present, in bytes. Other makers' keys fit well below it.
pub const KEY_STRING_BYTES_MAX: usize = 256;

const KEY_PREFIX: &str = "kl_";
const TOKEN_PREFIX: &str = "klo_";

/// An API key as its holder has it. Debug hides it; the bytes are wiped on drop.
#[derive(Clone)]
pub struct KeyString(Zeroizing<String>);

impl KeyString {
    /// Makes the key string that 256 bits of randomness stand for: `kl_`, 43 base62 characters, 6 of checksum.
    #[must_use]
    pub fn issue(random: &[u8; 32]) -> Self {
        Self(print(KEY_PREFIX, random))
    }

    /// Reads what somebody presented as a key.
    ///
    /// A string in our own shape must carry its checksum, so that a mistyped key costs no look-up. Any other visible
    /// ASCII may be a key of another maker that was imported; only a look-up can tell.
    ///
    /// # Errors
    /// When the string can be no key, with the reason (for the owner, never for the caller).
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        Self::of(Zeroizing::new(text.to_owned()))
    }

    /// The same without a copy.
    ///
    /// # Errors
    /// As [`KeyString::parse`].
    pub fn of(text: Zeroizing<String>) -> Result<Self, Malformed> {
        if text.is_empty() || text.len() > KEY_STRING_BYTES_MAX {
            return Err(Malformed::Length);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Malformed::Character);
        }
        if text.starts_with(KEY_PREFIX) {
            check(KEY_PREFIX, &text)?;
        }
        Ok(Self(text))
    }

    /// Shows the string. Only create and getKeyString may.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// The bearer token of a person or machine that manages keys: `klo_`, then as a key string.
#[derive(Clone)]
pub struct OperatorToken(Zeroizing<String>);

impl OperatorToken {
    /// Makes the token that 256 bits of randomness stand for.
    #[must_use]
    pub fn issue(random: &[u8; 32]) -> Self {
        Self(print(TOKEN_PREFIX, random))
    }

    /// Reads what somebody presented as a token.
    ///
    /// # Errors
    /// When it is not one of ours, or mistyped.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        check(TOKEN_PREFIX, text)?;
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// Shows the token. Only its making may.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// A short-lived token that stands for a key: `auth_tokens/`, then 43 base62 characters. Google's clients know one by
/// that prefix and take the rest as it comes.
#[derive(Clone)]
pub struct EphemeralToken(Zeroizing<String>);

impl EphemeralToken {
    /// What every one of them begins with.
    pub const PREFIX: &str = "auth_tokens/";

    /// Makes the token that 256 bits of randomness stand for.
    #[must_use]
    pub fn issue(random: &[u8; 32]) -> Self {
        Self(print_bare(Self::PREFIX, random))
    }

    /// Reads what somebody presented as a token.
    ///
    /// # Errors
    /// When it is not one of ours.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        check_bare(Self::PREFIX, text)?;
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// Shows the token. Only its making may.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for EphemeralToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EphemeralToken(hidden)")
    }
}

impl fmt::Debug for KeyString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyString(hidden)")
    }
}

impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorToken(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_string_has_the_published_shape() {
        let key = KeyString::issue(&[0xff; 32]);

        let text = key.reveal();
        assert_eq!(text.len(), 3 + 43 + 6);
        assert!(text[3..].bytes().all(|byte| byte.is_ascii_alphanumeric()), "letters and digits only");
    }

    #[test]
    fn debug_shows_no_byte_of_a_secret() {
        let key = KeyString::issue(&[5; 32]);
        let (token, ephemeral) = (OperatorToken::issue(&[5; 32]), EphemeralToken::issue(&[5; 32]));

        assert_eq!(
            format!("{key:?} {token:?} {ephemeral:?}"),
            "KeyString(hidden) OperatorToken(hidden) EphemeralToken(hidden)"
        );
    }

    #[test]
    fn an_ephemeral_token_has_the_published_shape() {
        let token = EphemeralToken::issue(&[0xff; 32]);

        let body = token.reveal().strip_prefix("auth_tokens/").unwrap();
        assert_eq!(body.len(), 43);
        assert!(body.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(EphemeralToken::parse(body).unwrap_err(), Malformed::Prefix);
        assert_eq!(EphemeralToken::parse(&token.reveal()[..54]).unwrap_err(), Malformed::Length);
        let odd = format!("auth_tokens/{}", "-".repeat(43));
        assert_eq!(EphemeralToken::parse(&odd).unwrap_err(), Malformed::Character);
    }

    #[test]
    fn strings_of_other_makers_are_left_to_the_look_up() {
        let parsed = KeyString::parse(&format!("AIza{}", "x".repeat(35)));

        assert!(parsed.is_ok());
    }

    #[test]
    fn what_can_be_no_key_is_turned_away_with_its_reason() {
        assert_eq!(KeyString::parse("").unwrap_err(), Malformed::Length);
        assert_eq!(KeyString::parse(&"x".repeat(257)).unwrap_err(), Malformed::Length);
        assert_eq!(KeyString::parse("two words").unwrap_err(), Malformed::Character);
        assert_eq!(KeyString::parse("schlüssel").unwrap_err(), Malformed::Character);
        assert_eq!(KeyString::parse("kl_short").unwrap_err(), Malformed::Length);
        assert_eq!(OperatorToken::parse("kl_short").unwrap_err(), Malformed::Prefix);
    }

    proptest! {
        #[test]
        fn every_issued_string_reads_back(random: [u8; 32]) {
            let key = KeyString::issue(&random);
            let read = KeyString::parse(key.reveal()).unwrap();
            prop_assert_eq!(read.reveal(), key.reveal());
            let token = OperatorToken::issue(&random);
            let read = OperatorToken::parse(token.reveal()).unwrap();
            prop_assert_eq!(read.reveal(), token.reveal());
            let token = EphemeralToken::issue(&random);
            let read = EphemeralToken::parse(token.reveal()).unwrap();
            prop_assert_eq!(read.reveal(), token.reveal());
        }

        #[test]
        fn one_wrong_character_anywhere_is_noticed(random: [u8; 32], at in 3usize..52, with in "[0-9A-Za-z]") {
            let key = KeyString::issue(&random);
            let mut text = key.reveal().to_owned();
            prop_assume!(text[at..=at] != with);

            text.replace_range(at..=at, &with);

            prop_assert_eq!(KeyString::parse(&text).unwrap_err(), Malformed::Checksum);
        }

        #[test]
        fn two_exchanged_neighbours_are_noticed(random: [u8; 32], at in 3usize..51) {
            let key = KeyString::issue(&random);
            let mut bytes = key.reveal().as_bytes().to_vec();
            prop_assume!(bytes[at] != bytes[at + 1]);

            bytes.swap(at, at + 1);

            let text = String::from_utf8(bytes).unwrap();
            prop_assert_eq!(KeyString::parse(&text).unwrap_err(), Malformed::Checksum);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = KeyString::parse(&text);
            let _ = OperatorToken::parse(&text);
            let _ = EphemeralToken::parse(&text);
        }
    }
}
