//! From a prompt to tokens. Counting and generating use this one way, so their numbers are the same.

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::template::{ChatTemplate, Segment};
use crate::Prompt;

/// A model's prompts.
pub(super) struct Prompts<'m> {
    model: &'m LlamaModel,
    template: ChatTemplate,
}

impl<'m> Prompts<'m> {
    pub(super) fn new(model: &'m LlamaModel) -> Self {
        let source = model.chat_template(None).ok().and_then(|template| template.to_string().ok());
        let vocab = model.vocab();
        let spelled = |token| String::from_utf8_lossy(&vocab.token_to_piece(token, true, None)).into_owned();
        // A token that we put in front ourselves must not come from the template as well.
        let bos = if vocab.should_add_bos() || vocab.bos().0 < 0 { String::new() } else { spelled(vocab.bos()) };
        let eos = if vocab.eos().0 < 0 { String::new() } else { spelled(vocab.eos()) };
        Self { model, template: ChatTemplate::new(source, &bos, &eos) }
    }

    /// The tokens of a prompt; at least one.
    ///
    /// # Errors
    /// The chat template has no form for it.
    pub(super) fn tokens(&self, prompt: &Prompt) -> Result<Vec<LlamaToken>, String> {
        let vocab = self.model.vocab();
        let mut tokens = Vec::new();
        if vocab.should_add_bos() && vocab.bos().0 >= 0 {
            tokens.push(vocab.bos());
        }
        for segment in self.template.segments(prompt)? {
            let (text, control_tokens_count) = match &segment {
                Segment::Template(part) => (part.as_str(), true),
                Segment::Text(text) => (*text, false),
            };
            tokens.extend(vocab.tokenize(text.as_bytes(), false, control_tokens_count));
        }
        if tokens.is_empty() { Err("the prompt is empty".to_owned()) } else { Ok(tokens) }
    }
}
