//! Vectors without a model: numbers drawn from the text's hash. Unlike a model's they tell nothing but whether two texts
//! are the same; they have the size that callers of Google's model expect.

use sha2::{Digest, Sha256};

use crate::embed::to_unit_length;

/// As many as gemini-embedding-001 has.
pub(super) const DIMENSIONS: usize = 3072;

/// The vector of a text, of length 1.
pub(super) fn of(text: &str) -> Vec<f32> {
    let hash = Sha256::digest(text);
    let block = |number: u32| Sha256::new().chain_update(hash).chain_update(number.to_le_bytes()).finalize();
    let mut values: Vec<f32> = (0..)
        .flat_map(|number| block(number).as_chunks().0.iter().map(|bytes| draw(*bytes)).collect::<Vec<f32>>())
        .take(DIMENSIONS)
        .collect();
    to_unit_length(&mut values);
    values
}

/// Something from -1 to 1.
fn draw(bytes: [u8; 4]) -> f32 {
    let whole = i32::from_le_bytes(bytes);
    #[expect(clippy::cast_possible_truncation, reason = "it is drawn, not measured")]
    let drawn = (f64::from(whole) / f64::from(i32::MAX)) as f32;
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_the_same_vector_of_length_1_for_ever() {
        let vector = of("Write a story about a magic backpack.");

        let length: f32 = vector.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
        assert_eq!(vector.len(), DIMENSIONS);
        assert_eq!(vector, of("Write a story about a magic backpack."));
        // Whoever kept vectors must find them again.
        let kept = [-0.004_581, -0.022_864, 0.031_885];
        assert!(vector.iter().zip(kept).all(|(value, kept)| (value - kept).abs() < 1e-5), "{:?}", &vector[..3]);
    }

    #[test]
    fn different_texts_have_nothing_in_common() {
        let cosine: f32 = of("a").iter().zip(of("b")).map(|(a, b)| a * b).sum();

        assert!(cosine.abs() < 0.1, "{cosine}");
    }
}
