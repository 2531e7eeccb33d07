//! Which revision of the Interactions API a caller speaks: the header `Api-Revision`, a date.

use http::HeaderMap;

use super::fault::{Fault, Word};

const HEADER: &str = "api-revision";

/// The first revision whose interactions have `steps`, the only form there is here.
const WITH_STEPS: &str = "2026-05-20";

/// What Google says to callers of the form before, which it serves no longer.
const LEGACY: &str = "The legacy Interactions API schema is no longer supported. Please upgrade your client SDK to Python >= 2.0.0 or JavaScript/TypeScript >= 2.0.0 to adopt the new 'steps' schema. For details and migration examples, see: https://ai.google.dev/gemini-api/docs/interactions-breaking-changes-may-2026";

/// Lets callers pass who speak the current form: those that name its revision or a later one, or none.
///
/// # Errors
/// `invalid_request` for an earlier revision, and for what is no date (what Google does with the latter is UNCONFIRMED).
pub(super) fn check(headers: &HeaderMap) -> Result<(), Fault> {
    for revision in headers.get_all(HEADER) {
        let revision = revision.to_str().unwrap_or_default().trim();
        if revision.is_empty() {
            continue;
        }
        if !is_date(revision) {
            let shown: String = revision.chars().take(32).collect();
            let message = format!("Api-Revision is a date, as {WITH_STEPS}, not '{shown}'.");
            return Err(Fault::new(Word::InvalidRequest, message));
        }
        // Dates of this form sort as texts.
        if revision < WITH_STEPS {
            return Err(Fault::new(Word::InvalidRequest, LEGACY));
        }
    }
    Ok(())
}

/// `YYYY-MM-DD`, with a month and a day that there are.
fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut number = |digits: usize| {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        part.parse::<u16>().ok()
    };
    let date = (number(4), number(2), number(2));
    matches!(date, (Some(_), Some(1..=12), Some(1..=31))) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(revision: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static(HEADER), revision.parse().unwrap())]);
        check(&headers).err().map(|fault| fault.message)
    }

    #[test]
    fn the_current_form_is_served_to_whoever_does_not_ask_for_the_one_before() {
        assert_eq!(check(&HeaderMap::new()), Ok(()));
        for revision in ["", "2026-05-20", "2026-05-21", "2027-01-01", "9999-12-31"] {
            assert_eq!(refused(revision), None, "{revision}");
        }
        for revision in ["2026-05-07", "2026-05-19", "2025-12-31"] {
            assert_eq!(refused(revision).as_deref(), Some(LEGACY), "{revision}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused_and_not_guessed_at() {
        for revision in [
            "latest",
            "2026-5-20",
            "2026-13-01",
            "2026-00-10",
            "2026-05-32",
            "2026-05-20T00:00",
            "20260520",
            "2026-05-20-1",
        ] {
            assert!(refused(revision).is_some_and(|said| said.contains(revision)), "{revision}");
        }
    }
}
