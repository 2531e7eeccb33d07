//! The node's signing key and what it vouches for.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use super::layout::Layout;
use super::{NotHex, Statement, hex};

/// An Ed25519 key that signs what a node states. Debug hides it; the bytes are wiped on drop.
#[derive(Clone)]
pub struct AuditKey(SigningKey);

impl AuditKey {
    /// The key that 32 secret random bytes stand for. Wiping the caller's copy of them is the caller's concern.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The half that everybody may have.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a statement. The same statement always gets the same signature.
    #[must_use]
    pub fn sign<S: Statement>(&self, statement: &S) -> Signature {
        self.sign_bytes(S::LABEL, &statement.bytes())
    }

    /// Signs bytes as a statement of the kind that the label names. A signature under one label is worth nothing under
    /// another.
    #[must_use]
    pub fn sign_bytes(&self, label: &'static str, bytes: &[u8]) -> Signature {
        Signature(self.0.sign(&lay_out(label, bytes)).to_bytes())
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditKey(hidden)")
    }
}

/// Tells whether a statement was signed with the [`AuditKey`] it belongs to. Printed as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads what Display prints.
    ///
    /// # Errors
    /// When the text is anything but 64 lower-case hexadecimal digits, or these are no Ed25519 key.
    pub fn parse(text: &str) -> Result<Self, NotAPublicKey> {
        let bytes = hex::parse(text).map_err(|_| NotAPublicKey)?;
        VerifyingKey::from_bytes(&bytes).map(|_| Self(bytes)).map_err(|_| NotAPublicKey)
    }

    /// Whether the signature is this key's and over this statement.
    ///
    /// # Errors
    /// When it is not.
    pub fn verify<S: Statement>(&self, statement: &S, signature: &Signature) -> Result<(), BadSignature> {
        self.verify_bytes(S::LABEL, &statement.bytes(), signature)
    }

    /// Whether the signature is this key's and over these bytes under this label.
    ///
    /// # Errors
    /// When it is not.
    pub fn verify_bytes(&self, label: &str, bytes: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| BadSignature)?;
        // Strict: otherwise there are weak keys under which one signature fits every statement.
        key.verify_strict(&lay_out(label, bytes), &signature).map_err(|_| BadSignature)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::print(&self.0, f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// An Ed25519 signature. Printed as 128 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Reads what Display prints. Whether it is anybody's signature, only [`PublicKey::verify`] can tell.
    ///
    /// # Errors
    /// When the text is anything but 128 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, NotHex> {
        hex::parse(text).map(Self)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::print(&self.0, f)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

/// The signature is not this key's, or not over this statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSignature;

impl fmt::Display for BadSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature does not fit the key and the statement")
    }
}

impl std::error::Error for BadSignature {}

/// Text was not a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPublicKey;

impl fmt::Display for NotAPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a public key is 64 lower-case hexadecimal digits that stand for an Ed25519 key")
    }
}

impl std::error::Error for NotAPublicKey {}

/// The bytes that are signed. The module page of `audit` promises them to strangers.
fn lay_out(label: &str, bytes: &[u8]) -> Vec<u8> {
    let mut layout = Layout::of("keylodge statement v1");
    layout.text(label);
    layout.bytes(bytes);
    layout.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> AuditKey {
        AuditKey::new(&[7; 32])
    }

    #[test]
    fn a_signature_is_worth_nothing_under_another_label_key_or_text() {
        let signature = key().sign_bytes("a", b"bytes");

        let public = key().public_key();
        assert_eq!(public.verify_bytes("a", b"bytes", &signature), Ok(()));
        assert_eq!(public.verify_bytes("b", b"bytes", &signature), Err(BadSignature));
        assert_eq!(public.verify_bytes("ab", b"ytes", &signature), Err(BadSignature));
        assert_eq!(public.verify_bytes("a", b"byte", &signature), Err(BadSignature));
        let other = AuditKey::new(&[8; 32]).public_key();
        assert_eq!(other.verify_bytes("a", b"bytes", &signature), Err(BadSignature));
    }

    #[test]
    fn a_weak_key_vouches_for_nothing() {
        // The neutral point: without the strict check the signature (neutral point, 0) fits every statement.
        let neutral = format!("01{}", "0".repeat(62));
        let signature = Signature::parse(&format!("{neutral}{}", "0".repeat(64))).unwrap();

        let weak = PublicKey::parse(&neutral).unwrap();

        assert_eq!(weak.verify_bytes("a", b"bytes", &signature), Err(BadSignature));
    }

    #[test]
    fn keys_and_signatures_read_back_as_they_print() {
        let public = key().public_key();
        let signature = key().sign_bytes("a", b"bytes");

        assert_eq!(PublicKey::parse(&public.to_string()), Ok(public));
        assert_eq!(Signature::parse(&signature.to_string()), Ok(signature));
        assert_eq!(PublicKey::parse(&public.to_string().to_uppercase()), Err(NotAPublicKey));
        assert_eq!(Signature::parse(""), Err(NotHex { digits: 128 }));
        assert_eq!(PublicKey::parse(&format!("02{}", "0".repeat(62))), Err(NotAPublicKey), "no point of the curve");
    }

    #[test]
    fn debug_shows_no_byte_of_the_signing_key() {
        assert_eq!(format!("{:?}", key()), "AuditKey(hidden)");
    }
}
