//! Sealing key strings, and our own credentials at upstreams, under the master key.
//!
//! Each string gets a data key of its own; the data key is sealed under a key derived from the master key, and both
//! seals bind what the record is and its id, so a sealed string moved to another row does not open (XChaCha20-Poly1305,
//! 24 random bytes of nonce each). The pepper for hashing comes from the same master key by another derivation.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use keylodge_rules::audit::AuditKey;
use keylodge_rules::{KeyHash, KeyString, KeyUid, Pepper, ProjectNumber};
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

/// The longest credential at an upstream, in bytes: room for a token that carries claims.
pub const UPSTREAM_SECRET_BYTES_MAX: usize = 4096;

/// A credential of ours at an upstream: what goes there in a header.
#[derive(Clone)]
pub struct UpstreamSecret(Zeroizing<String>);

impl UpstreamSecret {
    /// Reads a credential; blanks around it do not matter.
    ///
    /// # Errors
    /// When it is empty, has more than [`UPSTREAM_SECRET_BYTES_MAX`] bytes, or has a character that no header can carry.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let text = text.trim();
        let fits = (1..=UPSTREAM_SECRET_BYTES_MAX).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Err(VaultError::NotAnUpstreamSecret);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// Shows the credential, for the header that carries it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UpstreamSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamSecret(hidden)")
    }
}

/// Seals key strings and credentials at upstreams, and opens them again.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
}

/// A secret that only the vault can read, and only together with the id of its record.
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
        self.seal_for(&record(uid, generation), string.reveal(), random)
    }

    /// Opens what was sealed for that string of the record with this uid.
    ///
    /// # Errors
    /// When it was sealed under another master key, for another record, or was altered.
    pub fn open(&self, uid: &KeyUid, generation: u32, sealed: &Sealed) -> Result<KeyString, VaultError> {
        let string = self.open_for(&record(uid, generation), sealed)?;
        KeyString::parse(&string).map_err(|_| VaultError::DoesNotOpen)
    }

    /// Seals a credential at an upstream, for its record's id.
    #[must_use]
    pub fn seal_credential(
        &self,
        upstream: &str,
        id: &str,
        secret: &UpstreamSecret,
        random: &[u8; SEAL_RANDOM_BYTES],
    ) -> Sealed {
        self.seal_for(&credential(upstream, id), secret.reveal(), random)
    }

    /// Opens a credential that was sealed for this id at this upstream.
    ///
    /// # Errors
    /// When it was sealed under another master key, for another id or upstream, as a key string, or was altered.
    pub fn open_credential(&self, upstream: &str, id: &str, sealed: &Sealed) -> Result<UpstreamSecret, VaultError> {
        let secret = self.open_for(&credential(upstream, id), sealed)?;
        UpstreamSecret::parse(&secret).map_err(|_| VaultError::DoesNotOpen)
    }

    /// Seals what was said in an interaction, for its project and its id.
    #[must_use]
    pub fn seal_interaction(
        &self,
        project: ProjectNumber,
        id: &str,
        said: &str,
        random: &[u8; SEAL_RANDOM_BYTES],
    ) -> Sealed {
        self.seal_for(&interaction(project, id), said, random)
    }

    /// Opens what was said in this interaction of this project.
    ///
    /// # Errors
    /// When it was sealed under another master key, for another interaction or project, as something else, or was altered.
    pub fn open_interaction(
        &self,
        project: ProjectNumber,
        id: &str,
        sealed: &Sealed,
    ) -> Result<Zeroizing<String>, VaultError> {
        self.open_for(&interaction(project, id), sealed)
    }

    /// Seals what an ephemeral token fixes, for its project and the hash of its text.
    #[must_use]
    pub fn seal_constraints(
        &self,
        project: ProjectNumber,
        token: &KeyHash,
        constraints: &str,
        random: &[u8; SEAL_RANDOM_BYTES],
    ) -> Sealed {
        self.seal_for(&ephemeral(project, token), constraints, random)
    }

    /// Opens what this ephemeral token of this project fixes.
    ///
    /// # Errors
    /// When it was sealed under another master key, for another token or project, as something else, or was altered.
    pub fn open_constraints(
        &self,
        project: ProjectNumber,
        token: &KeyHash,
        sealed: &Sealed,
    ) -> Result<Zeroizing<String>, VaultError> {
        self.open_for(&ephemeral(project, token), sealed)
    }

    fn seal_for(&self, record: &str, text: &str, random: &[u8; SEAL_RANDOM_BYTES]) -> Sealed {
        let (data_key, nonces) = random.split_at(DATA_KEY_BYTES);
        let (outer, inner) = nonces.split_at(NONCE_BYTES);
        let mut data = Zeroizing::new([0; DATA_KEY_BYTES]);
        data.copy_from_slice(data_key);

        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(outer);
        sealed.extend(encrypt(&self.cipher, outer, record, data_key));
        sealed.extend_from_slice(inner);
        sealed.extend(encrypt(&cipher(&data), inner, record, text.as_bytes()));
        Sealed(sealed)
    }

    fn open_for(&self, record: &str, sealed: &Sealed) -> Result<Zeroizing<String>, VaultError> {
        let rest = sealed.0.strip_prefix(&[VERSION]).ok_or(VaultError::DoesNotOpen)?;
        let (outer, rest) = rest.split_at_checked(NONCE_BYTES).ok_or(VaultError::DoesNotOpen)?;
        let (wrapped, rest) = rest.split_at_checked(WRAPPED_BYTES).ok_or(VaultError::DoesNotOpen)?;
        let (inner, text) = rest.split_at_checked(NONCE_BYTES).ok_or(VaultError::DoesNotOpen)?;

        let data = decrypt(&self.cipher, outer, record, wrapped)?;
        let data: Zeroizing<[u8; DATA_KEY_BYTES]> =
            Zeroizing::new(data.as_slice().try_into().map_err(|_| VaultError::DoesNotOpen)?);
        let text = decrypt(&cipher(&data), inner, record, text)?;
        let text = std::str::from_utf8(&text).map_err(|_| VaultError::DoesNotOpen)?;
        Ok(Zeroizing::new(text.to_owned()))
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
    /// The text cannot be a credential at an upstream.
    NotAnUpstreamSecret,
    /// The sealed bytes do not open: other master key, other record, or altered.
    DoesNotOpen,
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAMasterKey => "a master key is 64 hexadecimal digits",
            Self::NotAnUpstreamSecret => "a credential at an upstream is 1 to 4096 characters of ASCII in one line",
            Self::DoesNotOpen => "the sealed string does not open under this master key",
        })
    }
}

