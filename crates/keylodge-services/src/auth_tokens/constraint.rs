//! What a token fixes of the sessions that it begins.

use std::sync::Arc;

use keylodge_api::gemini::{Setup, SetupMask};
use serde_json::{Map, Value, json};

use super::crossing;
use super::path::{RESUMPTION, find, put, reach};

/// Fixed fields of a setup. Without a mask all of them are fixed, those that are not set at their defaults; with one, those
/// it names are, and the caller chooses the rest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Constraint {
    setup: Map<String, Value>,
    mask: Option<SetupMask>,
}

impl Constraint {
    /// What a token fixes, if it fixes anything.
    pub(crate) fn new(setup: Option<Setup>, mask: Option<SetupMask>) -> Option<Self> {
        match (setup, mask) {
            (None, None) => None,
            (setup, mask) => Some(Self { setup: setup.unwrap_or_default().0, mask }),
        }
    }

    /// The only model that the token is for, without `models/`, if it is for one. A setup without a model leaves the model
    /// to the caller: there is no default.
    pub(crate) fn model(&self) -> Option<Arc<str>> {
        let is_fixed = self.mask.as_ref().is_none_or(SetupMask::names_model);
        let model = self.setup.get("model").and_then(Value::as_str).filter(|_| is_fixed)?;
        Some(model.strip_prefix("models/").unwrap_or(model).into())
    }

    /// The first field in which a client asks for something else than is fixed, if there is one.
    pub(crate) fn crossed(&self, asked: &Map<String, Value>) -> Option<String> {
        match &self.mask {
            Some(mask) => crossing::of_paths(asked, &self.setup, mask.paths()),
            None => crossing::of_whole(asked, &self.setup),
        }
    }

    /// The setup that a session gets whose client asked for this one, which crosses nothing: what is fixed goes in, and what
    /// the client may not choose goes.
    pub(crate) fn apply(&self, asked: Map<String, Value>) -> Map<String, Value> {
        let resumed = asked.get(RESUMPTION).cloned();
        let mut setup = match &self.mask {
            None => self.fixed(&asked),
            Some(mask) => {
                let mut setup = asked;
                for path in mask.paths() {
                    let path = reach(path, [&setup, &self.setup]);
                    put(&mut setup, path, find(&self.setup, path));
                }
                setup
            }
        };
        if let Some(resumed) = resumed {
            let fixed = setup.entry(RESUMPTION).or_insert_with(|| resumed.clone());
            if let (Some(fixed), Some(handle)) = (fixed.as_object_mut(), resumed.get("handle")) {
                fixed.insert("handle".to_owned(), handle.clone());
            }
        }
        setup
    }

    /// The setup where nothing is the client's to choose.
    fn fixed(&self, asked: &Map<String, Value>) -> Map<String, Value> {
        let mut setup = self.setup.clone();
        if let (None, Some(model)) = (setup.get("model"), asked.get("model")) {
            setup.insert("model".to_owned(), model.clone());
        }
        setup
    }

    /// For the file, before it is sealed.
    pub(crate) fn text(&self) -> String {
        json!({"setup": self.setup, "mask": self.mask.as_ref().map(ToString::to_string)}).to_string()
    }

    /// Back again.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut kept: Value = serde_json::from_str(text).ok()?;
        let Value::Object(setup) = kept["setup"].take() else { return None };
        let mask = match kept["mask"].as_str() {
            None => None,
            Some(text) => Some(SetupMask::parse(text).ok()?),
        };
        Some(Self { setup, mask })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keylodge_api::proto_json;

    /// What becomes of a setup under a constraint.
    #[track_caller]
    fn check(fixed: &Value, mask: Option<&str>, asked: &Value, expected: &Value) {
        let setup = (!fixed.is_null()).then(|| proto_json::parse(fixed.to_string().as_bytes()).unwrap());
        let constraint = Constraint::new(setup, mask.map(|mask| SetupMask::parse(mask).unwrap())).unwrap();
        let constraint = Constraint::read(&constraint.text()).unwrap();
        let Setup(asked) = proto_json::parse(asked.to_string().as_bytes()).unwrap();
        assert_eq!(&Value::Object(constraint.apply(asked)), expected);
    }

