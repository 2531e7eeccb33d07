//! JSON Schema as a shape.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::number::{Bound, Decimal, Range};
use super::{Field, Index, List, Node, Shape, ShapeMistake, format, pattern, refs};

/// The deepest schema that is read.
const DEPTH_MAX: u32 = 32;
/// The longest string, and the longest list, that can be demanded.
const COUNT_MAX: u32 = 2000;
/// The most things that are said of values, each target of a reference counted where it stands and where it is named.
const NODES_MAX: usize = 4096;

/// Keywords that say something of values and cannot be followed.
const REFUSED: [&str; 18] = [
    "$dynamicRef",
    "$recursiveRef",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "minContains",
    "multipleOf",
    "not",
    "patternProperties",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

/// Keywords that say something of values of one kind.
const OF_STRINGS: [&str; 4] = ["minLength", "maxLength", "pattern", "format"];
const OF_NUMBERS: [&str; 4] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
const OF_LISTS: [&str; 4] = ["items", "prefixItems", "minItems", "maxItems"];
const OF_OBJECTS: [&str; 5] = ["properties", "required", "additionalProperties", "minProperties", "maxProperties"];
const VALUES: [&str; 2] = ["enum", "const"];
const PARTS: [&str; 3] = ["anyOf", "oneOf", "allOf"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

/// Reads a whole document.
pub(super) fn read(document: &Value) -> Result<Shape, Vec<ShapeMistake>> {
    let mut reader = Reader { document, nodes: vec![Node::Any], targets: HashMap::new(), mistakes: Vec::new() };
    reader.targets.insert(String::new(), 0);
    reader.nodes[0] = reader.node(document, "", 0);
    if reader.is_full() {
        reader.refuse("", "it is too large");
    }
    if reader.mistakes.is_empty() { Ok(Shape { nodes: reader.nodes, root: 0 }) } else { Err(reader.mistakes) }
}

struct Reader<'doc> {
    document: &'doc Value,
    nodes: Vec<Node>,
    /// What references point to, by pointer.
    targets: HashMap<String, Index>,
    mistakes: Vec<ShapeMistake>,
}

impl Reader<'_> {
    /// Notes a mistake. What is read on stands in for what cannot be.
    fn refuse(&mut self, place: &str, why: impl Into<String>) -> Node {
        self.mistakes.push(ShapeMistake { place: place.to_owned(), why: why.into() });
        Node::Any
    }

    /// Whether reading has stopped.
    const fn is_full(&self) -> bool {
        self.nodes.len() >= NODES_MAX
    }

    fn put(&mut self, schema: &Value, place: &str, depth: u32) -> Index {
        if self.is_full() {
            return 0;
        }
        let node = self.node(schema, place, depth + 1);
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn node(&mut self, schema: &Value, place: &str, depth: u32) -> Node {
        let given = match schema {
            Value::Object(given) => given,
            Value::Bool(true) => return Node::Any,
            Value::Bool(false) => return self.refuse(place, "it allows no value"),
            _ => return self.refuse(place, "it is no schema"),
        };
        if depth > DEPTH_MAX {
            return self.refuse(place, "it is too deep");
        }
        for keyword in REFUSED {
            if given.get(keyword).is_some_and(|value| says_something(keyword, value, given)) {
                self.refuse(&format!("{place}.{keyword}"), "this keyword cannot be followed");
            }
        }
        if let Some(reference) = given.get("$ref") {
            return self.reference(reference, given, place, depth);
        }
        let parts: Vec<&str> = PARTS.into_iter().filter(|part| given.contains_key(*part)).collect();
        match parts[..] {
            [] => {}
            [part] => return self.parts(part, given, place, depth),
            _ => return self.refuse(&format!("{place}.{}", parts[1]), format!("it stands beside {}", parts[0])),
        }
        let Some(kinds) = self.kinds(given, place) else { return Node::Any };
        if let Some(values) = VALUES.into_iter().find(|values| given.contains_key(*values)) {
            return self.values(values, given, kinds.as_deref(), place);
        }
        let Some(kinds) = kinds.or_else(|| inferred(given)) else { return Node::Any };
        let mut each: Vec<Node> = kinds.into_iter().map(|kind| self.of_kind(kind, given, place, depth)).collect();
        if each.len() == 1 {
            return each.remove(0);
        }
        let each = each.into_iter().map(|node| {
            self.nodes.push(node);
            self.nodes.len() - 1
        });
        Node::Either(each.collect())
    }

    fn reference(&mut self, reference: &Value, given: &Map<String, Value>, place: &str, depth: u32) -> Node {
        if let Some(beside) = constraints().find(|keyword| given.contains_key(*keyword)) {
            return self.refuse(&format!("{place}.{beside}"), "nothing can stand beside $ref");
        }
        let pointer = reference.as_str().and_then(refs::pointer);
        let found = pointer.and_then(|pointer| Some((self.document.pointer(&pointer)?, pointer)));
        let Some((target, pointer)) = found else {
            return self.refuse(&format!("{place}.$ref"), "it points to nothing within the schema");
        };
        if let Some(index) = self.targets.get(&pointer) {
            return Node::Same(*index);
        }
        if self.is_full() {
            return Node::Any;
        }
        let index = self.nodes.len();
        self.nodes.push(Node::Any);
        self.targets.insert(pointer.clone(), index);
        let node = self.node(target, &pointer.replace('/', "."), depth + 1);
        self.nodes[index] = node;
        Node::Same(index)
    }

    fn parts(&mut self, part: &str, given: &Map<String, Value>, place: &str, depth: u32) -> Node {
        let beside =
            constraints().find(|keyword| *keyword != part && *keyword != "type" && given.contains_key(*keyword));
        if let Some(beside) = beside {
            return self
                .refuse(&format!("{place}.{beside}"), format!("it stands beside {part}; write it into each part"));
        }
        let at = format!("{place}.{part}");
        let Some(schemas) = given[part].as_array().filter(|schemas| !schemas.is_empty()) else {
            return self.refuse(&at, "it is a list of schemas");
        };
        if part == "allOf" && schemas.len() > 1 {
            return self.refuse(&at, "more than one schema at a time cannot be followed");
        }
        let mut each = Vec::with_capacity(schemas.len());
        for (number, schema) in schemas.iter().enumerate() {
            let at = format!("{at}[{number}]");
            match self.typed(schema, given.get("type")) {
                Some(schema) => each.push(self.put(&schema, &at, depth)),
                None => _ = self.refuse(&format!("{place}.type"), format!("{part}[{number}] is of another type")),
            }
        }
        Node::Either(each)
    }

    /// A part of a schema that has a type: its own types are among those, or those become its own. `None` if they differ.
    fn typed<'schema>(&self, schema: &'schema Value, types: Option<&Value>) -> Option<Cow<'schema, Value>> {
        let Some(types) = types else { return Some(Cow::Borrowed(schema)) };
        if *schema == Value::Bool(true) {
            return Some(Cow::Owned(json!({"type": types})));
        }
        let Some(given) = schema.as_object() else { return Some(Cow::Borrowed(schema)) };
        let pointer = given.get("$ref").and_then(Value::as_str).and_then(refs::pointer);
        let own = match &pointer {
            Some(pointer) => self.document.pointer(pointer).and_then(|target| target.get("type")),
            None => given.get("type"),
        };
        let Some(own) = own else {
            let mut typed = given.clone();
            typed.insert("type".to_owned(), types.clone());
            return pointer.is_none().then_some(Cow::Owned(Value::Object(typed)));
        };
        let allowed = one_or_more(types);
        let fits = |own: &Value| allowed.contains(own) || (own == "integer" && allowed.iter().any(|of| of == "number"));
        one_or_more(own).iter().all(fits).then_some(Cow::Borrowed(schema))
    }

    /// The declared kinds, if any are declared; the outer `None` is a mistake.
    fn kinds(&mut self, given: &Map<String, Value>, place: &str) -> Option<Option<Vec<Kind>>> {
        let Some(types) = given.get("type") else { return Some(None) };
        let names = one_or_more(types);
        let mut kinds = Vec::new();
        for name in names {
            let Some(kind) = Kind::named(name) else {
                self.refuse(&format!("{place}.type"), "it is string, number, integer, boolean, array, object or null");
                return None;
            };
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        if kinds.is_empty() {
            self.refuse(&format!("{place}.type"), "it names no type");
            return None;
        }
        Some(Some(kinds))
    }

    fn values(&mut self, keyword: &str, given: &Map<String, Value>, kinds: Option<&[Kind]>, place: &str) -> Node {
        let is_beside = |other: &&str| {
            !PARTS.contains(other) && *other != "type" && *other != keyword && given.contains_key(*other)
        };
        let beside = constraints().filter(is_beside).find(|other| *other != "format" || given[*other] != "enum");
        if let Some(beside) = beside {
            return self.refuse(&format!("{place}.{beside}"), format!("it stands beside {keyword}"));
        }
        let at = format!("{place}.{keyword}");
        let values = match (&given[keyword], keyword) {
            (value, "const") => vec![value.clone()],
            (Value::Array(values), _) => values.clone(),
            _ => return self.refuse(&at, "it is a list of values"),
        };
        let fits = |value: &Value| kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind.has(value)));
        let values: Vec<Value> = values.into_iter().filter(fits).collect();
        if values.is_empty() {
            return self.refuse(&at, "it has no value of the type");
        }
        Node::Constants(values)
    }

    fn of_kind(&mut self, kind: Kind, given: &Map<String, Value>, place: &str, depth: u32) -> Node {
        match kind {
            Kind::Null => Node::Null,
            Kind::Boolean => Node::Boolean,
            Kind::Integer | Kind::Number => self.number(kind, given, place),
            Kind::String => self.string(given, place),
            Kind::Array => self.list(given, place, depth),
            Kind::Object => self.object(given, place, depth),
        }
    }

    fn number(&mut self, kind: Kind, given: &Map<String, Value>, place: &str) -> Node {
        let mut range = Range::default();
        for keyword in OF_NUMBERS {
            let Some(value) = given.get(keyword) else { continue };
            let Some(at) = value.as_number().and_then(Decimal::of) else {
                return self.refuse(&format!("{place}.{keyword}"), "it is a number of at most 18 digits");
            };
            let bound = Bound { at, is_exclusive: keyword.starts_with("exclusive") };
            if keyword.ends_with("inimum") {
                range.raise(bound)
            } else {
                range.lower(bound)
            }
            if kind == Kind::Number && !range.is_countable() {
                return self.refuse(&format!("{place}.{keyword}"), "the bounds have too many digits together");
            }
        }
        if kind == Kind::Integer && given.get("format").is_some_and(|format| format == "int32") {
            range.raise(Bound { at: Decimal::whole(i32::MIN.into()), is_exclusive: false });
            range.lower(Bound { at: Decimal::whole(i32::MAX.into()), is_exclusive: false });
        }
        let whole = range.whole();
        let node = match kind {
            Kind::Integer => whole.map(Node::Integer),
            _ => range.gbnf().map(|_| Node::Number(range)),
        };
        node.unwrap_or_else(|| self.refuse(place, "no number is between its bounds"))
    }

    fn string(&mut self, given: &Map<String, Value>, place: &str) -> Node {
        let mut spelled = None;
        for (keyword, gbnf) in [("pattern", pattern::gbnf as fn(&str) -> Option<String>), ("format", format::gbnf)] {
            let Some(value) = given.get(keyword).filter(|value| keyword != "format" || **value != "enum") else {
                continue;
            };
            let at = format!("{place}.{keyword}");
            let Some(gbnf) = value.as_str().and_then(gbnf) else {
                return self.refuse(&at, format!("this {keyword} cannot be followed"));
            };
            if spelled.replace(gbnf).is_some() {
                return self.refuse(&at, "it stands beside pattern");
            }
        }
        let (min, max) = self.counts(given, ["minLength", "maxLength"], place);
        match spelled {
            Some(_) if min > 0 || max.is_some() => {
                let length = if min > 0 { "minLength" } else { "maxLength" };
                self.refuse(&format!("{place}.{length}"), "it stands beside pattern or format")
            }
            Some(spelled) => Node::Spelled(spelled),
            None => Node::Text { length_min: min, length_max: max },
        }
    }

    fn list(&mut self, given: &Map<String, Value>, place: &str, depth: u32) -> Node {
        let (min, max) = self.counts(given, ["minItems", "maxItems"], place);
        let (first, first_name) = match (given.get("prefixItems"), given.get("items")) {
            (Some(first), _) => (Some(first), "prefixItems"),
            (None, first @ Some(Value::Array(_))) => (first, "items"),
            _ => (None, ""),
        };
        let Some(first) = first.map_or(Some(&[][..]), |first| first.as_array().map(Vec::as_slice)) else {
            return self.refuse(&format!("{place}.prefixItems"), "it is a list of schemas");
        };
        let count = max.map_or(first.len(), |max| first.len().min(max as usize));
        let each = first.iter().take(count).enumerate();
        let first: Vec<Index> =
            each.map(|(number, each)| self.put(each, &format!("{place}.{first_name}[{number}]"), depth)).collect();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let then_min = min.saturating_sub(count);
        let then = match given.get("items").filter(|_| first_name != "items") {
            Some(Value::Bool(false)) => None,
            Some(items) => Some(self.put(items, &format!("{place}.items"), depth)),
            None if first.is_empty() || then_min > 0 => Some(self.put(&Value::Bool(true), place, depth)),
            None => None,
        };
        if then.is_none() && then_min > 0 {
            return self.refuse(&format!("{place}.minItems"), "there is nothing to fill the list with");
        }
        Node::List(List { first, then, then_min, then_max: max.map(|max| max - count) })
    }

    fn object(&mut self, given: &Map<String, Value>, place: &str, depth: u32) -> Node {
        let (min, max) = self.counts(given, ["minProperties", "maxProperties"], place);
        let empty = Map::new();
        let properties = match given.get("properties") {
            None => &empty,
            Some(Value::Object(properties)) => properties,
            Some(_) => return self.refuse(&format!("{place}.properties"), "it is an object of schemas"),
        };
        let required = match given.get("required") {
            None => &[][..],
            Some(Value::Array(required)) => required.as_slice(),
            Some(_) => return self.refuse(&format!("{place}.required"), "it is a list of names"),
        };
        for (number, name) in required.iter().enumerate() {
            if !name.as_str().is_some_and(|name| properties.contains_key(name)) {
                self.refuse(&format!("{place}.required[{number}]"), "no such property is declared");
            }
        }
        let additional = given.get("additionalProperties").unwrap_or(&Value::Bool(true));
        let is_closed = *additional == Value::Bool(false) || given.contains_key("properties");
        if properties.is_empty() && !is_closed {
            if min > 1 {
                return self.refuse(
                    &format!("{place}.minProperties"),
                    "of undeclared properties, at most one can be demanded",
                );
            }
            let value = self.put(additional, &format!("{place}.additionalProperties"), depth);
            return Node::Map { value, count_min: min, count_max: max };
        }
        let mut fields = Vec::with_capacity(properties.len());
        for name in in_order(properties, given.get("propertyOrdering")) {
            let short: String = name.chars().take(64).collect();
            let value = self.put(&properties[name], &format!("{place}.properties[{short}]"), depth);
            fields.push(Field {
                name: name.clone(),
                value,
                is_required: required.iter().any(|required| required == name),
            });
        }
        self.between(fields, min, max, place)
    }

    /// Makes sure of the count: what may be there must be, or may not.
    fn between(&mut self, mut fields: Vec<Field>, min: u32, max: Option<u32>, place: &str) -> Node {
        let required = fields.iter().filter(|field| field.is_required).count();
        if fields.len() < min as usize {
            return self.refuse(&format!("{place}.minProperties"), "fewer properties are declared");
        }
        if max.is_some_and(|max| required > max as usize) {
            return self.refuse(&format!("{place}.maxProperties"), "more properties are required");
        }
        let missing = (min as usize).saturating_sub(required);
        let mut surplus = max.map_or(0, |max| fields.len().saturating_sub(max as usize));
        for field in fields.iter_mut().filter(|field| !field.is_required).take(missing) {
            field.is_required = true;
        }
        while let Some(last) = fields.iter().rposition(|field| !field.is_required).filter(|_| surplus > 0) {
            fields.remove(last);
            surplus -= 1;
        }
        Node::Object(fields)
    }

    /// The least and the most of something.
    fn counts(&mut self, given: &Map<String, Value>, names: [&str; 2], place: &str) -> (u32, Option<u32>) {
        let [min, max] = names.map(|name| {
            let value = given.get(name)?;
            let count = value.as_u64().or_else(|| {
                value.as_f64().filter(|count| count.fract() == 0.0 && *count >= 0.0).map(|count| count as u64)
            });
            if count.is_none() {
                self.refuse(&format!("{place}.{name}"), "it is a whole number from 0");
            }
            count.map(|count| u32::try_from(count).unwrap_or(u32::MAX))
        });
        let [of_min, of_max] = names.map(|name| format!("{place}.{name}"));
        let min = min.unwrap_or(0);
        if min > COUNT_MAX {
            self.refuse(&of_min, format!("at most {COUNT_MAX} can be demanded"));
        }
        if max.is_some_and(|max| max < min) {
            self.refuse(&of_max, format!("it is below {}", names[0]));
            return (0, None);
        }
        (min, max)
    }
}

