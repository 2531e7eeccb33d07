//! Methods of an HTTP service, told by verb and path.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

use http::{Method, Uri};
use keylodge_api::Status;
use keylodge_gate::Target;
use percent_encoding::percent_decode_str;

use crate::failure;

/// A method: `GET /v1/forecast/{city}` and its name.
///
/// A template and a path are compared by what their pieces mean, `%61` and `a` alike: an upstream that decodes them must
/// not see another method than the one that was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodRule {
    verb: Method,
    pieces: Vec<Piece>,
    /// Whether more may come after the pieces.
    is_open: bool,
    name: Arc<str>,
}

/// One piece of a template: texts, and between each two of them a placeholder for at least one byte. `a` is one text,
/// `{id}` two empty ones, `{id}.json` an empty one and `.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece(Box<[Box<[u8]>]>);

impl MethodRule {
    /// Reads a verb and a path template as OpenAPI has them; `{name}` stands for one piece of the path or, beside letters
    /// as in `{name}.json` and `{name}:cancel`, for a part of one; `{name=**}` at the end for whatever is left.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(pattern: &str, name: &str) -> Result<Self, &'static str> {
        let (verb, path) = pattern.split_once(' ').ok_or("a verb, a blank and a path, as GET /v1/items/{item}")?;
        let verb =
            Method::from_bytes(verb.to_ascii_uppercase().as_bytes()).map_err(|_| "a verb such as GET in front")?;
        let path = path.strip_prefix('/').ok_or("a path that begins with a slash")?;
        let mut pieces: Vec<&str> = path.split('/').collect();
        let is_rest = |piece: &mut &str| {
            let name = piece.strip_prefix('{').and_then(|piece| piece.strip_suffix("=**}"));
            name.is_some_and(|name| !name.contains(['{', '}']))
        };
        let is_open = pieces.pop_if(is_rest).is_some();
        let pieces = pieces.into_iter().map(Piece::parse).collect::<Result<_, _>>()?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if !(1..=200).contains(&name.len()) || !name.bytes().all(fits) {
            return Err("a name of 1 to 200 letters, digits, '.', '-' and '_'");
        }
        Ok(Self { verb, pieces, is_open, name: name.into() })
    }

    /// Puts those first that leave less open, so that the first that covers a path is the one OpenAPI means: from the
    /// left, letters before `{name}.json`, that before `{name}`, and that before `{name=**}`.
    pub fn most_specific_first(rules: &mut [Self]) {
        rules.sort_by_cached_key(|rule| {
            let openness = |piece: &Piece| match &*piece.0 {
                [_] => (0, Reverse(0)),
                texts => (1, Reverse(texts.iter().map(|text| text.len()).sum())),
            };
            let rest = rule.is_open.then_some((2, Reverse(0)));
            rule.pieces.iter().map(openness).chain(rest).collect::<Vec<_>>()
        });
    }

    fn covers(&self, verb: &Method, path: &[Cow<'_, [u8]>]) -> bool {
        let fits = if self.is_open { path.len() >= self.pieces.len() } else { path.len() == self.pieces.len() };
        fits && self.verb == *verb && self.pieces.iter().zip(path).all(|(piece, given)| piece.covers(given))
    }
}

impl Piece {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "pieces of letters and {name}, and {name=**} at the end only";
        let mut texts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(WRONG)?;
            if name.contains('{') || name.ends_with("=**") {
                return Err(WRONG);
            }
            texts.push(before);
            rest = after;
        }
        texts.push(rest);
        if texts.iter().any(|text| text.contains(['}', '*', '?', '#'])) {
            return Err(WRONG);
        }
        if texts.len() > 2 && texts[1..texts.len() - 1].contains(&"") {
            return Err("letters between two {name} of one piece");
        }
        Ok(Self(texts.into_iter().map(|text| percent_decode_str(text).collect()).collect()))
    }

    fn covers(&self, given: &[u8]) -> bool {
        let Some((first, others)) = self.0.split_first() else { return false };
        let Some(mut rest) = given.strip_prefix(&**first) else { return false };
        let Some((last, between)) = others.split_last() else { return rest.is_empty() };
        // The first place where a text can be leaves the most for those after it.
        for text in between {
            let places = rest.get(1..).unwrap_or_default().windows(text.len());
            let Some(at) = places.into_iter().position(|place| *place == **text) else { return false };
            rest = &rest[1 + at + text.len()..];
        }
        rest.len() > last.len() && rest.ends_with(last)
    }
}

/// All methods of a service. Where none is listed, the verb is the method.
#[derive(Debug)]
pub(super) struct Methods {
    rules: Vec<MethodRule>,
    verbs: [(Method, Target); 7],
}

impl Methods {
    pub(super) fn new(rules: Vec<MethodRule>) -> Self {
        let verbs =
            [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];
        let verbs = verbs.map(|verb| {
            let target = Target::new(verb.as_str());
            (verb, target)
        });
        Self { rules, verbs }
    }

