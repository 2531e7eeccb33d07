//! Reads safetensors: a length of eight bytes, so much JSON that says where each tensor is, then their bytes.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Misfit;

const LENGTH_BYTES: usize = 8;

/// A file of tensors.
pub(super) struct Safetensors<'file> {
    head: Map<String, Value>,
    body: &'file [u8],
}

/// A tensor of single-precision numbers.
pub(super) struct Tensor<'file> {
    pub(super) shape: Vec<u64>,
    /// Four bytes for each number, little-endian.
    pub(super) bytes: &'file [u8],
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [usize; 2],
}

impl<'file> Safetensors<'file> {
    pub(super) fn read(file: &'file [u8]) -> Result<Self, Misfit> {
        let too_short = || Misfit("the file of the weights ends too early".to_owned());
        let (length, rest) = file.split_first_chunk::<LENGTH_BYTES>().ok_or_else(too_short)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| too_short())?;
        let (head, body) = rest.split_at_checked(length).ok_or_else(too_short)?;
        let head = serde_json::from_slice(head);
        let head = head.map_err(|error| Misfit(format!("the head of the weights cannot be read: {error}")))?;
        Ok(Self { head, body })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.head.contains_key(name)
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Tensor<'file>, Misfit> {
        let entry = self.head.get(name).ok_or_else(|| Misfit(format!("the tensor {name} is missing")))?;
        let entry = Entry::deserialize(entry).map_err(|error| Misfit(format!("the tensor {name}: {error}")))?;
        if entry.dtype != "F32" {
            return Err(Misfit(format!("the tensor {name} is {} and not F32", entry.dtype)));
        }
        let [begin, end] = entry.data_offsets;
        let bytes = self.body.get(begin..end);
        let numbers = entry.shape.iter().try_fold(1, |product: u64, size| product.checked_mul(*size));
        let bytes = bytes.filter(|bytes| numbers.and_then(|n| n.checked_mul(4)) == Some(bytes.len() as u64));
        let bytes = bytes.ok_or_else(|| Misfit(format!("the tensor {name} has not the bytes that it should have")))?;
        Ok(Tensor { shape: entry.shape, bytes })
    }

    /// Rows and columns of a tensor that has two dimensions.
    pub(super) fn matrix(&self, name: &str) -> Result<[u32; 2], Misfit> {
        let shape = self.tensor(name)?.shape;
        let sizes: Option<Vec<u32>> = shape.iter().map(|size| u32::try_from(*size).ok()).collect();
        let sizes = sizes.and_then(|sizes| <[u32; 2]>::try_from(sizes).ok());
        sizes.ok_or_else(|| Misfit(format!("the tensor {name} is no matrix: {shape:?}")))
    }
}

impl Tensor<'_> {
    pub(super) fn numbers(&self) -> impl Iterator<Item = f32> + '_ {
        self.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }
}
