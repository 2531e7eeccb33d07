//! Functions that a model may call, for models that only write text: it is told of them in its instructions, and calls one
//! by answering with JSON. Where a call is demanded, the engine can write nothing else than a call that fits its schema.

use keylodge_api::gemini::schema::to_json_schema;
use keylodge_api::gemini::{AnswerPart, FunctionCall, GenerateContentRequest};
use keylodge_model::Shape;
use serde_json::{Value, json};

use super::prompt::{Mistakes, shape};

/// How many functions one request declares at most.
const DECLARED_MAX: usize = 64;

/// What a request declares, and what may be called of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Functions {
    callable: Vec<Declared>,
    mode: Mode,
}

#[derive(Clone, Debug, PartialEq)]
struct Declared {
    name: String,
    description: String,
    /// JSON Schema of its arguments, for the model to read.
    parameters: Value,
    /// What they must be.
    args: Shape,
    /// The path of their schema.
    place: String,
}

/// Whether the model may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// It may, in its own words: what it writes counts as a call if it reads as one.
    Auto,
    /// It must.
    Any,
    /// It may, and if it does, the call fits.
    Validated,
}

/// What an answer came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answered {
    Part(AnswerPart),
    /// A call was demanded, and this is none.
    Malformed,
}

/// A field in either spelling.
fn field<'value>(value: &'value Value, camel: &str, snake: &str) -> Option<&'value Value> {
    value.get(camel).or_else(|| value.get(snake)).filter(|value| !value.is_null())
}

impl Functions {
    /// Reads tools and their settings; none where nothing may be called.
    pub(super) fn read(request: &GenerateContentRequest, mistakes: &mut Mistakes) -> Option<Self> {
        let config = request.tool_config.as_ref();
        let calling = config.and_then(|config| field(config, "functionCallingConfig", "function_calling_config"));
        let path = "tool_config.function_calling_config";
        let mode = match calling.and_then(|calling| calling.get("mode")).and_then(Value::as_str) {
            None | Some("AUTO" | "MODE_UNSPECIFIED") => Some(Mode::Auto),
            Some("ANY") => Some(Mode::Any),
            Some("VALIDATED") => Some(Mode::Validated),
            Some("NONE") => None,
            Some(_) => {
                mistakes.refuse(&format!("{path}.mode"), "it is AUTO, ANY, VALIDATED or NONE");
                None
            }
        };
        let mut declared = declared(request, mode, mistakes);
        let mode = mode?;
        let allowed = calling.and_then(|calling| field(calling, "allowedFunctionNames", "allowed_function_names"));
        if let Some(allowed) = allowed.and_then(Value::as_array).filter(|allowed| !allowed.is_empty()) {
            let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
            if mode == Mode::Auto {
                mistakes.refuse(
                    &format!("{path}.allowed_function_names"),
                    "only mode ANY and VALIDATED allow some functions",
                );
            }
            for name in &allowed {
                if !declared.iter().any(|declared| declared.name == *name) {
                    let why = format!("no function '{}' is declared", name.chars().take(64).collect::<String>());
                    mistakes.refuse(&format!("{path}.allowed_function_names"), &why);
                }
            }
            declared.retain(|declared| allowed.contains(&declared.name.as_str()));
        }
        if declared.is_empty() {
            if mode != Mode::Auto {
                mistakes.refuse(&format!("{path}.mode"), "no function is declared that could be called");
            }
            return None;
        }
        Some(Self { callable: declared, mode })
    }

    /// What the model is told.
    pub(super) fn instructions(&self) -> String {
        let listed = self.callable.iter().map(|declared| {
            let Declared { name, description, parameters, .. } = declared;
            json!({"name": name, "description": description, "parameters": parameters}).to_string()
        });
        let functions = listed.collect::<Vec<_>>().join("\n");
        let how = match self.mode {
            Mode::Auto => {
                "To call one, answer with nothing but JSON, as {\"name\": \"...\", \"args\": {...}}. Otherwise answer in words."
            }
            Mode::Any => "Answer with a call of one, as {\"name\": \"...\", \"args\": {...}}, and nothing else.",
            Mode::Validated => {
                "Answer with JSON: a call of one, as {\"name\": \"...\", \"args\": {...}}, or your words, as {\"text\": \"...\"}."
            }
        };
        format!("You can call these functions:\n{functions}\n{how}")
    }

