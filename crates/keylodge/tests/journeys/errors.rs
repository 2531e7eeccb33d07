//! What a good key gets for a wrong request: Google's own errors, whole.

use serde_json::{Value, json};

use crate::support::http::{MODEL, Request, contents, generate, get, post, request};
use crate::support::server::{Server, scripted, with_script};

/// Makes a call with a good key and compares the whole error, which no gate decided.
#[track_caller]
fn check(server: &Server, call: Request, error: &Value) {
    check_in(server, call, error, &json!({"error": error}));
}

#[track_caller]
fn check_in(server: &Server, call: Request, error: &Value, envelope: &Value) {
    let answer = server.call(&call.key(&server.key()));

    assert_eq!(answer.json(), *envelope);
    assert_eq!(error["code"], answer.status);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=UTF-8"));
    assert_eq!(answer.header("x-keylodge-decision"), None);
    server.log_line("request.id", answer.header("x-request-id").expect("every answer names its request"));
}

/// INVALID_ARGUMENT that names fields; the message has a line for each.
fn bad_request(violations: &[(&str, &str)]) -> Value {
    let lines: Vec<&str> = violations.iter().map(|(_, description)| *description).collect();
    let violations: Vec<Value> = violations
        .iter()
        .map(|(field, description)| match *field {
            "" => json!({"description": description}),
            field => json!({"field": field, "description": description}),
        })
        .collect();
    json!({
        "code": 400, "status": "INVALID_ARGUMENT", "message": lines.join("\n"),
        "details": [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}],
    })
}

#[test]
fn an_unknown_model_is_404_in_the_words_of_each_version_and_method() {
    let server = scripted().up();

    for version in ["v1", "v1beta", "v1alpha"] {
        for (method, query, array) in [
            ("generateContent", "", false),
            ("streamGenerateContent", "?alt=sse", false),
            ("streamGenerateContent", "", true),
            ("countTokens", "", false),
        ] {
            let error = json!({
                "code": 404, "status": "NOT_FOUND",
                "message": format!("models/gemini-9 is not found for API version {version}, or is not supported for {method}. Call ListModels to see the list of available models and their supported methods."),
            });
            let envelope = if array { json!([{"error": error}]) } else { json!({"error": error}) };
            let path = format!("/{version}/models/gemini-9:{method}{query}");
            check_in(&server, post(path, &contents("Hello")), &error, &envelope);
        }
        let answer = server.call(&get(format!("/{version}/models/gemini-9")).key(&server.key()));
        assert_eq!((answer.status, &answer.json()["error"]["status"]), (404, &json!("NOT_FOUND")));
    }
}

