//! Holds a value against a schema as a caller gave it, in Google's words or in those of JSON Schema. `oneOf` is `anyOf`
//! here, as it is for Google.

use serde_json::{Map, Value};

/// Why the value is not what the schema allows.
pub(super) fn check(schema: &Value, value: &Value) -> Result<(), String> {
    Validator { document: schema }.check(schema, value)
}

struct Validator<'doc> {
    document: &'doc Value,
}

/// A keyword in any of its spellings.
fn word<'schema>(schema: &'schema Map<String, Value>, camel: &str) -> Option<&'schema Value> {
    let snake = camel.chars().flat_map(|letter| match letter.is_ascii_uppercase() {
        true => vec!['_', letter.to_ascii_lowercase()],
        false => vec![letter],
    });
    let snake: String = snake.collect();
    [camel, &snake, camel.trim_start_matches('$')].iter().find_map(|name| schema.get(*name))
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

impl Validator<'_> {
    fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let Value::Object(schema) = schema else { return Ok(()) };
        if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
            return Ok(());
        }
        if let Some(reference) = word(schema, "$ref").and_then(Value::as_str) {
            let pointer = reference.trim_start_matches('#').replace("%20", " ");
            let target = self.document.pointer(&pointer).ok_or("a reference to nothing")?;
            return self.check(target, value);
        }
        for part in ["anyOf", "oneOf"] {
            let Some(schemas) = word(schema, part).and_then(Value::as_array) else { continue };
            let each: Vec<String> = schemas.iter().filter_map(|schema| self.check(schema, value).err()).collect();
            ensure(each.len() < schemas.len(), || format!("none of {part}: {each:?}"))?;
        }
        for schema in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.check(schema, value)?;
        }
        if let Some(types) = schema.get("type") {
            let types = types.as_array().map_or(std::slice::from_ref(types), Vec::as_slice);
            let has = |name: &Value| name.as_str().is_some_and(|name| has_type(&name.to_ascii_lowercase(), value));
            ensure(types.iter().any(has), || format!("{value} is no {types:?}"))?;
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            ensure(values.contains(value), || format!("{value} is none of {values:?}"))?;
        }
        if let Some(only) = schema.get("const") {
            ensure(only == value, || format!("{value} is not {only}"))?;
        }
        match value {
            Value::Number(_) => check_number(schema, number(value).unwrap_or(f64::NAN)),
            Value::String(text) => check_text(schema, text),
            Value::Array(items) => self.check_list(schema, items),
            Value::Object(fields) => self.check_object(schema, fields),
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    fn check_list(&self, schema: &Map<String, Value>, items: &[Value]) -> Result<(), String> {
        check_count(schema, "Items", items.len())?;
        let first = schema.get("prefixItems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (at, item) in items.iter().enumerate() {
            match (first.get(at), schema.get("items")) {
                (Some(schema), _) | (None, Some(schema)) if *schema != Value::Bool(false) => {
                    self.check(schema, item)?
                }
                (_, None) => {}
                _ => return Err(format!("{item} is one too many")),
            }
        }
        Ok(())
    }

    fn check_object(&self, schema: &Map<String, Value>, fields: &Map<String, Value>) -> Result<(), String> {
        check_count(schema, "Properties", fields.len())?;
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            ensure(name.as_str().is_some_and(|name| fields.contains_key(name)), || format!("{name} is missing"))?;
        }
        for (name, value) in fields {
            let declared = schema.get("properties").and_then(|properties| properties.get(name));
            match (declared, word(schema, "additionalProperties")) {
                (Some(schema), _) => self.check(schema, value).map_err(|why| format!("{name}: {why}"))?,
                (None, Some(Value::Bool(false))) => return Err(format!("{name} is not declared")),
                (None, Some(schema)) => self.check(schema, value).map_err(|why| format!("{name}: {why}"))?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn check_count(schema: &Map<String, Value>, of: &str, count: usize) -> Result<(), String> {
    let bound = |which: &str| word(schema, &format!("{which}{of}")).and_then(number);
    let count = count as f64;
    ensure(bound("min").is_none_or(|min| count >= min), || format!("{count} {of} are too few"))?;
    ensure(bound("max").is_none_or(|max| count <= max), || format!("{count} {of} are too many"))
}

fn check_number(schema: &Map<String, Value>, value: f64) -> Result<(), String> {
    let bound = |name: &str| schema.get(name).and_then(number);
    let is_int32 = schema.get("format").is_some_and(|format| format == "int32");
    let holds = bound("minimum").is_none_or(|min| value >= min)
        && bound("maximum").is_none_or(|max| value <= max)
        && bound("exclusiveMinimum").is_none_or(|min| value > min)
        && bound("exclusiveMaximum").is_none_or(|max| value < max)
        && (!is_int32 || (value >= f64::from(i32::MIN) && value <= f64::from(i32::MAX)));
    ensure(holds, || format!("{value} is beyond the bounds"))
}

fn check_text(schema: &Map<String, Value>, text: &str) -> Result<(), String> {
    check_count(schema, "Length", text.chars().count())?;
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        let pattern = regex::Regex::new(pattern).map_err(|error| error.to_string())?;
        ensure(pattern.is_match(text), || format!("{text:?} does not match {pattern}"))?;
    }
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    ensure(has_format(format, text), || format!("{text:?} is no {format}"))
}

fn has_format(format: &str, text: &str) -> bool {
    let matches = |pattern: &str| regex::Regex::new(pattern).expect("a pattern").is_match(text);
    match format {
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "time" => text.len() >= 9 && format!("2000-01-01T{text}").parse::<jiff::Timestamp>().is_ok(),
        "date-time" => text.len() >= 20 && text.parse::<jiff::Timestamp>().is_ok(),
        "duration" => text.starts_with('P') && text.parse::<jiff::Span>().is_ok(),
        "uuid" => matches("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "hostname" => {
            matches(r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$") && text.len() < 254
        }
        "email" => text
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && !name.contains('@') && has_format("hostname", host)),
        "uri" => matches(r"^https?://[^/\s]+(/[-._~a-zA-Z0-9]*)*$"),
        _ => true,
    }
}
