//! A certificate for this machine alone, for development: Google's Python client speaks to the Live API over TLS only.
//!
//! A maker signs the certificate, and its own key is thrown away at once: whoever trusts the maker trusts nothing but this
//! one certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keylodge_rules::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use super::data_dir::DataDir;
use crate::settings::TlsFiles;

/// Whom the certificate is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// How long one is good, and how long before its end another is made. Some clients take none that is good for longer than
/// 398 days.
const GOOD_FOR: Duration = Duration::from_secs(397 * 24 * 60 * 60);
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Tells in the file, before the certificate itself, until when it is good, in seconds since 1970.
const GOOD_UNTIL: &str = "Good until ";

/// A certificate for this machine, and the one that clients are to trust.
#[derive(Debug)]
pub(crate) struct SelfSigned {
    pub(crate) files: TlsFiles,
    pub(crate) trusted: PathBuf,
}

impl SelfSigned {
    /// The certificate of the data folder, made if there is none that is good for some time yet.
    ///
    /// # Errors
    /// A sentence about what could not be written.
    pub(crate) fn of(data: &DataDir, now: Timestamp) -> Result<Self, String> {
        let place = |name| data.file(name);
        let found = Self {
            files: TlsFiles { certificate: place("self-signed.crt"), key: place("self-signed.key") },
            trusted: place("self-signed-ca.crt"),
        };
        if !found.is_good(now) {
            found.make(data, now)?;
        }
        Ok(found)
    }

    fn is_good(&self, now: Timestamp) -> bool {
        let until = fs::read_to_string(&self.files.certificate).ok().and_then(|text| {
            let (until, _) = text.strip_prefix(GOOD_UNTIL)?.split_once(' ')?;
            until.parse::<u64>().ok()
        });
        let wanted = seconds(now) + RENEW_BEFORE.as_secs();
        until.is_some_and(|until| until > wanted) && self.files.key.exists() && self.trusted.exists()
    }

    fn make(&self, data: &DataDir, now: Timestamp) -> Result<(), String> {
        let Made { certificate, key, maker } =
            made(now).map_err(|error| format!("cannot make a certificate: {error}"))?;
        let until = seconds(now) + GOOD_FOR.as_secs();
        let certificate =
            format!("{GOOD_UNTIL}{until} (seconds since 1970), by keylodge up --tls-self-signed\n{certificate}");
        // The one with the time last: without it the others are made again.
        data.write_secret(&self.files.key, &key)?;
        let write = |file: &Path, text: &str| {
            fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
        };
        write(&self.trusted, &maker)?;
        write(&self.files.certificate, &certificate)
    }
}

/// PEM texts.
struct Made {
    certificate: String,
    key: String,
    maker: String,
}

fn made(now: Timestamp) -> Result<Made, rcgen::Error> {
    let begins = date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds(now).saturating_sub(60 * 60));
    let params = |names: &[&str], title: &str| {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, title);
        (params.not_before, params.not_after) = (begins, begins + GOOD_FOR + Duration::from_secs(60 * 60));
        Ok::<_, rcgen::Error>(params)
    };
    let mut maker = params(&[], "Keylodge on this machine, for development")?;
    maker.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    maker.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let maker_key = KeyPair::generate()?;
    let trusted = maker.self_signed(&maker_key)?;
    let mut own = params(&NAMES, "localhost")?;
    own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    own.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    own.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = own.signed_by(&key, &Issuer::new(maker, maker_key))?;
    Ok(Made {
        certificate: pem("CERTIFICATE", certificate.der()),
        key: pem("PRIVATE KEY", &key.serialize_der()),
        maker: pem("CERTIFICATE", trusted.der()),
    })
}

/// RFC 7468: base64 in lines of 64 characters.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut lines = String::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        lines.push_str(line);
        lines.push('\n');
        rest = more;
    }
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

fn seconds(now: Timestamp) -> u64 {
    u64::try_from(now.micros() / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: Timestamp = Timestamp::from_micros(1_769_860_800_000_000);

    #[test]
    fn one_is_made_and_used_again_until_its_end_is_near() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let key = |now: Timestamp| fs::read_to_string(SelfSigned::of(&data, now).unwrap().files.key).unwrap();
        let days = |days: i64| Timestamp::from_micros(NOW.micros() + days * 24 * 60 * 60 * 1_000_000);

        let first = key(NOW);

        assert_eq!(key(days(360)), first);
        assert_ne!(key(days(370)), first);
        let files = SelfSigned::of(&data, days(370)).unwrap().files;
        let mode = fs::metadata(&files.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "nobody else reads the key");
        assert!(crate::up::listen::Tls::load(&files).is_ok(), "a listener takes it");
    }
}
