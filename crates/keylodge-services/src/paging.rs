//! Page tokens: opaque to callers, a revision to us.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keylodge_api::Status;
use keylodge_rules::Revision;

use crate::query::{Query, invalid};

/// Where a page begins.
pub(crate) fn begin(query: &Query) -> Result<Revision, Status> {
    parse_or_first(query.get("pageToken").unwrap_or_default())
}

/// The same where the token stands in a body; an empty one means the first page.
pub(crate) fn parse_or_first(token: &str) -> Result<Revision, Status> {
    if token.is_empty() {
        return Ok(Revision(0));
    }
    parse(token).ok_or_else(|| {
        invalid("page_token", "The page token is not valid. Use next_page_token of the page before, or leave it out.")
    })
}

/// The token of the page that begins after a revision.
pub(crate) fn token(after: Revision) -> String {
    URL_SAFE_NO_PAD.encode(format!("after:{}", after.0))
}

fn parse(token: &str) -> Option<Revision> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix("after:")?.parse().ok().map(Revision)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_reads_back(revision: u64) {
            prop_assert_eq!(parse(&token(Revision(revision))), Some(Revision(revision)));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            let _ = parse(&text);
        }
    }

    #[test]
    fn nothing_else_is_a_token() {
        assert!(["", "x", "YWZ0ZXI6", "////"].iter().all(|wrong| parse(wrong).is_none()));
    }
}
