//! The shape of values: which fields they have and of what kind, not what stands there.
//!
//! The shape of a list is that of all its elements together, and so is the shape of several answers. A field that each of
//! them has is expected of the next; one that comes and goes is not. Where a list is empty or a field is null, nothing is
//! known of what could stand there, so nothing is expected.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Null,
    Boolean,
    Number,
    String,
    List,
    Object,
}

/// What values that stood at one place had in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    kinds: BTreeSet<Kind>,
    fields: BTreeMap<String, Field>,
    /// Of lists, where any had an element.
    elements: Option<Box<Self>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    shape: Shape,
    /// Whether each of the objects has it.
    always: bool,
}

/// What came of a comparison, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    /// What was expected and is not so.
    pub(crate) drifts: Vec<String>,
    /// What is there that was not: nobody who read the answers of the recording can miss it.
    pub(crate) news: Vec<String>,
}

/// Fields below which a model says what it likes.
const FREE: [&str; 2] = ["functionCall.args", "functionResponse.response"];

impl Shape {
    pub(crate) fn of(value: &Value) -> Self {
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Boolean,
            Value::Number(_) => Kind::Number,
            Value::String(_) => Kind::String,
            Value::Array(_) => Kind::List,
            Value::Object(_) => Kind::Object,
        };
        let mut shape = Self { kinds: BTreeSet::from([kind]), ..Self::default() };
        match value {
            Value::Array(elements) => shape.elements = elements.iter().map(Self::of).reduce(Self::and).map(Box::new),
            Value::Object(fields) => {
                let field =
                    |(name, value): (&String, &Value)| (name.clone(), Field { shape: Self::of(value), always: true });
                shape.fields = fields.iter().map(field).collect();
            }
            _ => {}
        }
        shape
    }

    /// The shape of values of either.
    pub(crate) fn and(mut self, other: Self) -> Self {
        let both_are_objects = self.has(Kind::Object) && other.has(Kind::Object);
        if both_are_objects {
            for (_, field) in self.fields.iter_mut().filter(|(name, _)| !other.fields.contains_key(*name)) {
                field.always = false;
            }
        }
        for (name, field) in other.fields {
            match self.fields.remove(&name) {
                Some(before) => {
                    let always = before.always && field.always;
                    self.fields.insert(name, Field { shape: before.shape.and(field.shape), always });
                }
                None => {
                    let always = field.always && !both_are_objects;
                    self.fields.insert(name, Field { always, ..field });
                }
            }
        }
        self.elements = match (self.elements, other.elements) {
            (Some(one), Some(other)) => Some(Box::new(one.and(*other))),
            (one, other) => one.or(other),
        };
        self.kinds.extend(other.kinds);
        self
    }

    /// How values differ now from what they were.
    pub(crate) fn compare(&self, now: &Self) -> Compared {
        let mut compared = Compared::default();
        self.compare_at("", now, &mut compared);
        compared
    }

    fn compare_at(&self, path: &str, now: &Self, compared: &mut Compared) {
        let at = if path.is_empty() { "the body" } else { path };
        let is_known = |kind: &Kind| self.kinds.contains(kind) || !self.is_known();
        if !now.kinds.iter().all(is_known) {
            compared.drifts.push(format!("{at} was {}, is {}", self.words(), now.words()));
        }
        if FREE.iter().any(|free| path.ends_with(free)) {
            return;
        }
        if self.has(Kind::Object) && now.has(Kind::Object) {
            self.compare_fields(path, now, compared);
        }
        if let (Some(before), Some(now)) = (&self.elements, &now.elements) {
            before.compare_at(&format!("{path}[]"), now, compared);
        }
    }

    fn compare_fields(&self, path: &str, now: &Self, compared: &mut Compared) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        for (name, field) in &self.fields {
            let path = below(name);
            match now.fields.get(name) {
                Some(now) => {
                    if field.always && !now.always {
                        compared
                            .drifts
                            .push(format!("{path} was {} each time, is missing in some", field.shape.words()));
                    }
                    field.shape.compare_at(&path, &now.shape, compared);
                }
                None if field.always => {
                    compared.drifts.push(format!("{path} was {}, is missing", field.shape.words()));
                }
                None => {}
            }
        }
        for (name, field) in now.fields.iter().filter(|(name, _)| !self.fields.contains_key(*name)) {
            compared.news.push(format!("{} is new: {}", below(name), field.shape.words()));
        }
    }

    fn has(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Whether anything is known of what stands there.
    fn is_known(&self) -> bool {
        self.kinds.iter().any(|kind| *kind != Kind::Null)
    }

    fn words(&self) -> String {
        let word = |kind: &Kind| match kind {
            Kind::Null => "null",
            Kind::Boolean => "boolean",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::List => "list",
            Kind::Object => "object",
        };
        self.kinds.iter().map(word).collect::<Vec<_>>().join(" or ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[track_caller]
    fn check(before: &Value, now: &Value, drifts: &[&str], news: &[&str]) {
        let compared = Shape::of(before).compare(&Shape::of(now));
        assert_eq!(
            (compared.drifts, compared.news),
            (
                drifts.iter().map(|&words| words.to_owned()).collect(),
                news.iter().map(|&words| words.to_owned()).collect()
            ),
            "{before} {now}"
        );
    }

    #[test]
    fn other_values_have_the_same_shape() {
        let before = json!({"a": [{"b": 1, "c": "x"}], "d": true, "e": null});
        check(&before, &json!({"d": false, "a": [{"c": "", "b": 2.5}, {"b": 0, "c": "z"}], "e": "now"}), &[], &[]);
    }

    #[test]
    fn a_field_that_is_missing_or_of_another_kind_is_a_drift() {
        let before = json!({"candidates": [{"finishReason": "STOP", "index": 0}], "usage": {"total": 1}});
        let now = json!({"candidates": [{"index": "0"}], "usage": null});

        check(
            &before,
            &now,
            &[
                "candidates[].finishReason was string, is missing",
                "candidates[].index was number, is string",
                "usage was object, is null",
            ],
            &[],
        );
        check(&json!([1]), &json!({}), &["the body was list, is object"], &[]);
    }

    #[test]
    fn a_field_that_comes_and_goes_is_not_missed_and_one_that_was_always_there_is() {
        let before = json!([{"a": 1, "b": 2}, {"a": 1}]);
        check(&before, &json!([{"a": 3}]), &[], &[]);
        check(&before, &json!([{"a": 3}, {"b": 1}]), &["[].a was number each time, is missing in some"], &[]);
        check(&before, &json!([]), &[], &[]);
        check(&json!([]), &before, &[], &[]);
    }

    #[test]
    fn a_new_field_is_news_and_no_drift() {
        check(&json!({"a": {}}), &json!({"a": {"b": [1]}, "c": 1}), &[], &["a.b is new: list", "c is new: number"]);
    }

    #[test]
    fn what_a_model_calls_a_function_with_is_its_own() {
        let call = |args: Value| json!({"parts": [{"functionCall": {"name": "f", "args": args}}]});
        check(&call(json!({"city": "Basel"})), &call(json!({"town": 1})), &[], &[]);
        check(&call(json!({})), &call(json!([])), &["parts[].functionCall.args was object, is list"], &[]);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-e]", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// The paths of all fields that are in objects which are not in lists: those are there each time.
    fn fields(value: &Value, path: &str, all: &mut Vec<String>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let path = format!("{path}/{name}");
            fields(value, &path, all);
            all.push(path);
        }
    }

    proptest! {
        #[test]
        fn a_shape_is_equal_to_itself_and_to_more_of_the_same(value in value(), other in value()) {
            let shape = Shape::of(&value);
            prop_assert_eq!(shape.compare(&shape), Compared::default());
            prop_assert_eq!(&shape.clone().and(shape.clone()), &shape);
            // Whatever was seen of two is expected of neither.
            let both = shape.clone().and(Shape::of(&other));
            prop_assert_eq!(both.compare(&shape), Compared::default());
            prop_assert_eq!(both.compare(&Shape::of(&other)), Compared::default());
        }

        #[test]
        fn a_field_that_was_removed_is_found(value in value(), which in any::<proptest::sample::Index>()) {
            let mut all = Vec::new();
            fields(&value, "", &mut all);
            prop_assume!(!all.is_empty());
            let path = &all[which.index(all.len())];
            let (above, name) = path.rsplit_once('/').unwrap();
            let mut now = value.clone();
            now.pointer_mut(above).unwrap().as_object_mut().unwrap().remove(name);

            let drifts = Shape::of(&value).compare(&Shape::of(&now)).drifts;

            prop_assert_eq!(drifts.len(), 1, "{:?}", drifts);
            let expected = format!("{} was ", path[1..].replace('/', "."));
            prop_assert!(drifts[0].starts_with(&expected) && drifts[0].ends_with(", is missing"), "{:?}", drifts);
        }
    }
}
