//! Where a caller wrote what was said to the Gemini surface in its own words, so that an error names the caller's place.

use serde_json::Value;

/// Places of a request in Gemini's words, each with the place that it came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Origins(Vec<Origin>);

#[derive(Clone, Debug, PartialEq)]
struct Origin {
    place: String,
    written: String,
    is_same_inside: bool,
}

impl Origins {
    /// What stands at `place` was made of what was written at `written`; places inside of it mean nothing to the caller.
    pub(crate) fn made_of(&mut self, place: impl Into<String>, written: impl Into<String>) {
        self.0.push(Origin { place: place.into(), written: written.into(), is_same_inside: false });
    }

    /// What was written at `written` stands at `place` as it is, as a schema does.
    pub(crate) fn moved(&mut self, place: impl Into<String>, written: impl Into<String>) {
        self.0.push(Origin { place: place.into(), written: written.into(), is_same_inside: true });
    }

    pub(crate) fn extend(&mut self, others: &Self) {
        self.0.extend_from_slice(&others.0);
    }

    /// Where the caller wrote what stands at `place`; `place` itself where the names are the same.
    fn written(&self, place: &str) -> String {
        let inside = |origin: &Origin| {
            let rest = place.strip_prefix(origin.place.as_str())?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then(|| rest.to_owned())
        };
        let found = self.0.iter().filter_map(|origin| Some((origin, inside(origin)?)));
        match found.max_by_key(|(origin, _)| origin.place.len()) {
            None => place.to_owned(),
            Some((origin, rest)) if origin.is_same_inside => format!("{}{rest}", origin.written),
            Some((origin, _)) => origin.written.clone(),
        }
    }

    /// Names the caller's places in the `error` of a body. What one of them led to in several places is said once.
    pub(crate) fn name_in(&self, error: &mut Value) {
        let mut message = error["message"].as_str().unwrap_or_default().to_owned();
        let details = error.get_mut("details").and_then(Value::as_array_mut);
        for violations in details.into_iter().flatten().filter_map(|detail| detail.get_mut("fieldViolations")) {
            let Value::Array(each) = violations.take() else { continue };
            let mut named: Vec<Value> = Vec::with_capacity(each.len());
            for mut violation in each {
                let before = violation["description"].as_str().unwrap_or_default().to_owned();
                self.name_in_violation(&mut violation);
                let said = violation["description"].as_str().unwrap_or_default();
                if named.contains(&violation) {
                    message = message.replacen(&format!("\n{before}"), "", 1);
                } else {
                    message = message.replacen(&before, said, usize::from(!before.is_empty()));
                    named.push(violation);
                }
            }
            *violations = named.into();
        }
        if !message.is_empty() {
            error["message"] = message.into();
        }
    }

    fn name_in_violation(&self, violation: &mut Value) {
        let text = |name: &str| violation[name].as_str().unwrap_or_default().to_owned();
        let (place, description) = (text("field"), text("description"));
        if place.is_empty() {
            return;
        }
        let written = self.written(&place);
        // Google's sentences name a place in one of two forms, one of them behind the name of Google's own message.
        let said = match description.split_once(place.as_str()) {
            Some((before, after)) if before.starts_with("* ") => format!("* {written}{after}"),
            Some((before, after)) => format!("{before}{written}{after}"),
            None => description,
        };
        violation["field"] = written.into();
        violation["description"] = said.into();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_caller_s_place_is_named() {
        let mut origins = Origins::default();
        origins.made_of("contents[1].parts[0]", "messages[2].content[0]");
        origins.made_of("contents[1]", "messages[2]");
        origins.moved("generation_config.response_json_schema", "response_format.json_schema.schema");

        for (place, written) in [
            ("contents[1].parts[0].inline_data", "messages[2].content[0]"),
            ("contents[1].role", "messages[2]"),
            ("contents[10]", "contents[10]"),
            ("generation_config.response_json_schema.items", "response_format.json_schema.schema.items"),
            ("generation_config.response_json_schema_of_others", "generation_config.response_json_schema_of_others"),
            ("generation_config.seed", "generation_config.seed"),
        ] {
            assert_eq!(origins.written(place), written);
        }
    }

    #[test]
    fn an_error_names_it_in_its_sentences_and_in_its_details() {
        let mut origins = Origins::default();
        origins.made_of("generation_config.candidate_count", "n");
        origins.made_of("generation_config.temperature", "temperature");
        let violation = |field: &str, description: &str| json!({"field": field, "description": description});
        let error = |violations: [Value; 2]| {
            let message: Vec<&str> = violations.iter().filter_map(|each| each["description"].as_str()).collect();
            json!({"code": 400, "message": message.join("\n"), "details": [{"reason": "X"}, {"fieldViolations": violations}]})
        };
        let mut said = error([
            violation("generation_config.candidate_count", "Invalid value at 'generation_config.candidate_count': no."),
            violation("generation_config.temperature", "* GenerateContentRequest.generation_config.temperature: no."),
        ]);

        origins.name_in(&mut said);

        assert_eq!(
            said,
            error([violation("n", "Invalid value at 'n': no."), violation("temperature", "* temperature: no.")])
        );
    }

    #[test]
    fn what_one_place_led_to_in_several_is_said_once() {
        let mut origins = Origins::default();
        (0..3).for_each(|at| origins.made_of(format!("requests[{at}].size"), "size"));
        let violation = |place: &str| json!({"field": place, "description": format!("'{place}' is too large")});
        let places = ["requests[0].size", "requests[1].size", "requests[2].size"];
        let message = places.map(|place| format!("'{place}' is too large")).join("\n");
        let mut said = json!({"message": message, "details": [{"fieldViolations": places.map(violation)}]});

        origins.name_in(&mut said);

        assert_eq!(
            said,
            json!({"message": "'size' is too large", "details": [{"fieldViolations": [violation("size")]}]})
        );
    }

    #[test]
    fn an_error_without_places_stays_as_it_is() {
        for mut error in [json!({"code": 404, "message": "gone"}), json!({}), json!({"details": "none"})] {
            let before = error.clone();
            Origins::default().name_in(&mut error);
            assert_eq!(error, before);
        }
    }
}