    /// The shape of an answer, where it must be in JSON. The name comes before the arguments, as a model decides.
    pub(super) fn shape(&self) -> Option<Shape> {
        let call = |declared: &Declared| {
            let name = Shape::constant(declared.name.as_str().into());
            Shape::object([("name", name), ("args", declared.args.clone())])
        };
        let words = match self.mode {
            Mode::Auto => return None,
            Mode::Any => None,
            Mode::Validated => Some(Shape::object([("text", Shape::text())])),
        };
        Some(Shape::either(self.callable.iter().map(call).chain(words)))
    }

    /// The path of what says that shape.
    pub(super) fn place(&self) -> String {
        match &self.callable[..] {
            [only] => only.place.clone(),
            _ => "tools".to_owned(),
        }
    }

    /// Whether words cannot be told from a call before the answer is whole.
    pub(super) fn is_open(&self, begun: &str) -> bool {
        let begun = begun.trim_start();
        self.mode != Mode::Auto || begun.is_empty() || begun.starts_with('{')
    }

    /// What a whole answer is. `id` is for a call, so that its result finds its way back.
    pub(super) fn answered(&self, text: String, id: &str) -> Answered {
        let said = serde_json::from_str::<Value>(text.trim()).ok();
        if let Some(said) = &said {
            let (name, args) = (said["name"].as_str(), said["args"].as_object());
            let is_callable = |name: &str| self.callable.iter().any(|declared| declared.name == name);
            if let (Some(name), Some(args), Some(2)) = (name, args, said.as_object().map(serde_json::Map::len))
                && is_callable(name)
            {
                let (id, name, args) = (id.to_owned(), name.to_owned(), args.clone());
                return Answered::Part(AnswerPart::FunctionCall { function_call: FunctionCall { id, name, args } });
            }
        }
        match (self.mode, said.as_ref().and_then(|said| said["text"].as_str())) {
            (Mode::Auto, _) => Answered::Part(AnswerPart::Text { text }),
            (Mode::Validated, Some(words)) => Answered::Part(AnswerPart::Text { text: words.to_owned() }),
            (Mode::Any | Mode::Validated, _) => Answered::Malformed,
        }
    }
}

fn declared(request: &GenerateContentRequest, mode: Option<Mode>, mistakes: &mut Mistakes) -> Vec<Declared> {
    let tools = match &request.tools {
        None => return Vec::new(),
        Some(Value::Array(tools)) => tools.as_slice(),
        // As proto JSON takes a single one for a list of one.
        Some(tool) => std::slice::from_ref(tool),
    };
    let mut all: Vec<Declared> = Vec::new();
    for (at, tool) in tools.iter().enumerate() {
        let given = tool.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        for (name, value) in given {
            if name != "functionDeclarations" && name != "function_declarations" {
                let name: String = name.chars().take(64).collect();
                mistakes.refuse(&format!("tools[{at}].{name}"), "the model behind this name cannot use this tool");
                continue;
            }
            for (number, declaration) in value.as_array().into_iter().flatten().enumerate() {
                let path = format!("tools[{at}].function_declarations[{number}]");
                let Some(read) = declaration_of(declaration, mode, &path, mistakes) else { continue };
                if all.len() == DECLARED_MAX {
                    mistakes.refuse("tools", &format!("at most {DECLARED_MAX} functions can be declared here"));
                    return all;
                }
                if all.iter().any(|other| other.name == read.name) {
                    mistakes.refuse(&format!("{path}.name"), "two functions have this name");
                } else {
                    all.push(read);
                }
            }
        }
    }
    all
}