impl Kind {
    fn named(name: &Value) -> Option<Self> {
        Some(match name.as_str()? {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "string" => Self::String,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }

    fn has(self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::Boolean => value.is_boolean(),
            Self::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Self::Number => value.is_number(),
            Self::String => value.is_string(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

/// The names in `type`, which is one or a list of them.
fn one_or_more(types: &Value) -> &[Value] {
    types.as_array().map_or(std::slice::from_ref(types), Vec::as_slice)
}

/// All keywords that say something of values.
fn constraints() -> impl Iterator<Item = &'static str> {
    [&PARTS[..], &VALUES, &["type"], &OF_STRINGS, &OF_NUMBERS, &OF_LISTS, &OF_OBJECTS].concat().into_iter()
}

/// Whether a keyword that cannot be followed says anything at all here.
fn says_something(keyword: &str, value: &Value, given: &Map<String, Value>) -> bool {
    match keyword {
        "uniqueItems" => *value != Value::Bool(false),
        "multipleOf" => value.as_f64() != Some(1.0) || given.get("type") != Some(&Value::from("integer")),
        _ => true,
    }
}

/// The kinds that a schema without a type speaks of. Values of other kinds would fit as well, but nobody means them.
fn inferred(given: &Map<String, Value>) -> Option<Vec<Kind>> {
    let speaks_of = |keywords: &[&str]| keywords.iter().any(|keyword| given.contains_key(*keyword));
    let kinds = [
        (Kind::Object, speaks_of(&OF_OBJECTS)),
        (Kind::Array, speaks_of(&OF_LISTS)),
        (Kind::String, speaks_of(&OF_STRINGS)),
        (Kind::Number, speaks_of(&OF_NUMBERS)),
    ];
    let kinds: Vec<Kind> = kinds.into_iter().filter(|(_, speaks)| *speaks).map(|(kind, _)| kind).collect();
    (!kinds.is_empty()).then_some(kinds)
}

/// The names of properties: those that have an order in it, then the others.
fn in_order<'schema>(properties: &'schema Map<String, Value>, ordering: Option<&Value>) -> Vec<&'schema String> {
    let ordering = ordering.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut names: Vec<&String> = properties.keys().collect();
    names.sort_by_key(|name| ordering.iter().position(|ordered| ordered == *name).unwrap_or(usize::MAX));
    names
}
