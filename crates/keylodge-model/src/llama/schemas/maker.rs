//! Random schemas, in Google's words and in those of JSON Schema.

use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::words::{FORMATS, NAMES, PATTERNS, PLANTED};

pub(super) struct Made {
    /// As a caller gives it.
    pub(super) schema: Value,
    pub(super) is_googles: bool,
    pub(super) kinds: Vec<&'static str>,
    /// The keyword for which it must be refused.
    pub(super) planted: Option<&'static str>,
}

pub(super) struct Maker {
    dice: Dice,
    is_googles: bool,
    kinds: Vec<&'static str>,
    definitions: Map<String, Value>,
    planted: Option<&'static str>,
    is_planting: bool,
}

impl Maker {
    pub(super) fn new(case: u64) -> Self {
        let mut dice = Dice::new(case.wrapping_mul(0x5851_F42D_4C95_7F2D));
        let is_googles = dice.one_in(2);
        // What Google's words do not have cannot be planted in them.
        let is_planting = !is_googles && dice.one_in(10);
        Self { dice, is_googles, kinds: Vec::new(), definitions: Map::new(), planted: None, is_planting }
    }

    pub(super) fn schema(mut self) -> Made {
        let kind = if self.is_googles { "googles" } else { "json schema" };
        self.kinds.push(kind);
        let mut schema = if self.dice.one_in(6) { self.of_any_kind(0) } else { self.object(0) };
        if self.is_planting {
            let (planted, place) = *self.dice.of(&PLANTED);
            let planted: Value = serde_json::from_str(planted).expect("JSON");
            schema = json!({"type": "array", "items": {"anyOf": [schema, planted]}});
            self.planted = Some(place);
        }
        if !self.definitions.is_empty() {
            let name = if self.is_googles && self.dice.one_in(2) { "defs" } else { "$defs" };
            let mut text = schema.to_string();
            let mut definitions = Value::Object(std::mem::take(&mut self.definitions)).to_string();
            if name == "defs" {
                text = text.replace("#/$defs/", "#/defs/");
                definitions = definitions.replace("#/$defs/", "#/defs/");
            }
            schema = serde_json::from_str(&text).expect("JSON");
            schema[name] = serde_json::from_str(&definitions).expect("JSON");
        }
        Made { schema, is_googles: self.is_googles, kinds: self.kinds, planted: self.planted }
    }

    fn is(&mut self, kind: &'static str) {
        self.kinds.push(kind);
    }

    fn flip(&mut self) -> bool {
        self.dice.one_in(2)
    }

    fn small(&mut self) -> u64 {
        self.dice.below(4)
    }

    /// A keyword as the dialect has it: Google's is taken in two spellings.
    fn word(&mut self, camel: &str) -> String {
        if !(self.is_googles && self.dice.one_in(3)) {
            return camel.to_owned();
        }
        camel
            .chars()
            .flat_map(
                |letter| {
                    if letter.is_ascii_uppercase() { vec!['_', letter.to_ascii_lowercase()] } else { vec![letter] }
                },
            )
            .collect()
    }

    /// A count, which Google also takes as a string.
    fn count(&mut self, schema: &mut Value, word: &str, count: u64) {
        let as_text = self.is_googles && self.dice.one_in(3);
        let word = self.word(word);
        schema[word] = if as_text { count.to_string().into() } else { count.into() };
    }

    fn typed(&mut self, name: &str) -> Value {
        let is_upper = self.is_googles && !self.dice.one_in(4);
        json!({"type": if is_upper { name.to_ascii_uppercase() } else { name.to_owned() }})
    }

    fn of_any_kind(&mut self, depth: u32) -> Value {
        let deeper = if depth < 3 { 15 } else { 9 };
        let schema = match self.dice.below(deeper) {
            0 | 1 => self.string(),
            2 => self.spelled(),
            3 => self.integer(),
            4 => self.number(),
            5 => self.values(),
            6 => self.plain(),
            7 => self.of_json_schema(depth),
            8 => self.reference(depth),
            9 | 10 => self.object(depth + 1),
            11 => self.list(depth + 1),
            12 => self.parts(depth + 1),
            13 => self.map(depth + 1),
            _ => self.list(depth + 1),
        };
        self.decorated(schema)
    }

    fn decorated(&mut self, mut schema: Value) -> Value {
        if !schema.is_object() {
            return schema;
        }
        let is_reference = schema.get("$ref").or_else(|| schema.get("ref")).is_some();
        if self.dice.one_in(8) {
            self.is("described");
            schema["description"] = "Words, \"quoted\", for people.".into();
        }
        if self.is_googles && self.dice.one_in(8) && !is_reference {
            self.is("nullable");
            schema["nullable"] = true.into();
        }
        schema
    }

