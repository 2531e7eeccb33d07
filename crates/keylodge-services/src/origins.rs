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

    /// Names the caller's places in the `error` of a body.
    pub(crate) fn name_in(&self, error: &mut Value) {
        let mut message = error["message"].as_str().unwrap_or_default().to_owned();
        let details = error.get_mut("details").and_then(Value::as_array_mut);
        let violations = details.into_iter().flatten().filter_map(|detail| detail.get_mut("fieldViolations"));
        for violation in violations.filter_map(Value::as_array_mut).flatten() {
            let text = |name: &str| violation[name].as_str().unwrap_or_default().to_owned();
            let (place, description) = (text("field"), text("description"));
            if place.is_empty() {
                continue;
            }
            let written = self.written(&place);
            // The two forms in which Google's sentences name a place.
            let said = description.replace(&format!("'{place}'"), &format!("'{written}'"));
            let said = said.replace(&format!("GenerateContentRequest.{place}"), &written);
            if !description.is_empty() {
                message = message.replacen(&description, &said, 1);
            }
            violation["field"] = written.into();
            violation["description"] = said.into();
        }
        if !message.is_empty() {
            error["message"] = message.into();
        }
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
    fn an_error_without_places_stays_as_it_is() {
        for mut error in [json!({"code": 404, "message": "gone"}), json!({}), json!({"details": "none"})] {
            let before = error.clone();
            Origins::default().name_in(&mut error);
            assert_eq!(error, before);
        }
    }
}
