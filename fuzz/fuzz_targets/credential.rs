//! Taking the credential out of a request: no panic, no credential is left, all the rest stays byte for byte.
//!
//! The input is a request's head without its method: the URI on the first line, then a header field on each line.

#![no_main]

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use keylodge_api::API_KEY_HEADER;
use keylodge_gate::Credentials;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let Ok(uri) = Uri::try_from(lines.next().unwrap_or_default()) else { return };
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&line[colon + 1..]));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }

    let (mut headers_left, mut uri_left) = (headers.clone(), uri.clone());
    let credentials = Credentials::take(&mut headers_left, &mut uri_left);
    // Neither may panic, whatever was taken.
    let _ = (credentials.key().is_ok(), credentials.bearer_token().is_some(), credentials.token().is_some());

    headers.remove(API_KEY_HEADER);
    headers.remove(AUTHORIZATION);
    assert_eq!(headers_left, headers, "exactly the credential headers are gone");

    let query = uri.query().unwrap_or_default();
    let rest: Vec<&str> = query.split('&').filter(|piece| !is_credential(piece)).collect();
    assert_eq!(uri_left.query().unwrap_or_default(), rest.join("&"), "exactly the credential parameters are gone");
    assert_eq!(uri_left.path(), uri.path());
    assert_eq!((uri_left.scheme(), uri_left.authority()), (uri.scheme(), uri.authority()));
});

/// Said once more and in other words than the gate says it, so that the two can disagree.
fn is_credential(piece: &str) -> bool {
    let name = piece.split('=').next().unwrap_or_default().as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while let Some(&byte) = name.get(at) {
        let hex = |offset: usize| name.get(at + offset).and_then(|&digit| char::from(digit).to_digit(16));
        match (byte, hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.extend(u8::try_from(high * 16 + low));
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    [&b"key"[..], b"$key", b"access_token", b"oauth_token"].contains(&&decoded[..])
}