    fn plain(&mut self) -> Value {
        match self.dice.below(3) {
            0 => {
                self.is("null");
                self.typed("null")
            }
            1 => {
                self.is("any");
                json!({})
            }
            _ => {
                self.is("boolean");
                self.typed("boolean")
            }
        }
    }

    fn string(&mut self) -> Value {
        let mut schema = self.typed("string");
        let (has_min, has_max) = (self.flip(), self.flip());
        let min = self.small();
        if has_min {
            self.is("min length");
            self.count(&mut schema, "minLength", min);
        }
        if has_max {
            self.is("max length");
            let max = min + if self.dice.one_in(8) { 5000 } else { self.small() };
            self.count(&mut schema, "maxLength", max);
        }
        if !has_min && !has_max {
            self.is("string");
        }
        schema
    }

    fn spelled(&mut self) -> Value {
        let mut schema = self.typed("string");
        if self.flip() {
            self.is("pattern");
            schema["pattern"] = (*self.dice.of(&PATTERNS)).into();
            return schema;
        }
        let format = *self.dice.of(&FORMATS);
        self.is(match format {
            "date" => "date",
            "date-time" => "date-time",
            _ => "format",
        });
        schema["format"] = format.into();
        schema
    }

    fn integer(&mut self) -> Value {
        let mut schema = self.typed("integer");
        let size = *self.dice.of(&[3, 12, 150, 10_000, 4_000_000_000]);
        let from = i64::try_from(self.dice.below(2 * size)).expect("small") - i64::try_from(size).expect("small");
        let to = from + i64::try_from(self.dice.below(size)).expect("small");
        match self.dice.below(6) {
            0 => self.is("integer"),
            1 => {
                self.is("integer from");
                schema["minimum"] = from.into();
            }
            2 => {
                self.is("integer to");
                schema["maximum"] = to.into();
            }
            3 if !self.is_googles => {
                self.is("integer beyond");
                schema["exclusiveMinimum"] = json!(from as f64 - 0.5);
                schema["exclusiveMaximum"] = (to + 1).into();
            }
            4 => {
                self.is("int32");
                schema["format"] = "int32".into();
            }
            _ => {
                self.is("integer between");
                schema["minimum"] = json!(from as f64);
                schema["maximum"] = to.into();
            }
        }
        schema
    }

    fn number(&mut self) -> Value {
        let mut schema = self.typed("number");
        let unit = *self.dice.of(&[1.0, 10.0, 100.0, 1000.0]);
        let from = (self.dice.below(4000) as f64 - 2000.0) / unit;
        let to = from + self.dice.below(3000) as f64 / unit;
        match self.dice.below(5) {
            0 => self.is("number"),
            1 => {
                self.is("number from");
                schema["minimum"] = json!(from);
            }
            2 => {
                self.is("number to");
                schema["maximum"] = json!(to);
            }
            3 if !self.is_googles => {
                self.is("number exclusive");
                schema["exclusiveMinimum"] = json!(from);
                schema["exclusiveMaximum"] = json!(to + 1.0);
            }
            _ => {
                self.is("number between");
                schema["minimum"] = json!(from);
                schema["maximum"] = json!(to);
            }
        }
        schema
    }

    fn values(&mut self) -> Value {
        if !self.is_googles && self.flip() {
            self.is("const");
            return json!({"const": self.dice.of(&[json!("ü\n\"🎒"), json!(-1.5e30), json!({"a": [null, true]}), json!(7)])});
        }
        self.is("enum");
        let mut schema = self.typed("string");
        schema["enum"] = json!(["red", "grün", "\"quoted\"", "back\\slash", ""]);
        if self.is_googles && self.flip() {
            schema["format"] = "enum".into();
        }
        if !self.is_googles && self.flip() {
            schema = json!({"enum": [1, 2.5, null, "three", [4]]});
        }
        schema
    }

    /// What Google's words have nothing for.
    fn of_json_schema(&mut self, depth: u32) -> Value {
        if self.is_googles {
            return self.integer();
        }
        match self.dice.below(4) {
            0 => {
                self.is("type list");
                json!({"type": ["string", "null", "integer"], "maxLength": 3, "minimum": -5})
            }
            1 if depth < 3 => {
                self.is("all of");
                json!({"allOf": [self.of_any_kind(depth + 1)]})
            }
            2 if depth < 3 => {
                self.is("tuple");
                let first = json!([self.of_any_kind(depth + 1), self.of_any_kind(depth + 1)]);
                let mut tuple = json!({"type": "array", "prefixItems": first});
                match self.dice.below(4) {
                    0 => tuple["items"] = false.into(),
                    1 => tuple["minItems"] = 4.into(),
                    2 => tuple["maxItems"] = 1.into(),
                    _ => (tuple["items"], tuple["maxItems"]) = (json!({"type": "null"}), 3.into()),
                }
                tuple
            }
            _ => {
                self.is("any");
                Value::Bool(true)
            }
        }
    }