impl std::error::Error for VaultError {}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*key))
}

fn interaction(project: ProjectNumber, id: &str) -> String {
    format!("interaction/{project}/{id}")
}

fn ephemeral(project: ProjectNumber, token: &KeyHash) -> String {
    let hash: String = token.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("ephemeral/{project}/{hash}")
}

/// What a seal binds: the uid alone for a key's first string, as it was before strings could be rotated.
fn record(uid: &KeyUid, generation: u32) -> String {
    if generation == 1 { uid.to_string() } else { format!("{uid}/{generation}") }
}

/// The same for a credential at an upstream. No uid begins so, and an upstream's name has no slash.
fn credential(upstream: &str, id: &str) -> String {
    format!("upstream-credential/{upstream}/{id}")
}

fn encrypt(cipher: &XChaCha20Poly1305, nonce: &[u8], record: &str, text: &[u8]) -> Vec<u8> {
    let payload = Payload { msg: text, aad: record.as_bytes() };
    cipher.encrypt(&nonce_of(nonce), payload).expect("what is sealed is far below the cipher's limit of 256 GiB")
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
    fn a_credential_opens_for_its_own_id_and_upstream_only_and_never_as_a_key_string() {
        let uid = KeyUid::from_random([1; 16]);
        let secret = UpstreamSecret::parse(" sk-of-ours\n").unwrap();

        let sealed = vault(1).seal_credential("google", "one", &secret, &[3; SEAL_RANDOM_BYTES]);

        assert_eq!(vault(1).open_credential("google", "one", &sealed).unwrap().reveal(), "sk-of-ours");
        for (upstream, id) in [("google", "two"), ("other", "one"), ("google/one", "")] {
            let opened = vault(1).open_credential(upstream, id, &sealed);
            assert_eq!(opened.unwrap_err(), VaultError::DoesNotOpen, "{upstream} {id}");
        }
        assert_eq!(vault(2).open_credential("google", "one", &sealed).unwrap_err(), VaultError::DoesNotOpen);
        assert_eq!(vault(1).open(&uid, 1, &sealed).unwrap_err(), VaultError::DoesNotOpen);
        let string = vault(1).seal(&uid, 1, &KeyString::issue(&[9; 32]), &[3; SEAL_RANDOM_BYTES]);
        assert!(vault(1).open_credential("google", &uid.to_string(), &string).is_err());
    }

    #[test]
    fn what_was_said_opens_for_its_own_interaction_and_project_only() {
        let project = |number: &str| ProjectNumber::parse(number).unwrap();
        let sealed = vault(1).seal_interaction(project("7"), "v1_a", "Hello", &[3; SEAL_RANDOM_BYTES]);

        assert_eq!(vault(1).open_interaction(project("7"), "v1_a", &sealed).unwrap().as_str(), "Hello");
        for (number, id) in [("8", "v1_a"), ("7", "v1_b")] {
            assert!(vault(1).open_interaction(project(number), id, &sealed).is_err(), "{number} {id}");
        }
        assert!(vault(2).open_interaction(project("7"), "v1_a", &sealed).is_err());
        assert!(vault(1).open_credential("7", "v1_a", &sealed).is_err());
    }

    #[test]
    fn a_credential_is_one_line_that_a_header_can_carry() {
        let longest = "x".repeat(UPSTREAM_SECRET_BYTES_MAX);
        for good in ["x", "Basic dXNlcjpwYXNz", &longest] {
            assert_eq!(UpstreamSecret::parse(good).unwrap().reveal(), good);
        }
        for bad in ["", " \n", "two\nlines", "ü", "a\u{7f}", &format!("{longest}x")] {
            assert_eq!(UpstreamSecret::parse(bad).unwrap_err(), VaultError::NotAnUpstreamSecret);
        }
        assert_eq!(format!("{:?}", UpstreamSecret::parse("sk-of-ours").unwrap()), "UpstreamSecret(hidden)");
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