    /// The method that a request means. Closed unless listed: where methods are listed, other paths do not exist.
    pub(super) fn target(&self, verb: &Method, uri: &Uri, path: &str) -> Result<Target, Status> {
        let target = if self.rules.is_empty() {
            self.verbs.iter().find(|(known, _)| known == verb).map(|(_, target)| target.clone())
        } else {
            let pieces: Vec<Cow<'_, [u8]>> =
                path.trim_start_matches('/').split('/').map(|piece| percent_decode_str(piece).into()).collect();
            let rule = self.rules.iter().find(|rule| rule.covers(verb, &pieces));
            rule.map(|rule| Target::new(Arc::clone(&rule.name)))
        };
        target.ok_or_else(|| failure::no_such_path(uri.path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(rules: &[(&str, &str)], verb: &str, path: &str) -> Option<String> {
        let rules = rules.iter().map(|(pattern, name)| MethodRule::parse(pattern, name).unwrap()).collect();
        let verb = Method::from_bytes(verb.as_bytes()).unwrap();
        let target = Methods::new(rules).target(&verb, &path.parse().unwrap(), path);
        target.ok().map(|target| target.method.to_string())
    }

    #[test]
    fn a_path_means_the_first_method_that_covers_it_and_nothing_else() {
        let rules = [("GET /v1/items", "List"), ("GET /v1/items/{item}", "Get"), ("POST /v1/{rest=**}", "Post")];

        assert_eq!(name(&rules, "GET", "/v1/items").as_deref(), Some("List"));
        assert_eq!(name(&rules, "GET", "/v1/items/7").as_deref(), Some("Get"));
        assert_eq!(name(&rules, "POST", "/v1/a/b").as_deref(), Some("Post"));
        for (verb, path) in [("GET", "/v1/items/"), ("GET", "/v1/items/7/x"), ("PUT", "/v1/items"), ("GET", "/")] {
            assert_eq!(name(&rules, verb, path), None, "{verb} {path}");
        }
    }

    #[test]
    fn without_methods_the_verb_is_the_method() {
        assert_eq!(name(&[], "GET", "/anything").as_deref(), Some("GET"));
        assert_eq!(name(&[], "TRACE", "/anything"), None);
    }

    #[test]
    fn what_is_no_method_is_turned_away() {
        for bad in [
            "GET",
            "GET v1",
            "GET /a/{b",
            "GET /a}",
            "GET /{a{b}",
            "GET /{a=**}/b",
            "GET /x{a=**}",
            "GET /{a}{b=**}",
            "GET /a*",
            "GET /a?b",
            "GET /a#b",
            "GET /{a}{b}",
            "GET /{a=b/*}",
        ] {
            assert!(MethodRule::parse(bad, "Name").is_err(), "{bad}");
        }
        assert!(MethodRule::parse("GET /a", "two words").is_err());
    }

    #[test]
    fn a_placeholder_may_be_a_part_of_a_piece() {
        let rules = [
            ("GET /reports/{id}.json", "Report"),
            ("GET /pairs/{a}-{b}", "Pair"),
            ("GET /v{n}/x-{a}.{b}.z", "Many"),
            ("POST /jobs/{id}:cancel", "Cancel"),
        ];

        for (verb, path, wanted) in [
            ("GET", "/reports/7.json", Some("Report")),
            ("GET", "/reports/a.json.json", Some("Report")),
            ("GET", "/reports/.json", None),
            ("GET", "/reports/7", None),
            ("GET", "/pairs/a-b", Some("Pair")),
            ("GET", "/pairs/a-b-c", Some("Pair")),
            ("GET", "/pairs/--b", Some("Pair")),
            ("GET", "/pairs/-b", None),
            ("GET", "/pairs/a-", None),
            ("GET", "/v1/x-a.b.z", Some("Many")),
            ("GET", "/v1/x-a.z", None),
            ("POST", "/jobs/7:cancel", Some("Cancel")),
            ("POST", "/jobs/7%3Acancel", Some("Cancel")),
            ("POST", "/jobs/:cancel", None),
        ] {
            assert_eq!(name(&rules, verb, path).as_deref(), wanted, "{verb} {path}");
        }
    }

    #[test]
    fn letters_in_disguise_are_the_same_letters() {
        let rules = [("GET /users/admin", "Admin"), ("GET /users/{id}", "User"), ("GET /caf%C3%A9", "Cafe")];

        for (path, wanted) in [("/users/%61dmin", "Admin"), ("/%75sers/7", "User"), ("/caf%c3%a9", "Cafe")] {
            assert_eq!(name(&rules, "GET", path).as_deref(), Some(wanted), "{path}");
        }
    }

    #[test]
    fn the_most_specific_template_comes_first() {
        let sorted = [
            "GET /a/me",
            "GET /a/{x}.json",
            "GET /a/{x}.z",
            "GET /a/{x}",
            "GET /a/{x}/b",
            "GET /a/{rest=**}",
            "GET /{x}/me",
            "GET /{rest=**}",
        ];
        let rules = sorted.iter().enumerate();
        let rules = rules.map(|(at, pattern)| MethodRule::parse(pattern, &at.to_string()).unwrap());
        let mut rules: Vec<MethodRule> = rules.rev().collect();

        MethodRule::most_specific_first(&mut rules);

        let names: Vec<&str> = rules.iter().map(|rule| &*rule.name).collect();
        assert_eq!(names, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    }

    proptest! {
        #[test]
        fn a_template_covers_what_is_made_of_it(texts in proptest::collection::vec("[a-c-]{1,2}", 2..5), fills in proptest::collection::vec("[a-c-]{1,3}", 4)) {
            let template = texts.join("{x}");
            let path: String = texts.iter().zip(fills.iter().map(String::as_str)).enumerate()
                .map(|(at, (text, fill))| if at + 1 < texts.len() { format!("{text}{fill}") } else { text.clone() }).collect();

            let rule = [(&*format!("GET /{template}"), "Name")];

            prop_assert!(name(&rule, "GET", &format!("/{path}")).is_some(), "{} {}", template, path);
        }

        #[test]
        fn no_template_and_no_path_make_it_panic(template in "[ab{}*=%.:/]{0,12}", path in "[ab%.:/6]{0,12}") {
            if let Ok(rule) = MethodRule::parse(&format!("GET /{template}"), "Name") {
                let path = format!("/{path}");
                let _ = Methods::new(vec![rule]).target(&Method::GET, &Uri::default(), &path);
            }
        }
    }
}