    #[test]
    fn without_a_mask_the_whole_setup_is_fixed() {
        check(
            &json!({"model": "models/a", "generation_config": {"temperature": 0.7}}),
            None,
            &json!({"model": "models/b", "generationConfig": {"topK": 1}, "tools": [{}]}),
            &json!({"model": "models/a", "generationConfig": {"temperature": 0.7}}),
        );
    }

    #[test]
    fn which_session_goes_on_and_a_model_where_none_is_fixed_are_the_client_s() {
        check(
            &json!({"generationConfig": {"temperature": 0.7}}),
            None,
            &json!({"model": "models/b", "sessionResumption": {"handle": "h"}}),
            &json!({"generationConfig": {"temperature": 0.7}, "model": "models/b", "sessionResumption": {"handle": "h"}}),
        );
    }

    #[test]
    fn a_handle_is_the_client_s_where_resumption_itself_is_fixed() {
        let resumed = json!({"model": "models/a", "sessionResumption": {"handle": "h"}});
        let fixed = json!({"model": "models/a", "sessionResumption": {}});
        for mask in [None, Some("model,sessionResumption")] {
            check(&fixed, mask, &resumed, &resumed);
        }
    }

    #[test]
    fn with_a_mask_only_what_it_names_is_fixed() {
        check(
            &json!({"model": "models/a", "generationConfig": {"temperature": 0.7, "topP": 0.5}}),
            Some("model,generationConfig.temperature"),
            &json!({"model": "models/b", "generationConfig": {"temperature": 2, "topK": 1}}),
            &json!({"model": "models/a", "generationConfig": {"temperature": 0.7, "topK": 1}}),
        );
    }

    #[test]
    fn what_the_mask_names_and_nobody_sets_stays_at_its_default_in_any_spelling() {
        check(
            &json!({"model": "models/a"}),
            Some("model,generationConfig.top_k,system_instruction,speechConfig.language_code"),
            &json!({"model": "models/a", "generationConfig": {"top_k": 9, "speechConfig": {"language_code": "de"}},
                "systemInstruction": {"parts": [{"text": "Be rude."}]}}),
            &json!({"model": "models/a", "generationConfig": {"speechConfig": {}}}),
        );
    }

    #[test]
    fn a_path_into_a_list_fixes_the_list() {
        let instruction = |text: &str| json!({"parts": [{"text": text}]});
        check(
            &json!({"systemInstruction": instruction("Be brief.")}),
            Some("systemInstruction.parts.text,tools.functionDeclarations,historyConfig.unheard.of"),
            &json!({"systemInstruction": instruction("Be rude."), "tools": [{"googleSearch": {}}],
                "historyConfig": {"unheard": [{"of": 1}]}}),
            &json!({"systemInstruction": instruction("Be brief."), "historyConfig": {}}),
        );
    }

    #[test]
    fn a_mask_alone_keeps_a_client_from_setting_what_it_names() {
        check(
            &Value::Null,
            Some("temperature"),
            &json!({"generationConfig": {"temperature": 1}}),
            &json!({"generationConfig": {}}),
        );
    }

    #[test]
    fn a_model_is_fixed_where_the_mask_names_it_or_there_is_none() {
        let model = |setup: Value, mask: Option<&str>| {
            let setup = Some(proto_json::parse(setup.to_string().as_bytes()).unwrap());
            Constraint::new(setup, mask.map(|mask| SetupMask::parse(mask).unwrap())).unwrap().model()
        };
        assert_eq!(model(json!({"model": "models/a"}), None).as_deref(), Some("a"));
        assert_eq!(model(json!({"model": "a"}), Some("model")).as_deref(), Some("a"));
        assert_eq!(model(json!({"model": "models/a"}), Some("tools")), None);
        assert_eq!(model(json!({}), None), None);
    }
}
