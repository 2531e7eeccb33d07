//! How a Live session begins: `BidiGenerateContentSetup`, and masks of its fields.

use serde_json::{Map, Value};

use crate::proto_json::{Fields, Message};

/// A session's setup: its fields by their lowerCamelCase names, and those of its `generationConfig`; what is inside other
/// fields is as the caller wrote it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Setup(pub Map<String, Value>);

/// All fields of a setup but `generationConfig` and `model`.
const FIELDS: [&str; 14] = [
    "systemInstruction",
    "tools",
    "sessionResumption",
    "contextWindowCompression",
    "inputAudioTranscription",
    "outputAudioTranscription",
    "realtimeInputConfig",
    "proactivity",
    "explicitVadSignal",
    "historyConfig",
    "avatarConfig",
    "safetySettings",
    "labels",
    "translationConfig",
];

/// All fields of a session's `generationConfig`.
const CONFIG_FIELDS: [&str; 26] = [
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "responseLogprobs",
    "logprobs",
    "thinkingConfig",
    "mediaResolution",
    "speechConfig",
    "imageConfig",
    "audioTimestamp",
    "enableEnhancedCivicAnswers",
    "enableAffectiveDialog",
    "routingConfig",
    "modelSelectionConfig",
    "audioTranscriptionConfig",
    "translationConfig",
];

const CONFIG: &str = "generationConfig";

/// All fields of a `systemInstruction`.
const INSTRUCTION_FIELDS: [&str; 2] = ["parts", "role"];

/// What is fixed as a whole: lists, since no path leads into one, and the model. By the name alone, wherever it stands: to
/// fix more than was named is no danger.
const WHOLES: [&str; 8] = [
    "model",
    "tools",
    "safetySettings",
    "parts",
    "stopSequences",
    "responseModalities",
    "speakerVoiceConfigs",
    "languageCodes",
];

impl Message for Setup {
    const NAME: &str = "google.ai.generativelanguage.v1beta.BidiGenerateContentSetup";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let mut setup = named(fields, &FIELDS);
        if let Some(model) = fields.string("model").filter(|model| !model.is_empty()) {
            setup.insert("model".to_owned(), model.into());
        }
        let name = "google.ai.generativelanguage.v1beta.GenerationConfig";
        if let Some(config) = fields.message_with(CONFIG, name, |fields| named(fields, &CONFIG_FIELDS)) {
            setup.insert(CONFIG.to_owned(), config.into());
        }
        Self(setup)
    }
}

fn named(fields: &mut Fields<'_, '_>, names: &[&str]) -> Map<String, Value> {
    names.iter().filter_map(|name| Some(((*name).to_owned(), fields.any(name)?.clone()))).collect()
}

/// Which fields of a setup are meant: paths of lowerCamelCase names, without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetupMask(Vec<Vec<String>>);

/// The longest mask that is read, in bytes.
const MASK_BYTES_MAX: usize = 4096;

impl SetupMask {
    /// Reads paths with commas between them. Names come in both spellings, and those of `generationConfig` also without
    /// it, as Google's Python client writes what its users add. A path into a list means the list.
    ///
    /// # Errors
    /// When it is too long or a path begins with no field of a setup, with a sentence about it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MASK_BYTES_MAX {
            return Err(format!("The mask is longer than {MASK_BYTES_MAX} bytes."));
        }
        let mut mask = Self::default();
        for path in text.split(',').map(str::trim).filter(|path| !path.is_empty()) {
            let mut names: Vec<String> = path.split('.').map(camel_case).collect();
            let no_field = || format!("'{}' is no field of a setup.", crate::proto_json::excerpt(path));
            let is = |list: &[&str], name: &str| list.contains(&name);
            match names.first().map(String::as_str) {
                Some(CONFIG) => {
                    let is_known = names.get(1).is_none_or(|name| is(&CONFIG_FIELDS, name));
                    is_known.then_some(()).ok_or_else(no_field)?;
                }
                Some("systemInstruction") => {
                    let is_known = names.get(1).is_none_or(|name| is(&INSTRUCTION_FIELDS, name));
                    is_known.then_some(()).ok_or_else(no_field)?;
                }
                Some(first) if first == "model" || is(&FIELDS, first) => {}
                Some(first) if is(&CONFIG_FIELDS, first) => names.insert(0, CONFIG.to_owned()),
                _ => return Err(no_field()),
            }
            if names.iter().any(String::is_empty) {
                return Err(no_field());
            }
            if let Some(at) = names.iter().position(|name| is(&WHOLES, name)) {
                names.truncate(at + 1);
            }
            if !mask.0.contains(&names) {
                mask.0.push(names);
            }
        }
        Ok(mask)
    }

    /// Whether the model is among what is meant.
    #[must_use]
    pub fn names_model(&self) -> bool {
        self.0.iter().any(|path| path[0] == "model")
    }

    /// Its paths.
    #[must_use]
    pub fn paths(&self) -> &[Vec<String>] {
        &self.0
    }

    /// Whether it means nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for SetupMask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.iter().map(|path| path.join(".")).collect::<Vec<_>>().join(","))
    }
}

