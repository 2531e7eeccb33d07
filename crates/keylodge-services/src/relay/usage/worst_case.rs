//! The most that a call can use, known before it is sent.

use super::clamp::{is_cap, is_config, number};
use super::json::{Cursor, Unreadable};
use super::weight::Weight;

/// The most tokens that an image becomes: Google scales images to 3072 × 3072 at most and cuts them into tiles of 768 ×
/// 768, so 16 tiles and the whole once more, 258 tokens each. Models of the third generation take at most 2,240.
pub const IMAGE_TOKENS_MAX: u64 = 17 * 258;

/// The most that a call can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorstCase {
    /// Tokens of the prompt; `None` if the body does not say how much there is to read: it names a file, a cache, a page
    /// or a tool of the server's, or has a video with a frame rate of its own.
    pub input_tokens_max: Option<u64>,
    /// Tokens of each answer, thoughts included; `None` if the call sets no cap, and the model's own holds.
    pub output_cap: Option<u64>,
    /// How many answers are wanted, at least 1.
    pub candidates: u64,
}

/// Looks through the body of a generateContent or streamGenerateContent, or of a call that embeds.
///
/// The prompt counts one token for each byte of its JSON, written without blanks and escapes: no tokenizer makes more
/// tokens than bytes. Images count [`IMAGE_TOKENS_MAX`] each, whatever their size. Other data counts one token for each
/// byte of its base64, which is above what audio and video become; a PDF that is made to have more pages than bytes for
/// them is not, and the truth after the call corrects it.
///
/// A part that is not known counts by its bytes too. Where a cap stands twice the largest counts, and none if one of
/// several configurations sets none. Costs two passes over the body, one of them to check it, and takes no memory.
///
/// # Errors
/// The body is not a JSON object.
pub fn worst_case(body: &[u8]) -> Result<WorstCase, Unreadable> {
    let mut top = Cursor::new(body)?;
    let mut seen = Seen { weight: Weight::new(body), candidates: 1 };
    top.object(|value, name| seen.field(value, name));
    let Seen { weight, candidates } = seen;
    Ok(weight.worst_case(candidates))
}

/// What was seen so far.
struct Seen<'body> {
    weight: Weight<'body>,
    candidates: u64,
}

impl Seen<'_> {
    fn field(&mut self, value: &mut Cursor<'_>, name: &[u8]) {
        match name {
            b"contents" => value.elements(|content| self.content(content)),
            b"content" => self.content(value),
            b"requests" => value.elements(|request| self.request(request)),
            b"systemInstruction" | b"system_instruction" => self.content(value),
            b"tools" => value.elements(|tool| self.tool(tool)),
            _ if is_config(name) => self.config(value),
            b"cachedContent" | b"cached_content" | b"continuationToken" | b"continuation_token" => {
                if !value.is_nothing() {
                    self.weight.unknown();
                }
            }
            // They are no part of the prompt.
            b"model" | b"labels" | b"safetySettings" | b"safety_settings" | b"serviceTier" | b"service_tier"
            | b"store" => {}
            _ => self.weight.weigh(value),
        }
    }

    /// One of several texts to embed.
    fn request(&mut self, request: &mut Cursor<'_>) {
        if !request.is_object() {
            return self.weight.weigh(request);
        }
        request.object(|value, name| match name {
            b"content" => self.content(value),
            b"model" => {}
            _ => self.weight.weigh(value),
        });
    }

    fn content(&mut self, content: &mut Cursor<'_>) {
        if !content.is_object() {
            return self.weight.weigh(content);
        }
        self.weight.turn();
        content.object(|value, name| match name {
            b"parts" => value.elements(|part| self.part(part)),
            _ => self.weight.weigh(value),
        });
    }

    fn part(&mut self, part: &mut Cursor<'_>) {
        if !part.is_object() {
            return self.weight.weigh(part);
        }
        part.object(|value, name| match name {
            // The arguments of a call are text, whatever they look like; but the answer of a function has parts.
            b"functionResponse" | b"function_response" if value.is_object() => {
                value.object(|value, name| match name {
                    b"parts" => value.elements(|part| self.part_of_response(part)),
                    _ => self.weight.named(value, name),
                });
            }
            _ => self.data(value, name),
        });
    }

    fn part_of_response(&mut self, part: &mut Cursor<'_>) {
        if !part.is_object() {
            return self.weight.weigh(part);
        }
        part.object(|value, name| self.data(value, name));
    }

    fn data(&mut self, value: &mut Cursor<'_>, name: &[u8]) {
        match name {
            b"inlineData" | b"inline_data" if value.is_object() => self.inline_data(value),
            b"fileData" | b"file_data" | b"videoMetadata" | b"video_metadata" if !value.is_null() => {
                self.weight.unknown();
            }
            _ => self.weight.named(value, name),
        }
    }

    fn inline_data(&mut self, data: &mut Cursor<'_>) {
        let (mut kinds, mut images, mut weight) = (0, 0, 0);
        data.object(|value, name| {
            let is_kind = matches!(name, b"mimeType" | b"mime_type");
            let start = value.at();
            weight += value.weigh();
            if is_kind {
                kinds += 1;
                images += u64::from(is_image(&self.weight.body[start..value.at()]));
            }
        });
        // Where two kinds are given, nobody knows which one counts.
        let is_image = kinds > 0 && images == kinds;
        self.weight.add(if is_image { IMAGE_TOKENS_MAX } else { weight });
    }

    /// A tool is a list of functions, or one of the server's own that reads who knows what.
    fn tool(&mut self, tool: &mut Cursor<'_>) {
        if !tool.is_object() {
            return self.weight.weigh(tool);
        }
        tool.object(|value, name| match name {
            b"functionDeclarations" | b"function_declarations" => self.weight.weigh(value),
            _ if value.is_null() => {}
            _ => self.weight.unknown(),
        });
    }

    fn config(&mut self, config: &mut Cursor<'_>) {
        let Self { weight, candidates } = self;
        weight.config(config, |name, said| match name {
            _ if is_cap(name) => number(said),
            b"candidateCount" | b"candidate_count" => {
                *candidates = number(said).unwrap_or(1).max(*candidates);
                None
            }
            _ => None,
        });
    }
}

/// Kinds that are pictures to a model. Others, as drawings in SVG, may be read as text.
pub(super) fn is_image(quoted: &[u8]) -> bool {
    const KINDS: [&[u8]; 8] = [
        b"\"image/png\"",
        b"\"image/jpeg\"",
        b"\"image/jpg\"",
        b"\"image/webp\"",
        b"\"image/heic\"",
        b"\"image/heif\"",
        b"\"image/gif\"",
        b"\"image/bmp\"",
    ];
    KINDS.iter().any(|kind| quoted.eq_ignore_ascii_case(kind))
}
