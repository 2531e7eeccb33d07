use serde_json::json;

use super::*;

fn gbnf(schema: &Value) -> String {
    let shape = Shape::of_json_schema(schema).unwrap_or_else(|mistakes| panic!("{schema}: {mistakes:?}"));
    shape.grammar().unwrap_or_else(|mistake| panic!("{schema}: {mistake:?}")).0
}

/// The rule that says exactly this is there.
#[track_caller]
fn check_rule(schema: &Value, rule: &str) {
    let gbnf = gbnf(schema);
    assert!(
        gbnf.lines().any(|line| line.split_once(" ::= ").is_some_and(|(_, said)| said == rule)),
        "{rule} in\n{gbnf}"
    );
}

#[track_caller]
fn check_refused(schema: &Value, place: &str, why: &str) {
    let shape = Shape::of_json_schema(schema);
    let mistakes = shape.and_then(|shape| shape.grammar().map_err(|mistake| vec![mistake])).expect_err("a mistake");
    let found = mistakes.iter().any(|mistake| mistake.place == place && mistake.why.contains(why));
    assert!(found, "{schema}: {place}, {why}: {mistakes:?}");
}

#[test]
fn names_come_in_the_order_that_is_asked_for() {
    let order = |gbnf: String| -> Vec<usize> {
        ["\\\"c\\\"", "\\\"a\\\"", "\\\"b\\\""].map(|name| gbnf.find(name).unwrap()).to_vec()
    };
    // Rules are written from the last name to the first.
    let found = order(gbnf(
        &json!({"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "propertyOrdering": ["c", "a"]}),
    ));
    assert!(found[0] > found[1] && found[1] > found[2], "{found:?}");
}

#[test]
fn references_that_follow_each_other_without_a_measure_are_refused() {
    let name = |at: usize| format!("p{at:04}");
    let each = |at: usize| match at.checked_sub(1) {
        None => (name(at), json!({"type": "array"})),
        Some(before) => {
            let target = format!("#/properties/{}", name(before));
            (name(at), json!({"type": "array", "items": {"$ref": target}}))
        }
    };
    let of = |levels: usize| json!({"type": "object", "properties": (0..levels).map(each).collect::<serde_json::Map<_, _>>()});
    gbnf(&of(100));
    check_refused(&of(600), "", "deeper than 300 levels");
}

#[test]
fn names_and_values_of_callers_are_only_ever_literals() {
    check_rule(&json!({"enum": ["a\"\n\\", "ü"]}), r#""\"a\\\"\\n\\\\\"" | "\"ü\"""#);
    check_rule(
        &json!({"type": "object", "properties": {"root": {"type": "null"}}, "required": ["root"]}),
        r#""\"root\"" space ":" space r0"#,
    );
}

#[test]
fn numbers_end_where_every_reader_still_reads_them() {
    let number = r#""-"? ("0" | [1-9] [0-9]{0,14}) ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?"#;
    check_rule(&json!({"type": "number"}), number);
    check_rule(&json!({"type": "integer", "minimum": 3, "maximum": 12.9}), r#"[3-9] | "1" [0-2]"#);
    check_rule(&json!({"type": "number", "minimum": 0, "maximum": 1}), r#"[0-1] | "0" "." [0-9]{1,12}"#);
}

#[test]
fn a_type_beside_parts_is_theirs() {
    for part in [json!(true), json!({})] {
        assert_eq!(gbnf(&json!({"type": "string", "anyOf": [part]})), gbnf(&json!({"anyOf": [{"type": "string"}]})));
    }
}

#[test]
fn what_allows_more_than_can_be_said_is_narrowed() {
    // Lengths end where llama.cpp stops counting, and a count of properties decides which are there.
    check_rule(&json!({"type": "string", "maxLength": 100_000}), "char{0,2000}");
    let counted =
        json!({"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}}, "maxProperties": 1});
    assert!(!gbnf(&counted).contains("\\\"b\\\""));
}

#[test]
fn what_holds_itself_ends_somewhere() {
    let tree = json!({"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}});
    assert!(gbnf(&tree).lines().count() < 100);
    let endless = json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]});
    check_refused(&endless, "", "without end");
}

#[test]
fn a_circle_of_references_is_followed_however_long_it_is() {
    let circle = |last: Value| {
        let place = |number: usize| json!({"$ref": format!("#/$defs/a{number}")});
        let next = |number: usize| if number < 11 { place(number + 1) } else { last.clone() };
        let object =
            |number: usize| json!({"type": "object", "properties": {"next": next(number)}, "required": ["next"]});
        let defs: serde_json::Map<String, Value> =
            (0..12).map(|number| (format!("a{number}"), object(number))).collect();
        json!({"$ref": "#/$defs/a0", "$defs": defs})
    };
    let again = json!({"$ref": "#/$defs/a0"});

    assert!(gbnf(&circle(json!({"anyOf": [{"type": "null"}, again]}))).contains("\"null\""));
    assert!(gbnf(&circle(json!({"type": "array", "items": again}))).contains("\"[\" space \"]\""));
    check_refused(&circle(json!({"type": "array", "items": again, "minItems": 1})), "", "without end");
    check_refused(&circle(again), "", "without end");
    check_refused(&json!({"$ref": "#"}), "", "without end");
}

#[test]
fn references_that_lead_in_no_circle_are_no_hops() {
    let tree = json!({"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}, "right": {}}});
    let mut defs = json!({"tree": tree, "b10": {"$ref": "#/$defs/tree"}});
    for number in 0..10 {
        defs[format!("b{number}")] = json!({"$ref": format!("#/$defs/b{}", number + 1)});
    }
    let lefts = |root: &str| gbnf(&json!({"$ref": root, "$defs": defs})).matches("left").count();

    assert_eq!(lefts("#/$defs/b0"), lefts("#/$defs/tree"));
    assert_eq!(lefts("#/$defs/tree"), 7);
}

#[test]
fn what_cannot_be_followed_is_named_with_its_place() {
    let inside = |schema: Value| json!({"type": "object", "properties": {"a": {"type": "array", "items": schema}}});
    for (schema, place, why) in [
        (inside(json!({"uniqueItems": true})), ".properties[a].items.uniqueItems", "cannot be followed"),
        (inside(json!({"type": "colour"})), ".properties[a].items.type", "boolean"),
        (json!("string"), "", "no schema"),
        (json!(false), "", "no value"),
        (json!({"type": "object", "required": ["a"]}), ".required[0]", "declared"),
        (json!({"type": "integer", "minimum": 5, "maximum": 4}), "", "between"),
        (json!({"type": "integer", "minimum": 4.1, "maximum": 4.9}), "", "between"),
        (json!({"type": "number", "minimum": 1e300}), ".minimum", "digits"),
        (
            json!({"type": "number", "exclusiveMinimum": 1e-18, "maximum": 200_000_000_000_000_000_u64}),
            ".exclusiveMinimum",
            "too many digits together",
        ),
        (json!({"type": "string", "pattern": "^a$", "minLength": 4}), ".minLength", "beside"),
        (json!({"type": "string", "pattern": "(a)\\1"}), ".pattern", "cannot be followed"),
        (json!({"type": "string", "format": "iri"}), ".format", "cannot be followed"),
        (json!({"anyOf": [{"type": "string"}], "properties": {}}), ".properties", "beside anyOf"),
        (json!({"type": "object", "anyOf": [{"type": "string"}]}), ".type", "anyOf[0]"),
        (json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "colour"}}}), ".$defs.a.type", "boolean"),
        (json!({"$ref": "elsewhere#/a"}), ".$ref", "points to nothing"),
        (json!({"$ref": "#/a", "type": "string"}), ".type", "beside $ref"),
        (json!({"type": "object", "properties": {"a": {}}, "minProperties": 2}), ".minProperties", "fewer"),
    ] {
        check_refused(&schema, place, why);
    }
    let deep = (0..40).fold(json!({"type": "string"}), |inner, _| json!({"type": "array", "items": inner}));
    let mistakes = Shape::of_json_schema(&deep).expect_err("too deep");
    assert!(mistakes[0].why.contains("too deep"), "{mistakes:?}");
}

#[test]
fn a_pattern_that_matches_the_same_in_too_many_ways_is_refused() {
    let many = format!("^({}){{0,30}}$", vec!["[a-z]"; 60].join("|"));
    let within = format!("^(({})x?)*$", vec!["[a-z]"; 60].join("|"));
    let in_a_row = format!("^{}$", "[a-z]?".repeat(300));
    let nested = "^(((((a+)+)+)+)+)+$";
    let refused = ["^([a-z]?){0,400}$", "^(a|)+$", "^(a|[a-c])*$", r"^(\w|\d)+$", nested, &many, &within, &in_a_row];
    for pattern in refused {
        check_refused(&json!({"type": "string", "pattern": pattern}), ".pattern", "cannot be followed");
    }
    let followed = [
        r"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$",
        r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$",
        r"^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$",
        r"^(([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])\.)*([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])$",
        r"^(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?$",
        r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        r"^\+?(\d{1,3}[ -]?)?\(?\d{3}\)?[ -]?\d{3}[ -]?\d{4}$",
        r"^(\w+\s?)+$",
        r#"^("[^"]*"|[^"])*$"#,
        r"^(.|\n)*$",
        "^(January|June|July|March|May)$",
        "^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$",
        "^[a-z0-9]+(?:-[a-z0-9]+)*$",
    ];
    for pattern in followed {
        gbnf(&json!({"type": "string", "pattern": pattern}));
    }
}

#[test]
fn a_grammar_has_a_bound() {
    let names: serde_json::Map<String, Value> =
        (0..200).map(|name| (name.to_string(), json!({"type": "string", "maxLength": 1000 + name}))).collect();
    check_refused(&json!({"type": "object", "properties": names}), "", "too many");
    // Twice the same is said once; twice what only looks the same is walked through twice by llama.cpp.
    assert!(gbnf(&diamond(40)).len() < 10_000);
    let mut schema = diamond(40);
    for number in 1..=40 {
        let differs = json!({"type": "object", "properties": {number.to_string(): {}}});
        schema["$defs"][format!("b{number}")] =
            json!({"anyOf": [schema["$defs"][format!("a{number}")]["anyOf"][0], differs]});
        let [a, b] = ["a", "b"].map(|of| json!({"$ref": format!("#/$defs/{of}{}", number - 1)}));
        schema["$defs"][format!("a{number}")]["anyOf"] = json!([a, if number > 1 { b } else { differs }]);
    }
    check_refused(&schema, "", "too many");
}

#[test]
fn a_schema_has_a_bound() {
    let many = |count: usize| json!({"anyOf": vec![json!({}); count]});
    assert!(Shape::of_json_schema(&many(4000)).is_ok());
    let mistakes = Shape::of_json_schema(&many(4100)).expect_err("a mistake");
    assert_eq!(mistakes, [ShapeMistake { place: String::new(), why: "it is too large".to_owned() }]);
}

#[test]
fn however_a_reference_is_spelled_what_it_names_is_read_once() {
    let spelled = ["~~/", "~0~/", "~~0/", "~0~0~1", "%7E~0~1"];
    let each = spelled.map(|name| json!({"$ref": format!("#/$defs/{}", name.replace('/', "~1"))}));
    let shape = Shape::of_json_schema(&json!({"anyOf": each, "$defs": {"~~/": {"type": "null"}}})).unwrap();
    // The root, what is named, and the references.
    assert_eq!(shape.nodes.len(), 2 + spelled.len());
}

#[test]
fn several_mistakes_are_told_together() {
    let schema = json!({"type": "object", "properties": {"a": {"not": {}}, "b": {"type": "string", "format": "x"}}});
    assert_eq!(Shape::of_json_schema(&schema).expect_err("mistakes").len(), 2);
}

#[test]
fn only_objects_are_left_of_a_shape() {
    let objects = |schema: Value| Shape::of_json_schema(&schema).unwrap().objects();
    assert_eq!(objects(json!({"type": "string"})), None);
    assert_eq!(objects(json!({})), Some(Shape::any_object()));
    let either =
        objects(json!({"anyOf": [{"type": "string"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "object"}}}));
    assert!(either.unwrap().grammar().is_ok());
    assert_eq!(objects(json!({"$ref": "#"})), None);
    assert_eq!(objects(json!({"anyOf": [{"$ref": "#"}]})), None);
    assert!(objects(diamond(40)).is_some());
}

/// Schemas that are each what the one before is, said in two ways.
fn diamond(count: usize) -> Value {
    let mut defs = json!({"a0": {"type": "object", "properties": {}}});
    for number in 1..=count {
        let before = format!("#/$defs/a{}", number - 1);
        defs[format!("a{number}")] = json!({"anyOf": [{"$ref": before}, {"$ref": before}]});
    }
    // The first ones first, so that none is found deep down.
    let names: serde_json::Map<String, Value> =
        (0..=count).map(|number| (format!("p{number:03}"), json!({"$ref": format!("#/$defs/a{number}")}))).collect();
    let last = json!({"$ref": format!("#/$defs/a{count}")});
    json!({"anyOf": [{"type": "object", "properties": names}, last], "$defs": defs})
}