#[test]
fn json_that_is_none_is_400_and_says_so() {
    let server = scripted().up();

    for (body, description) in [
        (
            r#"{"contents": [{"parts""#,
            "Invalid JSON payload received. Unexpected end of string. Expected a value: EOF while parsing an object at line 1 column 22.",
        ),
        ("contents", "Invalid JSON payload received. Expected a value: expected value at line 1 column 1."),
        ("[1]", r#"Invalid JSON payload received. Unknown name "": Root element must be a message."#),
    ] {
        check(&server, generate("").body(body), &bad_request(&[("", description)]));
    }
}

#[test]
fn unknown_fields_are_400_and_all_named_with_their_paths() {
    let server = scripted().up();

    check(
        &server,
        generate("").body(r#"{"foo": 1, "contents": [{"parts": [{"text": "Hello", "x": 2}]}]}"#),
        &bad_request(&[
            (
                "contents[0].parts[0]",
                r#"Invalid JSON payload received. Unknown name "x" at 'contents[0].parts[0]': Cannot find field."#,
            ),
            ("", r#"Invalid JSON payload received. Unknown name "foo": Cannot find field."#),
        ]),
    );
}

#[test]
fn a_value_of_the_wrong_type_is_400_with_its_path_type_and_value() {
    let server = scripted().up();

    check(
        &server,
        generate("").body(
            r#"{"contents": [{"parts": [{"text": 7}]}], "generation_config": {"temperature": "hot", "topK": 2.5}}"#,
        ),
        &bad_request(&[
            ("contents[0].parts[0].text", "Invalid value at 'contents[0].parts[0].text' (TYPE_STRING), 7"),
            (
                "generation_config.temperature",
                r#"Invalid value at 'generation_config.temperature' (TYPE_FLOAT), "hot""#,
            ),
            ("generation_config.top_k", "Invalid value at 'generation_config.top_k' (TYPE_INT32), 2.5"),
        ]),
    );
}

#[test]
fn empty_contents_are_400() {
    let server = scripted().up();
    let error = bad_request(&[("contents", "* GenerateContentRequest.contents: contents is not specified\n")]);

    for body in [r#"{"contents": []}"#, "{}", ""] {
        check(&server, generate("").body(body), &error);
        check(&server, post(format!("/v1/models/{MODEL}:countTokens"), &json!({})), &error);
    }
}

#[test]
fn a_role_that_is_none_is_400() {
    let server = scripted().up();

    check(
        &server,
        generate("").body(r#"{"contents": [{"role": "assistant", "parts": [{"text": "Hello"}]}]}"#),
        &bad_request(&[("contents[0].role", "Please use a valid role: user, model.")]),
    );
}

#[test]
fn what_is_not_served_is_refused_by_name_and_never_dropped() {
    let server = scripted().up();
    let refused = |field: &str, why: &str| (field.to_owned(), format!("Invalid value at '{field}': {why}."));

    for (body, (field, description)) in [
        (
            json!({"generationConfig": {"candidateCount": 2}}),
            refused("generation_config.candidate_count", "only one candidate can be generated"),
        ),
        (
            json!({"tools": [{"googleSearch": {}}]}),
            refused("tools[0].googleSearch", "the model behind this name cannot use this tool"),
        ),
        (json!({"cachedContent": "cachedContents/x"}), refused("cached_content", "cached contents are not served")),
    ] {
        let mut whole = contents("Hello");
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        check(&server, generate("").body(whole.to_string()), &bad_request(&[(&field, &description)]));
    }
}

#[test]
fn a_body_over_the_limit_is_400_with_the_limit() {
    let server = scripted().set("limits.body_bytes_max", "1024").up();

    check(
        &server,
        generate(&"long ".repeat(300)),
        &json!({
            "code": 400, "status": "INVALID_ARGUMENT", "message": "Request payload size exceeds the limit: 1024 bytes.",
        }),
    );
    server.call(&generate(&"long ".repeat(100)).key(&server.key())).good();
}

#[test]
fn an_unknown_path_is_404_in_json_and_a_doubled_version_is_explained() {
    let server = scripted().up();
    let not_found = |message: String| json!({"code": 404, "status": "NOT_FOUND", "message": message});

    check(&server, get("/nowhere"), &not_found("Nothing is served at /nowhere.".to_owned()));
    check(
        &server,
        post(format!("/v1beta/v1/models/{MODEL}:generateContent"), &contents("Hello")),
        &not_found(format!(
            "Nothing is served at /v1beta/v1/models/{MODEL}:generateContent. The version stands there twice: give clients the base URL without a version."
        )),
    );
    check(
        &server,
        post(format!("/v1/models/{MODEL}:nonsense"), &json!({})),
        &not_found(
            "There is no method ':nonsense' of models. Served are: generateContent, streamGenerateContent, countTokens."
                .to_owned(),
        ),
    );
    check(
        &server,
        request("GET", format!("/v1/models/{MODEL}:generateContent")),
        &not_found(format!(
            "GET is not served at /v1/models/{MODEL}:generateContent. Is it the other of GET and POST?"
        )),
    );
}

#[test]
fn two_slashes_in_front_are_one() {
    let server = scripted().up();

    server.call(&post(format!("//v1/models/{MODEL}:generateContent"), &contents("Hello")).key(&server.key())).good();
}

#[test]
fn the_key_is_checked_before_body_and_model() {
    let server = scripted().up();

    let answer = server.call(&post("/v1/models/gemini-9:generateContent", &json!("nonsense")).key("nonsense"));

    assert_eq!(answer.json()["error"]["details"][0]["reason"], "API_KEY_INVALID");
}

#[test]
fn a_fault_of_the_script_is_googles_error_of_that_code() {
    let server = with_script(
        r#"
        [[reply]]
        contains = "quota"
        status = 429
        [[reply]]
        contains = "busy"
        status = 503
        message = "Come back at five."
        "#,
    )
    .up();
    let retry = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}]);

    check(
        &server,
        generate("quota"),
        &json!({"code": 429, "status": "RESOURCE_EXHAUSTED", "details": retry,
                "message": "Resource has been exhausted (e.g. check quota)."}),
    );
    check(
        &server,
        generate("busy"),
        &json!({"code": 503, "status": "UNAVAILABLE", "details": retry, "message": "Come back at five."}),
    );
}
