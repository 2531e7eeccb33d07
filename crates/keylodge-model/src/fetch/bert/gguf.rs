//! Writes GGUF, version 3: a head with what is known of the model and of each tensor, then the tensors, all little-endian.

use super::Misfit;
use super::safetensors::Tensor;

const VERSION: u32 = 3;
const ALIGNMENT: usize = 32;

/// Numbers that share a scale in Q8_0.
const BLOCK: usize = 32;

/// Types of what is known of the model.
mod kind {
    pub(super) const UINT32: u32 = 4;
    pub(super) const INT32: u32 = 5;
    pub(super) const FLOAT32: u32 = 6;
    pub(super) const BOOL: u32 = 7;
    pub(super) const STRING: u32 = 8;
    pub(super) const ARRAY: u32 = 9;
}

/// How the numbers of a tensor are kept.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// As they are.
    F32,
    /// As whole numbers from -127 to 127, and a scale for each 32 of them.
    Q8_0,
}

impl Form {
    const fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::Q8_0 => 8,
        }
    }
}

/// A file in the making.
#[derive(Default)]
pub(super) struct Gguf {
    facts: Vec<u8>,
    facts_count: u64,
    infos: Vec<u8>,
    infos_count: u64,
    data: Vec<u8>,
}

impl Gguf {
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.fact(key, kind::STRING);
        put_text(&mut self.facts, value);
    }

    pub(super) fn number(&mut self, key: &str, value: u32) {
        self.fact(key, kind::UINT32);
        self.facts.extend(value.to_le_bytes());
    }

    pub(super) fn float(&mut self, key: &str, value: f32) {
        self.fact(key, kind::FLOAT32);
        self.facts.extend(value.to_le_bytes());
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.fact(key, kind::BOOL);
        self.facts.push(value.into());
    }

    pub(super) fn texts(&mut self, key: &str, values: &[String]) {
        self.array(key, kind::STRING, values.len());
        values.iter().for_each(|value| put_text(&mut self.facts, value));
    }

    pub(super) fn integers(&mut self, key: &str, values: &[i32]) {
        self.array(key, kind::INT32, values.len());
        self.facts.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    /// Adds a tensor. GGUF counts dimensions from the innermost.
    ///
    /// # Errors
    /// The rows cannot be cut into blocks.
    pub(super) fn tensor(&mut self, name: &str, tensor: &Tensor<'_>, form: Form) -> Result<(), Misfit> {
        put_text(&mut self.infos, name);
        self.infos.extend(u32::try_from(tensor.shape.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.infos.extend(tensor.shape.iter().rev().flat_map(|size| size.to_le_bytes()));
        self.infos.extend(form.number().to_le_bytes());
        self.infos.extend((self.data.len() as u64).to_le_bytes());
        self.infos_count += 1;
        match form {
            Form::F32 => self.data.extend_from_slice(tensor.bytes),
            Form::Q8_0 => {
                let row = tensor.shape.last().copied().unwrap_or_default();
                if row == 0 || row % BLOCK as u64 != 0 {
                    return Err(Misfit(format!(
                        "the rows of {name} have {row} numbers, which is no multiple of {BLOCK}"
                    )));
                }
                let numbers: Vec<f32> = tensor.numbers().collect();
                numbers.as_chunks().0.iter().for_each(|block| put_q8_0(&mut self.data, block));
            }
        }
        align(&mut self.data);
        Ok(())
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(VERSION.to_le_bytes());
        file.extend(self.infos_count.to_le_bytes());
        file.extend(self.facts_count.to_le_bytes());
        file.extend(self.facts);
        file.extend(self.infos);
        align(&mut file);
        file.extend(self.data);
        file
    }

    fn fact(&mut self, key: &str, kind: u32) {
        put_text(&mut self.facts, key);
        self.facts.extend(kind.to_le_bytes());
        self.facts_count += 1;
    }

    fn array(&mut self, key: &str, kind: u32, length: usize) {
        self.fact(key, kind::ARRAY);
        self.facts.extend(kind.to_le_bytes());
        self.facts.extend((length as u64).to_le_bytes());
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

/// One block: the scale in half precision, then the numbers divided by it. llama.cpp rounds halves away from zero.
fn put_q8_0(bytes: &mut Vec<u8>, block: &[f32; BLOCK]) {
    let largest = block.iter().fold(0.0, |largest: f32, number| largest.max(number.abs()));
    let scale = largest / 127.0;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    bytes.extend(half(scale).to_le_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "the largest of them is 127")]
    let small = |number: &f32| ((number * inverse).abs() + 0.5).floor().copysign(*number) as i8;
    bytes.extend(block.iter().flat_map(|number| small(number).to_le_bytes()));
}

/// The bits of the nearest number of half precision; of two, the even one. Only for what is neither negative nor NaN.
pub(super) fn half(number: f32) -> u16 {
    const INFINITE: u32 = 0x7c00;
    let bits = number.to_bits();
    // The exponent as half precision counts it.
    let exponent = (bits >> 23).cast_signed() - 127 + 15;
    // Below the normal numbers the leading one is written out, further to the right with each step down.
    let (whole, dropped) = match exponent {
        1.. => ((exponent.cast_unsigned() << 23) | (bits & 0x007f_ffff), 13),
        -10..=0 => ((bits & 0x007f_ffff) | 0x0080_0000, (14 - exponent).cast_unsigned()),
        _ => return 0,
    };
    let (kept, rest, middle) = (whole >> dropped, whole & ((1 << dropped) - 1), 1 << (dropped - 1));
    let is_up = rest > middle || (rest == middle && kept % 2 == 1);
    u16::try_from((kept + u32::from(is_up)).min(INFINITE)).unwrap_or(u16::MAX)
}
