//! Which fields of a key an update is about.

use std::collections::BTreeSet;

use super::ClientKind;
use crate::Status;
use crate::proto_json::{MISTAKES_MAX, excerpt, snake_case};
use crate::status::FieldViolation;

/// The `updateMask` of an update, in either spelling of its paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyMask {
    /// There is none, or an empty one, which Google's clients send in place of none: every mutable field that the body
    /// sets.
    Absent,
    /// `*`: every mutable field, set or not.
    All,
    /// These fields. The set is empty where only output-only fields were named, which change nothing.
    Paths(BTreeSet<KeyPath>),
}

/// A field, or a part of one, that an update can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPath {
    /// `display_name`
    DisplayName,
    /// `annotations`, as a whole.
    Annotations,
    /// `restrictions`, as a whole.
    Restrictions,
    /// `restrictions.browser_key_restrictions`
    BrowserKeyRestrictions,
    /// `restrictions.server_key_restrictions`
    ServerKeyRestrictions,
    /// `restrictions.android_key_restrictions`
    AndroidKeyRestrictions,
    /// `restrictions.ios_key_restrictions`
    IosKeyRestrictions,
    /// `restrictions.api_targets`
    ApiTargets,
}

/// Paths that may stand in a mask and change nothing.
const OUTPUT_ONLY: [&str; 7] = ["name", "key_string", "create_time", "uid", "update_time", "delete_time", "etag"];

impl KeyPath {
    /// Every path.
    pub const ALL: [Self; 8] = [
        Self::DisplayName,
        Self::Annotations,
        Self::Restrictions,
        Self::BrowserKeyRestrictions,
        Self::ServerKeyRestrictions,
        Self::AndroidKeyRestrictions,
        Self::IosKeyRestrictions,
        Self::ApiTargets,
    ];

    /// The path of a kind of client restriction.
    #[must_use]
    pub const fn of(kind: ClientKind) -> Self {
        match kind {
            ClientKind::Browser => Self::BrowserKeyRestrictions,
            ClientKind::Server => Self::ServerKeyRestrictions,
            ClientKind::Android => Self::AndroidKeyRestrictions,
            ClientKind::Ios => Self::IosKeyRestrictions,
        }
    }

    /// The path as text, in snake_case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DisplayName => "display_name",
            Self::Annotations => "annotations",
            Self::Restrictions => "restrictions",
            Self::BrowserKeyRestrictions => "restrictions.browser_key_restrictions",
            Self::ServerKeyRestrictions => "restrictions.server_key_restrictions",
            Self::AndroidKeyRestrictions => "restrictions.android_key_restrictions",
            Self::IosKeyRestrictions => "restrictions.ios_key_restrictions",
            Self::ApiTargets => "restrictions.api_targets",
        }
    }
}

/// The lists that client restrictions consist of.
const LISTS: [&str; 4] = [".allowed_referrers", ".allowed_ips", ".allowed_applications", ".allowed_bundle_ids"];

impl KeyMask {
    /// Reads a mask.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with a violation on `update_mask` for each path that is no field of a key, or one that is set at
    /// creation only.
    pub fn parse(text: Option<&str>) -> Result<Self, Status> {
        let mut paths = BTreeSet::new();
        let mut mistakes = Vec::new();
        let (mut is_absent, mut is_all) = (true, false);
        let given = text.unwrap_or_default().split(',').map(str::trim).filter(|path| !path.is_empty());
        for path in given {
            is_absent = false;
            let snake = snake_case(path);
            // The one field of a client restriction stands for the whole of it.
            let snake = LISTS.iter().find_map(|list| snake.strip_suffix(list)).unwrap_or(&snake).to_owned();
            if let Some(known) = KeyPath::ALL.into_iter().find(|known| known.as_str() == snake) {
                paths.insert(known);
            } else if path == "*" {
                is_all = true;
            } else if !OUTPUT_ONLY.contains(&snake.as_str()) && mistakes.len() < MISTAKES_MAX {
                mistakes
                    .push(FieldViolation { field: "update_mask".to_owned(), description: no_such_path(path, &snake) });
            }
        }
        match (mistakes.is_empty(), is_absent, is_all) {
            (false, _, _) => Err(Status::bad_request(mistakes)),
            (true, true, _) => Ok(Self::Absent),
            (true, false, true) => Ok(Self::All),
            (true, false, false) => Ok(Self::Paths(paths)),
        }
    }

