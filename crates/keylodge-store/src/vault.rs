//! Sealing key strings under the master key.
//!
//! Each string gets a data key of its own; the data key is sealed under a key derived from the master key, and both
//! seals bind the record's uid, so a sealed string moved to another row does not open (XChaCha20-Poly1305, 24 random
//! bytes of nonce each). The pepper for hashing comes from the same master key by another derivation.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use keylodge_rules::audit::AuditKey;
use keylodge_rules::{KeyString, KeyUid, Pepper};
use sha2::Sha256;
use zeroize::Zeroizing;

const NONCE_BYTES: usize = 24;
const DATA_KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = DATA_KEY_BYTES + TAG_BYTES;
const VERSION: u8 = 1;

/// The one secret outside the database from which everything at rest is protected.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// A master key of 32 random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads a master key as [`MasterKey::reveal`] shows it; blanks around it do not matter.
    ///
    /// # Errors
    /// When the text is not 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let text = text.trim();
        let mut bytes = Zeroizing::new([0; 32]);
        if text.len() != 64 || !text.is_ascii() {
            return Err(VaultError::NotAMasterKey);
        }
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| VaultError::NotAMasterKey)?;
        }
        Ok(Self(bytes))
    }

    /// Shows the master key, for its file.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The pepper under which key strings and tokens are hashed.
    #[must_use]
    pub fn pepper(&self) -> Pepper {
        Pepper::new(*self.derive(b"keylodge pepper v1"))
    }

    /// A value that tells this master key from others and gives nothing of it away.
    #[must_use]
    pub fn check_value(&self) -> [u8; 32] {
        *self.derive(b"keylodge master check v1")
    }

    /// The key that signs the audit log and receipts.
    #[must_use]
    pub fn audit_key(&self) -> AuditKey {
        AuditKey::new(&self.derive(b"keylodge audit v1"))
    }

    fn derive(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0[..]).expect("HMAC takes a key of any length");
        mac.update(label);
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(hidden)")
    }
}

/// Seals key strings and opens them again.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
}

/// A key string that only the vault can read, and only together with its record's uid.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

/// How many random bytes one sealing uses up.
pub const SEAL_RANDOM_BYTES: usize = DATA_KEY_BYTES + 2 * NONCE_BYTES;

impl Vault {
    /// The vault of a master key.
    #[must_use]
    pub fn new(master: &MasterKey) -> Self {
        Self { cipher: cipher(&master.derive(b"keylodge seal v1")) }
    }

    /// Seals a string of the record with this uid; `generation` says which of its strings.
    #[must_use]
    pub fn seal(&self, uid: &KeyUid, generation: u32, string: &KeyString, random: &[u8; SEAL_RANDOM_BYTES]) -> Sealed {
        let record = &record(uid, generation);
        let (data_key, nonces) = random.split_at(DATA_KEY_BYTES);
        let (outer, inner) = nonces.split_at(NONCE_BYTES);
        let mut data = Zeroizing::new([0; DATA_KEY_BYTES]);
        data.copy_from_slice(data_key);

        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(outer);
        sealed.extend(encrypt(&self.cipher, outer, record, data_key));
        sealed.extend_from_slice(inner);
        sealed.extend(encrypt(&cipher(&data), inner, record, string.reveal().as_bytes()));
        Sealed(sealed)
    }

    /// Opens what was sealed for that string of the record with this uid.
    ///
    /// # Errors
    /// When it was sealed under another master key, for another record, or was altered.
    pub fn open(&self, uid: &KeyUid, generation: u32, sealed: &Sealed) -> Result<KeyString, VaultError> {
        let record = &record(uid, generation);
        let rest = sealed.0.strip_prefix(&[VERSION]).ok_or(VaultError::DoesNotOpen)?;
        let (outer, rest) = rest.split_at_checked(NONCE_BYTES).ok_or(VaultError::DoesNotOpen)?;
        let (wrapped, rest) = rest.split_at_checked(WRAPPED_BYTES).ok_or(VaultError::DoesNotOpen)?;
        let (inner, string) = rest.split_at_checked(NONCE_BYTES).ok_or(VaultError::DoesNotOpen)?;

        let data = decrypt(&self.cipher, outer, record, wrapped)?;
        let data: Zeroizing<[u8; DATA_KEY_BYTES]> =
            Zeroizing::new(data.as_slice().try_into().map_err(|_| VaultError::DoesNotOpen)?);
        let string = decrypt(&cipher(&data), inner, record, string)?;
        let string = std::str::from_utf8(&string).map_err(|_| VaultError::DoesNotOpen)?;
        KeyString::parse(string).map_err(|_| VaultError::DoesNotOpen)
    }
}

