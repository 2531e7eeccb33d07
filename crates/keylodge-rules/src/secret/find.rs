//! Where in a text secrets stand: ours, Google's and those of other makers, found by how they look.
//!
//! For what is written down and shown to others, as recordings of calls are. It errs towards finding: if it finds too much,
//! a harmless word is missing from a text; if too little, a secret is in git for ever.

use std::ops::Range;

/// A kind of secret that begins in a way of its own.
struct Kind {
    prefix: &'static [u8],
    /// How many letters at least follow.
    least: usize,
    /// Whether a dot is among the letters.
    has_dots: bool,
    /// Whether it only counts at the beginning of a word, because such letters stand inside of plain words, too.
    begins_word: bool,
    /// How much of the prefix is no secret and stays.
    stays: usize,
}

const fn kind(prefix: &'static [u8], least: usize) -> Kind {
    Kind { prefix, least, has_dots: false, begins_word: false, stays: 0 }
}

const KINDS: &[Kind] = &[
    kind(b"klo_", 20),
    kind(b"kl_", 20),
    kind(b"AIza", 30),
    kind(b"AQ.", 30),
    kind(b"GOCSPX-", 20),
    kind(b"1//0", 20),
    Kind { has_dots: true, ..kind(b"ya29.", 20) },
    // Tokens of the Live API: what the answer calls their name is the token.
    Kind { stays: 12, ..kind(b"auth_tokens/", 8) },
    Kind { begins_word: true, ..kind(b"sk-", 20) },
    Kind { begins_word: true, ..kind(b"sk_", 20) },
    Kind { begins_word: true, ..kind(b"gsk_", 20) },
    Kind { begins_word: true, ..kind(b"xai-", 20) },
    Kind { begins_word: true, ..kind(b"hf_", 20) },
    Kind { begins_word: true, ..kind(b"ghp_", 20) },
    Kind { begins_word: true, ..kind(b"github_pat_", 20) },
];

/// How many letters at least follow `Bearer`.
const BEARER_LEAST: usize = 16;
/// How many letters at least each of the three pieces of a signed token (JWT) has.
const SIGNED_LEAST: usize = 10;
/// The longest name of a parameter that is looked at.
const NAME_BYTES_MAX: usize = 48;

/// Fields and headers whose text is a secret whatever it looks like; letters and digits of the name only.
const NAMES: &[&str] = &[
    "accesstoken",
    "apikey",
    "authorization",
    "authtoken",
    "bearertoken",
    "clientsecret",
    "cookie",
    "idtoken",
    "keystring",
    "oauthtoken",
    "password",
    "privatekey",
    "proxyauthorization",
    "refreshtoken",
    "secret",
    "secretkey",
    "sessiontoken",
    "setcookie",
    "xapikey",
    "xgoogapikey",
];

/// The same of parameters in a URL alone: elsewhere these words mean other things.
const PARAMETERS: &[&str] = &["accesskeyid", "awsaccesskeyid", "key", "sig", "token", "uploadid"];

/// How names of parameters end that sign a URL for whoever has it: `X-Amz-Signature`, `X-Goog-Credential` and their like.
const SIGNING: &[&str] = &["signature", "credential", "securitytoken"];

/// The places of all that looks like a secret, in order and apart from each other. One pass, whatever the text.
#[must_use]
pub fn find_secrets(text: &[u8]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let secret = of_kind(text, at).or_else(|| signed(text, at)).or_else(|| bearer(text, at));
        let secret = secret.or_else(|| private_key(text, at)).or_else(|| parameter(text, at));
        match secret {
            Some(secret) => {
                at = secret.end.max(at + 1);
                found.push(secret);
            }
            None => at += 1,
        }
    }
    found
}

/// Whether what stands under this name, in a header or in a field of JSON, is a secret whatever it looks like.
#[must_use]
pub fn names_a_secret(name: &str) -> bool {
    NAMES.contains(&&*plain(name.as_bytes()))
}

/// The same of a parameter in a URL.
#[must_use]
pub fn is_secret_parameter(name: &str) -> bool {
    let plain = plain(name.as_bytes());
    let is_any = |names: &[&str]| names.contains(&&*plain);
    is_any(NAMES) || is_any(PARAMETERS) || SIGNING.iter().any(|end| plain.ends_with(end))
}

fn of_kind(text: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    KINDS.iter().find_map(|kind| {
        let body = rest.strip_prefix(kind.prefix)?;
        if kind.begins_word && !begins_word(text, at) {
            return None;
        }
        let length = run(body, kind.has_dots);
        (length >= kind.least).then(|| at + kind.stays..at + kind.prefix.len() + length)
    })
}

/// A signed token: three pieces of base64 with dots between, of which the first is JSON.
fn signed(text: &[u8], at: usize) -> Option<Range<usize>> {
    if !text[at..].starts_with(b"eyJ") || !begins_word(text, at) {
        return None;
    }
    let mut end = at;
    for piece in 0..3 {
        if piece > 0 {
            end += usize::from(*text.get(end)? == b'.');
        }
        let length = run(&text[end..], false);
        if length < SIGNED_LEAST {
            return None;
        }
        end += length;
    }
    Some(at..end)
}

fn bearer(text: &[u8], at: usize) -> Option<Range<usize>> {
    const WORD: &[u8] = b"bearer ";
    let begins = text.get(at..at + WORD.len())?.eq_ignore_ascii_case(WORD);
    let from = at + WORD.len();
    let is_letter = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    let length = if begins { text[from..].iter().take_while(is_letter).count() } else { 0 };
    (length >= BEARER_LEAST).then(|| from..from + length)
}

