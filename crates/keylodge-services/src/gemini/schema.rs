//! `responseSchema` (Google's subset of OpenAPI) as the JSON Schema that engines follow.

use serde_json::{Map, Value, json};

/// The deepest schema that is taken. The grammar behind it is made by a parser that is not ours.
const DEPTH_MAX: usize = 16;
/// The largest schema that is taken, in bytes of JSON.
pub(super) const BYTES_MAX: usize = 16 * 1024;

/// Turns a schema into JSON Schema; `None` if it is too deep or no schema.
pub(super) fn to_json_schema(schema: &Value) -> Option<Value> {
    convert(schema, DEPTH_MAX)
}

fn convert(schema: &Value, depth: usize) -> Option<Value> {
    let given = schema.as_object().filter(|_| depth > 0)?;
    let mut json = Map::new();
    for (name, value) in given {
        let name = camel(name);
        let value = match name.as_str() {
            "type" => Value::String(value.as_str()?.to_ascii_lowercase()),
            "items" => convert(value, depth - 1)?,
            "anyOf" => value.as_array()?.iter().map(|each| convert(each, depth - 1)).collect::<Option<Value>>()?,
            "properties" => {
                let each = value.as_object()?.iter();
                Value::Object(
                    each.map(|(key, each)| Some((key.clone(), convert(each, depth - 1)?))).collect::<Option<_>>()?,
                )
            }
            // int64 in proto JSON, so a string now and then.
            "minItems" | "maxItems" | "minLength" | "maxLength" => match value.as_str() {
                Some(text) => json!(text.parse::<u64>().ok()?),
                None => value.clone(),
            },
            "enum" | "required" | "minimum" | "maximum" | "pattern" | "additionalProperties" => value.clone(),
            // Words for people and for other models; a grammar has no use for them.
            _ => continue,
        };
        json.insert(name, value);
    }
    let nullable = given.get("nullable").and_then(Value::as_bool).unwrap_or(false);
    let json = Value::Object(json);
    Some(if nullable { json!({"anyOf": [json, {"type": "null"}]}) } else { json })
}

fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            _ if upper => {
                camel.push(letter.to_ascii_uppercase());
                upper = false;
            }
            _ => camel.push(letter),
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_of_googles_reads_as_json_schema() {
        let schema = json!({
            "type": "OBJECT", "propertyOrdering": ["name"], "description": "a person",
            "properties": {"name": {"type": "STRING"}, "age": {"type": "INTEGER", "nullable": true},
                           "tags": {"type": "ARRAY", "max_items": "3", "items": {"type": "STRING"}}},
            "required": ["name"]
        });

        assert_eq!(
            to_json_schema(&schema).unwrap(),
            json!({
                "type": "object",
                "properties": {"name": {"type": "string"}, "age": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                               "tags": {"type": "array", "maxItems": 3, "items": {"type": "string"}}},
                "required": ["name"]
            })
        );
    }

    #[test]
    fn a_schema_without_end_is_not_taken() {
        let deep = (0..40).fold(json!({"type": "STRING"}), |inner, _| json!({"type": "ARRAY", "items": inner}));

        assert_eq!(to_json_schema(&deep), None);
    }
}
