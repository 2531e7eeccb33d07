//! Keeps what follows a grammar in UTF-8. llama.cpp's grammars count on whole characters, but a token may be half of one,
//! and they take any byte for the other half.

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

/// What the tokens of a model spell.
pub(super) struct Spelling<'m> {
    model: &'m LlamaModel,
    /// By token: whether it can stand where a character begins.
    begins: Vec<bool>,
}

/// The bytes of a character that is not whole yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Begun(Vec<u8>);

impl<'m> Spelling<'m> {
    pub(super) fn new(model: &'m LlamaModel) -> Self {
        let vocab = model.vocab();
        let begins = vocab.tokens().map(|token| unfinished(&vocab.token_to_piece(token, false, None)).is_some());
        Self { model, begins: begins.collect() }
    }

    /// Whether the text may go on with this token.
    pub(super) fn follows(&self, begun: &Begun, token: LlamaToken) -> bool {
        let begins = usize::try_from(token.0).is_ok_and(|at| self.begins.get(at) == Some(&true));
        if begun.0.is_empty() {
            return begins;
        }
        // A byte that begins a character never goes on with one.
        !begins && unfinished(&[&begun.0[..], &self.bytes(token)].concat()).is_some()
    }

    /// Goes on with this token.
    pub(super) fn follow(&self, begun: &mut Begun, token: LlamaToken) {
        begun.0.extend(self.bytes(token));
        begun.0 = unfinished(&begun.0).unwrap_or_default().to_vec();
    }

    fn bytes(&self, token: LlamaToken) -> Vec<u8> {
        self.model.vocab().token_to_piece(token, false, None)
    }
}

/// The part of a character at the end of the text; `None` if the text is no UTF-8 and cannot become it.
fn unfinished(text: &[u8]) -> Option<&[u8]> {
    match std::str::from_utf8(text) {
        Ok(_) => Some(&[]),
        Err(error) => error.error_len().is_none().then(|| &text[error.valid_up_to()..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_character_waits_for_its_other_half() {
        let euro = "€".as_bytes();
        assert_eq!(unfinished(b"a"), Some(&[][..]));
        assert_eq!(unfinished(&[b'a', euro[0], euro[1]]), Some(&euro[..2]));
        for broken in [&[euro[0], b'a'][..], &[0x80], &[0xC0, 0x80], &[0xED, 0xA0, 0x80], &[0xF5]] {
            assert_eq!(unfinished(broken), None, "{broken:?}");
        }
    }
}
