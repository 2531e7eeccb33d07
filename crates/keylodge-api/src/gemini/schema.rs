//! `Schema`, Google's subset of OpenAPI, in the words of JSON Schema.

use serde_json::{Map, Value, json};

/// Says a schema in the words of JSON Schema: types in lower case, numbers that came as strings, `nullable` as a type.
/// `propertyOrdering` stays, as Google takes it in JSON Schema too, and so does what only describes: models read it. Other
/// words, and what is no schema, stay as they are, for whoever reads the result to follow or refuse.
#[must_use]
pub fn to_json_schema(schema: &Value) -> Value {
    let Some(given) = schema.as_object() else { return schema.clone() };
    let mut json = Map::new();
    for (name, value) in given.iter().filter(|(name, value)| !value.is_null() || *name == "const") {
        let Some((name, value)) = keyword(name, value) else { continue };
        json.insert(name.to_owned(), value);
    }
    if given.get("nullable").and_then(Value::as_bool).unwrap_or(false) {
        return or_null(json);
    }
    Value::Object(json)
}

fn keyword<'name>(name: &'name str, value: &Value) -> Option<(&'name str, Value)> {
    Some(match name {
        "type" if value == "TYPE_UNSPECIFIED" => return None,
        "type" => ("type", value.as_str().map_or_else(|| value.clone(), |name| name.to_ascii_lowercase().into())),
        "items" => ("items", to_json_schema(value)),
        "anyOf" | "any_of" => (
            "anyOf",
            match value {
                Value::Array(schemas) => schemas.iter().map(to_json_schema).collect(),
                _ => value.clone(),
            },
        ),
        "properties" => ("properties", each(value)),
        "defs" | "$defs" => ("$defs", each(value)),
        "ref" | "$ref" => ("$ref", reference(value)),
        "additionalProperties" | "additional_properties" => ("additionalProperties", to_json_schema(value)),
        // int64 in proto JSON, so strings now and then.
        "minItems" | "min_items" => ("minItems", whole(value)),
        "maxItems" | "max_items" => ("maxItems", whole(value)),
        "minLength" | "min_length" => ("minLength", whole(value)),
        "maxLength" | "max_length" => ("maxLength", whole(value)),
        "minProperties" | "min_properties" => ("minProperties", whole(value)),
        "maxProperties" | "max_properties" => ("maxProperties", whole(value)),
        "propertyOrdering" | "property_ordering" => ("propertyOrdering", value.clone()),
        "example" => ("examples", json!([value])),
        "nullable" => return None,
        _ => (name, value.clone()),
    })
}

fn each(schemas: &Value) -> Value {
    match schemas {
        Value::Object(schemas) => {
            Value::Object(schemas.iter().map(|(name, schema)| (name.clone(), to_json_schema(schema))).collect())
        }
        _ => schemas.clone(),
    }
}

/// `defs` is `$defs` here.
fn reference(pointer: &Value) -> Value {
    match pointer.as_str().and_then(|pointer| pointer.strip_prefix("#/defs/")) {
        Some(name) => format!("#/$defs/{name}").into(),
        None => pointer.clone(),
    }
}

fn whole(value: &Value) -> Value {
    value.as_str().and_then(|text| text.parse::<u64>().ok()).map_or_else(|| value.clone(), Value::from)
}

fn or_null(mut json: Map<String, Value>) -> Value {
    // Where the type is all that keeps null out, it says so itself: not everybody who shows it to a model reads on.
    let is_plain = !["$ref", "anyOf", "oneOf", "allOf", "const"].iter().any(|word| json.contains_key(*word));
    if let Some(kind @ Value::String(_)) = json.get_mut("type").filter(|_| is_plain) {
        *kind = json!([kind, "null"]);
        if let Some(Value::Array(values)) = json.get_mut("enum").filter(|values| !has_null(values)) {
            values.push(Value::Null);
        }
        return json.into();
    }
    // Definitions stay where references look for them.
    let defs = json.remove("$defs").map(|defs| ("$defs".to_owned(), defs));
    let either = json!([json, {"type": "null"}]);
    Value::Object(defs.into_iter().chain([("anyOf".to_owned(), either)]).collect())
}

fn has_null(values: &Value) -> bool {
    values.as_array().is_some_and(|values| values.contains(&Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &Value, expected: &Value) {
        assert_eq!(&to_json_schema(schema), expected, "{schema}");
    }

    #[test]
    fn a_schema_of_googles_reads_as_json_schema() {
        check(
            &json!({"type": "OBJECT", "propertyOrdering": ["name"], "description": "a person", "min_properties": 1,
                "properties": {"name": {"type": "STRING", "format": "date", "example": "x"}, "description": {},
                    "tags": {"type": "ARRAY", "max_items": "3", "items": {"type": "STRING", "maxLength": "9"}}},
                "required": ["name"]}),
            &json!({"type": "object", "propertyOrdering": ["name"], "description": "a person", "minProperties": 1,
                "properties": {"name": {"type": "string", "format": "date", "examples": ["x"]}, "description": {},
                    "tags": {"type": "array", "maxItems": 3, "items": {"type": "string", "maxLength": 9}}},
                "required": ["name"]}),
        );
    }

    #[test]
    fn what_may_be_null_says_so() {
        check(
            &json!({"type": "STRING", "nullable": true, "enum": ["a"]}),
            &json!({"type": ["string", "null"], "enum": ["a", null]}),
        );
        check(
            &json!({"anyOf": [{"type": "STRING", "nullable": true}], "nullable": true}),
            &json!({"anyOf": [{"anyOf": [{"type": ["string", "null"]}]}, {"type": "null"}]}),
        );
        check(
            &json!({"ref": "#/defs/a", "nullable": true, "defs": {"a": {"type": "STRING"}}}),
            &json!({"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}], "$defs": {"a": {"type": "string"}}}),
        );
    }

    #[test]
    fn words_that_google_does_not_have_stay() {
        let schema =
            json!({"exclusiveMinimum": 1, "oneOf": [{"type": "string"}], "not": {}, "multipleOf": 5, "const": null});
        check(&schema, &schema);
        check(
            &json!({"type": "TYPE_UNSPECIFIED", "title": "a", "default": 5, "nullable": false, "minimum": null}),
            &json!({"title": "a", "default": 5}),
        );
    }

    #[test]
    fn what_is_no_schema_stays_what_it_is() {
        for odd in [json!(5), json!({"minItems": "many", "items": "STRING", "properties": [], "anyOf": {}})] {
            check(&odd, &odd);
        }
    }
}