    /// The mask as text; none where there is none.
    #[must_use]
    pub fn print(&self) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::All => Some("*".to_owned()),
            // An empty text would be no mask at all; this path is one that changes nothing.
            Self::Paths(paths) if paths.is_empty() => Some("etag".to_owned()),
            Self::Paths(paths) => {
                let paths: Vec<&str> = paths.iter().map(|path| path.as_str()).collect();
                Some(paths.join(","))
            }
        }
    }

    /// Whether a field is replaced, where the body sets it or does not.
    #[must_use]
    pub fn covers(&self, path: KeyPath, is_set: bool) -> bool {
        match self {
            Self::Absent => is_set,
            Self::All => true,
            Self::Paths(paths) => {
                let whole = path >= KeyPath::Restrictions && paths.contains(&KeyPath::Restrictions);
                whole || paths.contains(&path)
            }
        }
    }
}

fn no_such_path(path: &str, snake: &str) -> String {
    let path = excerpt(path);
    if snake == "service_account_email" {
        return format!("Invalid update_mask: '{path}' is set when a key is made and cannot be changed.");
    }
    let valid: Vec<&str> = KeyPath::ALL.into_iter().map(KeyPath::as_str).collect();
    format!(
        "Invalid update_mask: '{path}' is no field that an update can change. Use * or any of {}.",
        valid.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Detail;
    use proptest::prelude::*;

    fn paths(paths: &[KeyPath]) -> KeyMask {
        KeyMask::Paths(paths.iter().copied().collect())
    }

    #[test]
    fn both_spellings_and_sub_paths_are_read() {
        for text in [
            "display_name,restrictions.server_key_restrictions,restrictions.api_targets",
            "displayName,restrictions.serverKeyRestrictions,restrictions.apiTargets",
            " restrictions.api_targets , restrictions.serverKeyRestrictions,display_name,display_name,",
        ] {
            let expected = paths(&[KeyPath::DisplayName, KeyPath::ServerKeyRestrictions, KeyPath::ApiTargets]);
            assert_eq!(KeyMask::parse(Some(text)), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_empty_mask_is_none_and_a_star_is_all() {
        assert_eq!(KeyMask::parse(None), Ok(KeyMask::Absent));
        assert_eq!(KeyMask::parse(Some("")), Ok(KeyMask::Absent));
        assert_eq!(KeyMask::parse(Some("*")), Ok(KeyMask::All));
    }

    #[test]
    fn output_only_fields_change_nothing() {
        assert_eq!(KeyMask::parse(Some("name,uid,etag,createTime")), Ok(paths(&[])));
        assert_eq!(KeyMask::parse(Some("etag,annotations")), Ok(paths(&[KeyPath::Annotations])));
    }

    #[test]
    fn every_unknown_path_is_named_together_with_the_valid_ones() {
        let status = KeyMask::parse(Some("foo,display_name,restrictions.foo,serviceAccountEmail")).unwrap_err();

        let [Detail::BadRequest(violations)] = &status.details[..] else { panic!("{status:?}") };
        assert!(violations.iter().all(|violation| violation.field == "update_mask"));
        let descriptions: Vec<&str> = violations.iter().map(|violation| violation.description.as_str()).collect();
        assert_eq!(
            descriptions,
            [
                "Invalid update_mask: 'foo' is no field that an update can change. Use * or any of display_name, annotations, restrictions, restrictions.browser_key_restrictions, restrictions.server_key_restrictions, restrictions.android_key_restrictions, restrictions.ios_key_restrictions, restrictions.api_targets.",
                "Invalid update_mask: 'restrictions.foo' is no field that an update can change. Use * or any of display_name, annotations, restrictions, restrictions.browser_key_restrictions, restrictions.server_key_restrictions, restrictions.android_key_restrictions, restrictions.ios_key_restrictions, restrictions.api_targets.",
                "Invalid update_mask: 'serviceAccountEmail' is set when a key is made and cannot be changed.",
            ]
        );
    }

    #[test]
    fn nonsense_without_end_gets_a_bounded_answer() {
        let status = KeyMask::parse(Some(&"x,".repeat(10_000))).unwrap_err();

        let [Detail::BadRequest(violations)] = &status.details[..] else { panic!("one detail") };
        assert_eq!(violations.len(), MISTAKES_MAX);
    }

    proptest! {
        #[test]
        fn what_a_mask_prints_it_also_reads(
            some in proptest::sample::subsequence(KeyPath::ALL.to_vec(), 0..=8),
            which in 0..4,
        ) {
            let mask = match which {
                0 => KeyMask::Absent,
                1 => KeyMask::All,
                _ => paths(&some),
            };
            prop_assert_eq!(KeyMask::parse(mask.print().as_deref()), Ok(mask));
        }
    }
}