fn declaration_of(declaration: &Value, mode: Option<Mode>, path: &str, mistakes: &mut Mistakes) -> Option<Declared> {
    let name = declaration["name"].as_str().filter(|name| is_name(name));
    if name.is_none() {
        let why =
            "a function's name begins with a letter or '_' and has letters, digits, '_', '.', ':' and '-', at most 128";
        mistakes.refuse(&format!("{path}.name"), why);
    }
    let json = field(declaration, "parametersJsonSchema", "parameters_json_schema");
    let of_google = declaration.get("parameters").filter(|schema| !schema.is_null());
    let (at, parameters) = match (of_google, json) {
        (Some(_), Some(_)) => {
            mistakes.refuse(&format!("{path}.parameters_json_schema"), "give either it or parameters");
            return None;
        }
        (Some(schema), None) => ("parameters", to_json_schema(schema)),
        (None, Some(schema)) => ("parameters_json_schema", schema.clone()),
        (None, None) => ("parameters", json!({"type": "object"})),
    };
    let at = format!("{path}.{at}");
    // Where calls are the model's own words, their arguments are held to nothing.
    let is_held = matches!(mode, Some(Mode::Any | Mode::Validated));
    let held_to = if is_held || !parameters.is_object() { &parameters } else { &json!({"type": "object"}) };
    let args = shape(held_to, &at, mistakes)?.objects();
    if args.is_none() {
        mistakes.refuse(&at, "the arguments of a function are an object");
    }
    let description = declaration["description"].as_str().unwrap_or_default().to_owned();
    Some(Declared { name: name?.to_owned(), description, parameters, args: args?, place: at })
}

fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    begins && name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tools: Value, config: Value) -> (Option<Functions>, Vec<String>) {
        let request = GenerateContentRequest { tools: Some(tools), tool_config: Some(config), ..Default::default() };
        let mut mistakes = Mistakes::default();
        let functions = Functions::read(&request, &mut mistakes);
        (
            functions,
            mistakes.none().err().map(|status| status.message.lines().map(str::to_owned).collect()).unwrap_or_default(),
        )
    }

    fn weather() -> Value {
        json!([{"functionDeclarations": [
            {"name": "weather", "description": "Tells it.", "parameters": {"type": "OBJECT",
                "properties": {"city": {"type": "STRING"}}, "required": ["city"]}},
            {"name": "time"}]}])
    }

    fn mode(mode: &str) -> Value {
        json!({"functionCallingConfig": {"mode": mode}})
    }

    fn functions(named: &str) -> Functions {
        read(weather(), mode(named)).0.unwrap()
    }

    fn call(name: &str, args: Value) -> Answered {
        let Value::Object(args) = args else { unreachable!() };
        let function_call = FunctionCall { id: "id".to_owned(), name: name.to_owned(), args };
        Answered::Part(AnswerPart::FunctionCall { function_call })
    }

    fn words(text: &str) -> Answered {
        Answered::Part(AnswerPart::Text { text: text.to_owned() })
    }

    #[test]
    fn where_a_call_is_demanded_the_answer_has_the_shape_of_one() {
        let of = |schema: Value| Shape::of_json_schema(&schema).unwrap();
        let call = |name: &str, args: Value| {
            let name = Shape::constant(name.into());
            Shape::object([("name", name), ("args", of(args).objects().unwrap())])
        };
        let city = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        let calls = || [call("weather", city.clone()), call("time", json!({"type": "object"}))];
        assert_eq!(functions("ANY").shape(), Some(Shape::either(calls())));
        let only = json!({"function_calling_config": {"mode": "ANY", "allowed_function_names": ["weather"]}});
        let [weather_call, _] = calls();
        let only = read(weather(), only).0.unwrap();
        assert_eq!(only.shape(), Some(Shape::either([weather_call])));
        assert_eq!(only.place(), "tools[0].function_declarations[0].parameters");
        assert_eq!(functions("AUTO").shape(), None);
        let words = Shape::object([("text", Shape::text())]);
        assert_eq!(functions("VALIDATED").shape(), Some(Shape::either(calls().into_iter().chain([words]))));
    }

    #[test]
    fn arguments_that_are_held_to_nothing_may_have_any_schema() {
        let odd = json!({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": true}}});
        let tools = json!([{"functionDeclarations": [{"name": "a", "parametersJsonSchema": odd}]}]);
        let (functions, mistakes) = read(tools, mode("AUTO"));
        assert!(functions.unwrap().instructions().contains("uniqueItems") && mistakes.is_empty(), "{mistakes:?}");
    }

    #[test]
    fn arguments_that_refer_to_their_own_schema_are_followed() {
        let node = json!({"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}});
        let schema = json!({"$ref": "#/$defs/node", "$defs": {"node": node}});
        let tools = json!([{"functionDeclarations": [{"name": "a"}, {"name": "b", "parametersJsonSchema": schema}]}]);
        let functions = read(tools, mode("ANY")).0.unwrap();
        assert_eq!(functions.place(), "tools");
        let shape = functions.shape().unwrap();
        assert!(shape.grammar().unwrap().gbnf().contains("next"));
    }

    #[test]
    fn an_answer_that_reads_as_a_call_is_one() {
        let text = r#" {"name": "weather", "args": {"city": "Paris"}}"#;
        for named in ["AUTO", "ANY", "VALIDATED"] {
            let answered = functions(named).answered(text.to_owned(), "id");
            assert_eq!(answered, call("weather", json!({"city": "Paris"})), "{named}");
        }
        for other in [
            r#"{"name": "rain", "args": {}}"#,
            r#"{"name": "time"}"#,
            r#"{"name": "time", "args": {}, "x": 1}"#,
            "It rains.",
        ] {
            assert_eq!(functions("AUTO").answered(other.to_owned(), "id"), words(other));
            assert_eq!(functions("ANY").answered(other.to_owned(), "id"), Answered::Malformed);
        }
        assert_eq!(functions("VALIDATED").answered(r#"{"text": "It rains."}"#.to_owned(), "id"), words("It rains."));
    }

    #[test]
    fn words_are_told_as_they_come_once_they_cannot_be_a_call() {
        let auto = functions("AUTO");
        assert!(auto.is_open("") && auto.is_open(" \n") && auto.is_open(" {\"na"));
        assert!(!auto.is_open("It") && !auto.is_open("  It {"));
        assert!(functions("ANY").is_open("It"));
    }

    #[test]
    fn the_model_is_told_what_it_can_call() {
        let told = functions("AUTO").instructions();
        assert!(told.contains("\"weather\"") && told.contains("Tells it.") && told.contains("\"city\""), "{told}");
    }

    #[test]
    fn without_anything_to_call_there_are_no_functions() {
        for (tools, config) in [(json!([]), json!({})), (weather(), mode("NONE")), (json!([{}]), mode("AUTO"))] {
            assert_eq!(read(tools.clone(), config), (None, Vec::new()), "{tools}");
        }
    }

    #[test]
    fn what_cannot_be_called_is_refused_where_it_stands() {
        let one = |declaration: Value| json!([{"functionDeclarations": [declaration]}]);
        for (tools, config, path) in [
            (json!([{"googleSearch": {}}]), json!({}), "'tools[0].googleSearch'"),
            (one(json!({"name": "a b"})), json!({}), "'tools[0].function_declarations[0].name'"),
            (one(json!({"name": "a", "parameters": 7})), json!({}), "'tools[0].function_declarations[0].parameters'"),
            (json!([{"functionDeclarations": [{"name": "a"}, {"name": "a"}]}]), json!({}), "[1].name'"),
            (one(json!({"name": "a", "parameters": {"type": "STRING"}})), mode("ANY"), "[0].parameters'"),
            (
                one(
                    json!({"name": "a", "parameters": {"type": "OBJECT", "properties": {"b": {"type": "STRING", "format": "x"}}}}),
                ),
                mode("ANY"),
                "'tools[0].function_declarations[0].parameters.properties[b].format'",
            ),
            (
                one(json!({"name": "a", "parametersJsonSchema": {"type": "object", "minProperties": "x"}})),
                mode("VALIDATED"),
                "'tools[0].function_declarations[0].parameters_json_schema.minProperties'",
            ),
            (json!([]), mode("ANY"), "function_calling_config.mode'"),
            (weather(), mode("SOMETIMES"), "function_calling_config.mode'"),
            (weather(), json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["rain"]}}), "'rain'"),
        ] {
            let (_, said) = read(tools.clone(), config);
            assert!(said.iter().any(|line| line.contains(path)), "{tools}: {said:?}");
        }
    }
}
