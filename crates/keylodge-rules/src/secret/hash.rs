//! What we keep of a secret: its HMAC-SHA-256 under a pepper that is not in the database.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{EphemeralToken, KeyString, OperatorToken};

/// The secret without which a stolen database says nothing about key strings. Kept as the states of HMAC after it was
/// taken in, which saves half the work of each hash; wiped on drop as it would be itself.
#[derive(Clone)]
pub struct Pepper {
    key: Hmac<Sha256>,
    operator: Hmac<Sha256>,
    ephemeral: Hmac<Sha256>,
}

impl Pepper {
    /// A pepper of 32 secret bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let begun = |kind: &[u8]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(&bytes[..]).expect("HMAC takes a key of any length");
            mac.update(kind);
            mac.update(&[0]);
            mac
        };
        Self { key: begun(b"key"), operator: begun(b"operator"), ephemeral: begun(b"ephemeral") }
    }

    /// The hash of a key string. A fifth of a microsecond; fast on purpose, since 256 bits cannot be guessed.
    #[must_use]
    pub fn hash(&self, key: &KeyString) -> KeyHash {
        finish(self.key.clone(), key.reveal())
    }

    /// The hash of an operator's token. It never equals a key's hash, even for equal text.
    #[must_use]
    pub fn hash_token(&self, token: &OperatorToken) -> KeyHash {
        finish(self.operator.clone(), token.reveal())
    }

    /// The hash of an ephemeral token. It never equals that of another kind, even for equal text.
    #[must_use]
    pub fn hash_ephemeral(&self, token: &EphemeralToken) -> KeyHash {
        finish(self.ephemeral.clone(), token.reveal())
    }
}

fn finish(mut mac: Hmac<Sha256>, text: &str) -> KeyHash {
    mac.update(text.as_bytes());
    KeyHash(mac.finalize().into_bytes().into())
}

/// The plain SHA-256 of a key string, under which other gateways keep theirs: only to find keys that were imported from
/// one, never to keep a key of our own.
#[must_use]
pub fn sha256(key: &KeyString) -> [u8; 32] {
    Sha256::digest(key.reveal()).into()
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(hidden)")
    }
}

/// The hash of a secret. Not secret by itself, yet never logged: it would link records across systems.
///
/// Comparison need not take constant time: without the pepper nobody can choose or predict a hash, so how early two
/// of them differ says nothing about a key string.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// A hash as it was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash as it is stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sha256_is_that_of_the_text_alone() {
        let digest = sha256(&KeyString::parse("abc").unwrap());

        assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn a_hash_depends_on_pepper_kind_and_text() {
        let key = KeyString::issue(&[1; 32]);
        let pepper = Pepper::new([1; 32]);

        assert_eq!(pepper.hash(&key), pepper.hash(&key));
        assert_ne!(pepper.hash(&key), Pepper::new([2; 32]).hash(&key));
        assert_ne!(pepper.hash(&key), pepper.hash(&KeyString::issue(&[2; 32])));
        assert_ne!(finish(pepper.key.clone(), "x"), finish(pepper.operator.clone(), "x"));
        assert_ne!(finish(pepper.key, "x"), finish(pepper.ephemeral.clone(), "x"));
        assert_ne!(finish(pepper.operator, "x"), finish(pepper.ephemeral, "x"));
    }
}
