//! One generation: what of it has been read, what it has said, and when it is over.

use llama_cpp_2::token::LlamaToken;

use super::sampler::Chooser;
use crate::stop::{Passed, StopMatcher};
use crate::{Finish, Generate};

/// A generation that has a slot or waits for one.
pub(super) struct Slot {
    pub(super) id: u64,
    pub(super) prompt: Vec<LlamaToken>,
    /// Positions of the sequence that are used: first by the prompt, then by the answer.
    pub(super) fed: usize,
    /// The token that was chosen last and is to be read next.
    pub(super) next: Option<LlamaToken>,
    /// Where in the batch the scores for the next token will be.
    pub(super) scores_at: Option<i32>,
    pub(super) chooser: Chooser,
    pub(super) output_tokens: u64,
    output_tokens_max: u64,
    text: TextOut,
}

/// What a token led to.
pub(super) struct Said {
    /// Text that may go out; often empty.
    pub(super) text: String,
    /// The generation is over.
    pub(super) finish: Option<Finish>,
}

impl Slot {
    /// The prompt must be shorter than the window.
    pub(super) fn new(
        id: u64,
        prompt: Vec<LlamaToken>,
        chooser: Chooser,
        request: &Generate,
        window_tokens: u32,
    ) -> Self {
        let room = u64::from(window_tokens) - prompt.len() as u64;
        Self {
            id,
            prompt,
            fed: 0,
            next: None,
            scores_at: None,
            chooser,
            output_tokens: 0,
            output_tokens_max: u64::from(request.output_tokens_max).clamp(1, room),
            text: TextOut::new(&request.stop),
        }
    }

    /// The part of the prompt that is still to be read.
    pub(super) fn unread(&self) -> &[LlamaToken] {
        &self.prompt[self.fed.min(self.prompt.len())..]
    }

    /// The token was chosen, and these are its bytes.
    pub(super) fn say(&mut self, token: LlamaToken, bytes: &[u8]) -> Said {
        self.output_tokens += 1;
        self.next = Some(token);
        let Passed { text, stopped } = self.text.push(bytes);
        if stopped {
            return Said { text, finish: Some(Finish::Stop) };
        }
        if self.output_tokens >= self.output_tokens_max {
            return Said { text: text + &self.text.finish(), finish: Some(Finish::MaxTokens) };
        }
        Said { text, finish: None }
    }

    /// There is no token to go on with, so the answer is cut off.
    pub(super) fn cut(&mut self) -> Said {
        Said { text: self.text.finish(), finish: Some(Finish::MaxTokens) }
    }

    /// The model has said that it is done.
    pub(super) fn end(&mut self) -> Said {
        Said { text: self.text.finish(), finish: Some(Finish::Stop) }
    }
}

/// From the bytes of tokens, which may be half a character, to text that may go out.
struct TextOut {
    decoder: encoding_rs::Decoder,
    stops: StopMatcher,
}

impl TextOut {
    fn new(stops: &[String]) -> Self {
        Self { decoder: encoding_rs::UTF_8.new_decoder_without_bom_handling(), stops: StopMatcher::new(stops) }
    }

    fn push(&mut self, bytes: &[u8]) -> Passed {
        let room = self.decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len() * 3 + 3);
        let mut text = String::with_capacity(room);
        // There is room for all of it, so all of it is read. A half character waits in the decoder.
        let _ = self.decoder.decode_to_string(bytes, &mut text, false);
        self.stops.push(&text)
    }

    /// What was held back. Half a character that never became whole is left out.
    fn finish(&mut self) -> String {
        self.stops.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_characters_go_out() {
        let mut out = TextOut::new(&[]);
        let euro = "€".as_bytes();

        assert_eq!(out.push(&euro[..1]).text, "");
        assert_eq!(out.push(&euro[1..2]).text, "");
        assert_eq!(out.push(&[euro[2], b'!', euro[0]]).text, "€!");
        assert_eq!(out.finish(), "");
    }

    #[test]
    fn bytes_that_are_no_text_become_replacement_characters() {
        let mut out = TextOut::new(&[]);

        assert_eq!(out.push(b"a\xffb").text, "a\u{FFFD}b");
    }

    #[test]
    fn a_stop_sequence_is_found_in_split_characters() {
        let mut out = TextOut::new(&["€".to_owned()]);
        let euro = "€".as_bytes();

        assert_eq!(out.push(&[b'5', euro[0]]).text, "5");
        assert!(out.push(&euro[1..]).stopped);
    }
}