/// A private key in PEM; where its end is missing, all that is left.
fn private_key(text: &[u8], at: usize) -> Option<Range<usize>> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    const END: &[u8] = b"-----END ";
    let head = text[at..].strip_prefix(BEGIN)?;
    position(&head[..head.len().min(NAME_BYTES_MAX)], b"PRIVATE KEY-----")?;
    let Some(end) = position(&text[at..], END) else { return Some(at..text.len()) };
    let from = at + end + END.len();
    let tail = position(&text[from..], b"-----").map_or(text.len(), |tail| from + tail + 5);
    Some(at..tail)
}

/// The value of a parameter in a URL, also behind its `#`, or in a form. A `;` may stand between parameters, as it does at
/// the end of `&amp;`, and may be part of a value: so one begins a parameter and ends none.
fn parameter(text: &[u8], at: usize) -> Option<Range<usize>> {
    let is_begin = at == 0
        || match text[at - 1] {
            b'?' | b'&' | b'\n' => true,
            // In plain text a blank follows them.
            b'#' | b';' => !text[at].is_ascii_whitespace(),
            _ => false,
        };
    if !is_begin {
        return None;
    }
    let head = &text[at..text.len().min(at + NAME_BYTES_MAX)];
    let equals = head.iter().position(|byte| *byte == b'=')?;
    let name = std::str::from_utf8(&head[..equals]).ok()?;
    if !is_secret_parameter(name.strip_prefix("%24").unwrap_or(name)) {
        return None;
    }
    let from = at + equals + 1;
    let is_value = |byte: &&u8| !byte.is_ascii_whitespace() && !b"&#\"'<>\\`".contains(byte);
    let length = text[from..].iter().take_while(is_value).count();
    (length > 0).then(|| from..from + length)
}

/// A name without what differs between spellings of it.
fn plain(name: &[u8]) -> String {
    let letters = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    letters.map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

fn begins_word(text: &[u8], at: usize) -> bool {
    at == 0 || !(text[at - 1].is_ascii_alphanumeric() || matches!(text[at - 1], b'-' | b'_'))
}

fn run(text: &[u8], has_dots: bool) -> usize {
    let is_letter =
        |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (has_dots && **byte == b'.');
    text.iter().take_while(is_letter).count()
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = find_secrets(text.as_bytes()).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn secrets_are_found_by_how_they_begin() {
        let letters = "aB3_-".repeat(7);
        for prefix in ["AIza", "AQ.", "kl_", "klo_", "ya29.", "1//0", "GOCSPX-", "sk-", "sk-ant-", "ghp_"] {
            let secret = format!("{prefix}{letters}");
            check(&secret, &[&secret]);
            check(&format!("a \"{secret}\" b {secret};"), &[&secret, &secret]);
        }
        check(&format!("xAIza{letters}"), &[&format!("AIza{letters}")]);
        check("auth_tokens/9f2c9f2c9f2c", &["9f2c9f2c9f2c"]);
        check("ya29.a0ARrdaM-abc.def_ghijklmn", &["ya29.a0ARrdaM-abc.def_ghijklmn"]);
    }

    #[test]
    fn plain_words_are_no_secrets() {
        for plain in [
            "AIza is how keys begin",
            "risk-management-and-other-long-words-of-that-kind",
            "POST /v1alpha/auth_tokens",
            "the bearer of this letter",
            "eyJhbGciOiJIUzI1NiJ9",
            "sorted(names, key=len)",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        ] {
            check(plain, &[]);
        }
    }

    #[test]
    fn what_a_name_says_is_a_secret_is_one_whatever_it_looks_like() {
        check("https://x.example/v1?alt=sse&key=abc&b=1", &["abc"]);
        check("?%24key=abc#top", &["abc"]);
        check("see https://x.example/?access_token=abc, please", &["abc,"]);
        check("https://x.example/#access_token=abc&state=1", &["abc"]);
        check("https://x.example/?a=1&amp;sig=ab%2Bc&amp;b=2", &["ab%2Bc"]);
        check("https://x.example/?a=1;token=ab;c", &["ab;c"]);
        check(
            "https://b.example/o?X-Amz-Credential=AK%2Fs3&X-Amz-Date=1&X-Amz-Security-Token=Fw&X-Amz-Signature=9f2c",
            &["AK%2Fs3", "Fw", "9f2c"],
        );
        check("https://b.example/o?GoogleAccessId=me&Expires=1&Signature=ab%3D", &["ab%3D"]);
        check(
            "https://b.example/o?X-Goog-Credential=me&X-Goog-Signature=9f2c&x-oss-signature=77",
            &["me", "9f2c", "77"],
        );
        check("if (a#b) { x = 1; key=2 } # token=3", &[]);
        check("client_secret=a&code=b&refresh_token=c", &["a", "c"]);
        check("Authorization: Bearer abcdefghijklmnop1234", &["abcdefghijklmnop1234"]);
        for name in ["apiKey", "api_key", "X-Goog-Api-Key", "Set-Cookie", "access_token", "privateKey"] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in ["key", "token", "nextPageToken", "tokens", "text"] {
            assert!(!names_a_secret(name), "{name}");
        }
    }

    #[test]
    fn tokens_and_keys_of_several_pieces_are_found_whole() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9";
        check(&format!("({token})"), &[token]);
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----";
        check(&format!("{key}\nrest"), &[key]);
        check("-----BEGIN PRIVATE KEY-----\nMIIEow", &["-----BEGIN PRIVATE KEY-----\nMIIEow"]);
    }
}