impl Sealed {
    /// Sealed bytes, as they were stored.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(hidden)")
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(hidden)")
    }
}

/// What was read is no secret of this vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaultError {
    /// The text is not a master key.
    NotAMasterKey,
    /// The sealed bytes do not open: other master key, other record, or altered.
    DoesNotOpen,
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAMasterKey => "a master key is 64 hexadecimal digits",
            Self::DoesNotOpen => "the sealed string does not open under this master key",
        })
    }
}

impl std::error::Error for VaultError {}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*key))
}

/// What a seal binds: the uid alone for a key's first string, as it was before strings could be rotated.
fn record(uid: &KeyUid, generation: u32) -> String {
    if generation == 1 { uid.to_string() } else { format!("{uid}/{generation}") }
}

fn encrypt(cipher: &XChaCha20Poly1305, nonce: &[u8], record: &str, text: &[u8]) -> Vec<u8> {
    let payload = Payload { msg: text, aad: record.as_bytes() };
    cipher.encrypt(&nonce_of(nonce), payload).expect("a key string is far below the cipher's limit")
}

fn decrypt(
    cipher: &XChaCha20Poly1305,
    nonce: &[u8],
    record: &str,
    text: &[u8],
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let payload = Payload { msg: text, aad: record.as_bytes() };
    cipher.decrypt(&nonce_of(nonce), payload).map(Zeroizing::new).map_err(|_| VaultError::DoesNotOpen)
}

fn nonce_of(bytes: &[u8]) -> XNonce {
    let mut nonce = [0; NONCE_BYTES];
    nonce.copy_from_slice(bytes);
    XNonce::from(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(byte: u8) -> Vault {
        Vault::new(&MasterKey::new([byte; 32]))
    }

    #[test]
    fn what_is_sealed_opens_for_its_own_record_only() {
        let (one, two) = (KeyUid::from_random([1; 16]), KeyUid::from_random([2; 16]));
        let string = KeyString::issue(&[9; 32]);

        let sealed = vault(1).seal(&one, 1, &string, &[3; SEAL_RANDOM_BYTES]);

        assert_eq!(vault(1).open(&one, 1, &sealed).unwrap().reveal(), string.reveal());
        assert_eq!(vault(1).open(&two, 1, &sealed).unwrap_err(), VaultError::DoesNotOpen);
        assert_eq!(vault(1).open(&one, 2, &sealed).unwrap_err(), VaultError::DoesNotOpen);
        assert_eq!(vault(2).open(&one, 1, &sealed).unwrap_err(), VaultError::DoesNotOpen);
    }

    #[test]
    fn no_byte_of_a_sealed_string_can_be_altered_or_cut() {
        let uid = KeyUid::from_random([1; 16]);
        let sealed = vault(1).seal(&uid, 1, &KeyString::issue(&[9; 32]), &[3; SEAL_RANDOM_BYTES]);

        for at in 0..sealed.0.len() {
            let mut altered = sealed.clone();
            altered.0[at] ^= 1;
            assert!(vault(1).open(&uid, 1, &altered).is_err(), "byte {at}");
            assert!(vault(1).open(&uid, 1, &Sealed(sealed.0[..at].to_vec())).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_master_key_reads_back_from_its_file_and_nothing_else_does() {
        let master = MasterKey::new([0xa5; 32]);

        let read = MasterKey::parse(&format!("{}\n", *master.reveal())).unwrap();

        assert_eq!(read.0, master.0);
        for wrong in ["", "12", &"zz".repeat(32), &"é".repeat(32)] {
            assert_eq!(MasterKey::parse(wrong).unwrap_err(), VaultError::NotAMasterKey);
        }
    }
}
