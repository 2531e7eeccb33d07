//! Function declarations and what may be done with them.

use keylodge_api::gemini::schema::to_json_schema;
use serde_json::{Value, json};

use super::call::{Call, Function, FunctionCalling};
use super::mistakes::Mistakes;

/// What the model may call.
#[derive(Default)]
pub(super) struct Tools {
    /// As `tools` lists them.
    pub(super) tools: Vec<Value>,
    /// As `tool_choice` says it.
    pub(super) choice: Option<Value>,
}

/// The tools of a call. Where only some functions are allowed, the others are not shown: that is all that servers
/// understand alike.
pub(super) fn tools(call: &Call, mistakes: &mut Mistakes) -> Tools {
    let mut functions: Vec<(&str, Value)> = Vec::new();
    for (at, tool) in call.tools.iter().enumerate() {
        for field in &tool.refused {
            mistakes.refuse(&format!("tools[{at}].{field}"), "the model behind this name has functions only");
        }
        for (index, function) in tool.functions.iter().enumerate() {
            let path = format!("tools[{at}].function_declarations[{index}]");
            functions.push((&function.name, declaration(function, &path, mistakes)));
        }
    }
    let mut choice = None;
    if let Some(config) = &call.tool_config {
        for field in &config.refused {
            mistakes.refuse(&format!("tool_config.{field}"), "the model behind this name has functions only");
        }
        if let Some(calling) = &config.calling {
            choice = choose(calling, &mut functions, mistakes);
        }
    }
    Tools { tools: functions.into_iter().map(|(_, declaration)| declaration).collect(), choice }
}

fn declaration(function: &Function, path: &str, mistakes: &mut Mistakes) -> Value {
    if function.name.is_empty() {
        mistakes.refuse(&format!("{path}.name"), "the name is missing");
    }
    if function.behavior.as_deref().is_some_and(|behavior| behavior == "NON_BLOCKING") {
        mistakes.refuse(&format!("{path}.behavior"), "the model behind this name waits for its functions");
    }
    let parameters = one_schema(
        [("parameters", &function.parameters), ("parameters_json_schema", &function.parameters_json_schema)],
        path,
        mistakes,
    );
    let response = one_schema(
        [("response", &function.response), ("response_json_schema", &function.response_json_schema)],
        path,
        mistakes,
    );
    let mut description = function.description.clone().unwrap_or_default();
    // There is no field for it, and a model reads words as well.
    if let Some(response) = response {
        description.push_str(&format!("\nReturns JSON of this schema: {response}"));
    }
    let mut declared = json!({"name": function.name});
    if !description.is_empty() {
        declared["description"] = description.trim_start().into();
    }
    // Some servers insist on parameters even where there are none.
    declared["parameters"] = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    json!({"type": "function", "function": declared})
}

/// The schema that is given as Google's or as JSON Schema, but not as both.
fn one_schema(given: [(&str, &Option<Value>); 2], path: &str, mistakes: &mut Mistakes) -> Option<Value> {
    let [(of_google, schema), (of_json, json_schema)] = given;
    match (schema, json_schema) {
        (None, None) => None,
        (Some(schema), None) => {
            if !schema.is_object() {
                mistakes.refuse(&format!("{path}.{of_google}"), "it is no schema");
            }
            Some(to_json_schema(schema))
        }
        (None, Some(schema)) => Some(schema.clone()),
        (Some(_), Some(_)) => {
            mistakes.refuse(&format!("{path}.{of_json}"), &format!("give either it or {of_google}"));
            None
        }
    }
}

fn choose(calling: &FunctionCalling, functions: &mut Vec<(&str, Value)>, mistakes: &mut Mistakes) -> Option<Value> {
    const PATH: &str = "tool_config.function_calling_config";
    for field in &calling.refused {
        mistakes.refuse(&format!("{PATH}.{field}"), "calls of functions are answered whole");
    }
    if !calling.allowed.is_empty() && calling.mode != Some("ANY") {
        mistakes.refuse(&format!("{PATH}.allowed_function_names"), "it needs the mode ANY");
    }
    match calling.mode {
        Some("NONE") => (!functions.is_empty()).then(|| "none".into()),
        Some("ANY") => {
            for (at, name) in calling.allowed.iter().enumerate() {
                if !functions.iter().any(|(declared, _)| declared == name) {
                    mistakes.refuse(
                        &format!("{PATH}.allowed_function_names[{at}]"),
                        "no function of this name is declared",
                    );
                }
            }
            if functions.is_empty() {
                mistakes.refuse(&format!("{PATH}.mode"), "ANY needs functions that can be called");
            }
            if calling.allowed.is_empty() {
                return Some("required".into());
            }
            functions.retain(|(declared, _)| calling.allowed.iter().any(|name| name == declared));
            match &calling.allowed[..] {
                [only] => Some(json!({"type": "function", "function": {"name": only}})),
                _ => Some("required".into()),
            }
        }
        Some("VALIDATED") => {
            mistakes.refuse(&format!("{PATH}.mode"), "served are AUTO, ANY and NONE");
            None
        }
        _ => (!functions.is_empty()).then(|| "auto".into()),
    }
}