    fn list(&mut self, depth: u32) -> Value {
        self.is(if depth > 1 { "nested array" } else { "array" });
        let mut schema = self.typed("array");
        let items = self.of_any_kind(depth);
        let min = self.small();
        if !self.dice.one_in(8) {
            schema["items"] = items;
        }
        if self.flip() {
            self.is("min items");
            self.count(&mut schema, "minItems", min);
        }
        if self.flip() {
            self.is("max items");
            let more = self.small();
            self.count(&mut schema, "maxItems", min + more);
        }
        schema
    }

    fn parts(&mut self, depth: u32) -> Value {
        let count = 1 + self.small();
        let each: Vec<Value> = (0..count).map(|_| self.of_any_kind(depth)).collect();
        if !self.is_googles && self.flip() {
            self.is("one of");
            return json!({"oneOf": each});
        }
        self.is("any of");
        let word = self.word("anyOf");
        json!({word: each})
    }

    fn map(&mut self, depth: u32) -> Value {
        self.is("map");
        let mut schema = self.typed("object");
        if !self.dice.one_in(4) {
            let word = self.word("additionalProperties");
            schema[word] = if self.dice.one_in(4) { true.into() } else { self.of_any_kind(depth) };
        }
        if self.flip() {
            self.is("map count");
            let min = self.dice.below(2);
            self.count(&mut schema, "minProperties", min);
            self.count(&mut schema, "maxProperties", min + 1);
        }
        schema
    }

    fn object(&mut self, depth: u32) -> Value {
        self.is(if depth > 0 { "nested object" } else { "object" });
        let mut schema = self.typed("object");
        let mut properties = Map::new();
        let mut required = Vec::new();
        for _ in 0..self.dice.below(6) {
            let name = *self.dice.of(&NAMES);
            if properties.contains_key(name) {
                continue;
            }
            if name.contains(['"', '\\', '\n']) {
                self.is("quoted name");
            } else if !name.is_ascii() {
                self.is("foreign name");
            }
            let property = self.of_any_kind(depth + 1);
            properties.insert(name.to_owned(), property);
            if self.flip() {
                self.is("required");
                required.push(name);
            } else {
                self.is("optional");
            }
        }
        if properties.is_empty() {
            self.is("no properties");
        }
        let (least, most) = (required.len(), properties.len());
        if self.dice.one_in(3) {
            self.is("ordering");
            let names: Vec<&String> = properties.keys().rev().collect();
            let word = if self.flip() { "propertyOrdering".to_owned() } else { self.word("propertyOrdering") };
            let word = if self.is_googles { word } else { "propertyOrdering".to_owned() };
            schema[word] = json!(names);
        }
        if self.dice.one_in(6) && most > 0 {
            self.is("properties count");
            let between = (least + most) / 2;
            self.count(&mut schema, "minProperties", between as u64);
            self.count(&mut schema, "maxProperties", between as u64);
        }
        if self.dice.one_in(4) {
            self.is("closed");
            let word = self.word("additionalProperties");
            schema[word] = if self.flip() { false.into() } else { json!({"type": "integer"}) };
        }
        schema["properties"] = Value::Object(properties);
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }

    /// A schema that stands elsewhere, and may hold itself.
    fn reference(&mut self, depth: u32) -> Value {
        let name = format!("d{} x", self.definitions.len());
        let pointer = format!("#/$defs/{}", name.replace(' ', if self.is_googles { " " } else { "%20" }));
        let word = if self.is_googles && self.dice.one_in(3) { "ref" } else { "$ref" };
        if depth < 3 && self.flip() {
            self.is("recursion");
            self.definitions.insert(name.clone(), Value::Null);
            let value = self.of_any_kind(depth + 1);
            let itself = json!({word: pointer});
            let form = match self.dice.below(3) {
                0 => json!({"type": "object", "properties": {"value": value, "next": itself}, "required": ["value"]}),
                1 => json!({"type": "array", "items": itself}),
                _ => {
                    json!({"anyOf": [value, {"type": "object", "properties": {"left": itself}, "required": ["left"]}]})
                }
            };
            self.definitions.insert(name, form);
            return json!({word: pointer});
        }
        self.is("reference");
        self.definitions.insert(name.clone(), Value::Null);
        let target = self.of_any_kind(depth + 1);
        self.definitions.insert(name, target);
        json!({word: pointer})
    }
}