/// `top_k` as `topK`.
#[must_use]
pub fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut is_next_large = false;
    for letter in name.chars() {
        match letter {
            '_' => is_next_large = !camel.is_empty(),
            letter if is_next_large => {
                camel.push(letter.to_ascii_uppercase());
                is_next_large = false;
            }
            letter => camel.push(letter),
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto_json;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_setup_is_read_in_both_spellings_and_kept_in_one() {
        let body = br#"{"model": "models/m", "generation_config": {"top_k": 3, "responseModalities": ["TEXT"]},
            "system_instruction": {"parts": [{"text": "Be brief."}]}, "tools": null}"#;

        let Setup(setup) = proto_json::parse(body).unwrap();

        let expected = json!({
            "model": "models/m",
            "generationConfig": {"topK": 3, "responseModalities": ["TEXT"]},
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
        });
        assert_eq!(Value::Object(setup), expected);
        for unknown in [r#"{"modle": "m"}"#, r#"{"generationConfig": {"top_kk": 3}}"#, r#"{"model": 5}"#] {
            assert!(proto_json::parse::<Setup>(unknown.as_bytes()).is_err(), "{unknown}");
        }
    }

    #[test]
    fn a_mask_is_compared_in_one_spelling() {
        let check = |text: &str, expected: Option<&str>| {
            let mask = SetupMask::parse(text);
            assert_eq!(mask.as_ref().ok().map(ToString::to_string).as_deref(), expected, "{text}: {mask:?}");
        };
        check("model,generationConfig.top_k", Some("model,generationConfig.topK"));
        check("generation_config.topK, generationConfig.top_k", Some("generationConfig.topK"));
        check("systemInstruction.parts,systemInstruction.role", Some("systemInstruction.parts,systemInstruction.role"));
        check("top_k", Some("generationConfig.topK"));
        check("model,tools.function_declarations,tools.google_search", Some("model,tools"));
        check("system_instruction.parts.text", Some("systemInstruction.parts"));
        check("stop_sequences.0", Some("generationConfig.stopSequences"));
        check(
            "speechConfig.multiSpeakerVoiceConfig.speakerVoiceConfigs.speaker",
            Some("generationConfig.speechConfig.multiSpeakerVoiceConfig.speakerVoiceConfigs"),
        );
        check("systemInstruction.text", None);
        check("", Some(""));
        for wrong in ["nonsense", "generationConfig.nonsense", "model,", "model.", "generationConfig..topK"] {
            check(wrong, (wrong == "model,").then_some("model"));
        }
        check(&"model,".repeat(1000), None);
    }

    proptest! {
        #[test]
        fn a_mask_reads_back_as_it_prints_and_no_text_makes_the_parser_panic(
            text in "((model|generation_config|topK|top_k|tools|labels|x)[.,_]?){0,6}",
            any in any::<String>(),
        ) {
            let _ = SetupMask::parse(&any);
            if let Ok(mask) = SetupMask::parse(&text) {
                prop_assert_eq!(SetupMask::parse(&mask.to_string()), Ok(mask));
            }
        }
    }
}
