//! The other door: what makes vectors of texts, whichever kind it is.

use std::sync::Arc;

use crate::{EmbeddingModel, Gauges, ModelError, Script, State};

/// Something that makes vectors of texts: texts that mean much the same have vectors that point much the same way. A cheap
/// handle: clone it freely.
#[derive(Clone, Debug)]
pub enum Embedder {
    /// Vectors that are made of nothing but the text's hash: the same text has the same one, and that is all they tell.
    Script(Arc<Script>),
    /// A GGUF model in a worker process, which is started by the first call.
    Worker(EmbeddingModel),
}

/// A text as a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Finite numbers, of length 1 together; if the text says nothing to the model, zeros.
    pub values: Vec<f32>,
    /// How many tokens of the text were read, with those that mark its ends.
    pub tokens: u64,
}

/// What is known of a model of embeddings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedderInfo {
    /// "all-MiniLM-L6-v2", "script", or the stem of the GGUF file's name.
    pub name: String,
    /// How much of a text is read, in tokens; what follows changes nothing.
    pub input_tokens_max: u64,
    /// How many numbers a vector has; 0 for a model of which it is not known before it is loaded.
    pub dimensions: usize,
}

impl Embedder {
    /// Starts the model if nobody has yet, waits a little for it, and tells what it is.
    ///
    /// # Errors
    /// `Loading` if it takes longer, as fetching does; `Unavailable` when it cannot be had or is to be restarted.
    pub async fn wake(&self) -> Result<EmbedderInfo, ModelError> {
        match self {
            Self::Script(_) => {}
            Self::Worker(model) => model.wake().await?,
        }
        Ok(self.info())
    }

    /// The tokens of a text, those that mark its ends included, however many are read of it.
    ///
    /// # Errors
    /// As [`embed`](Self::embed).
    pub async fn count(&self, text: &str) -> Result<u64, ModelError> {
        match self {
            Self::Script(_) => Ok(Script::count_text(text)),
            Self::Worker(model) => model.count(text).await,
        }
    }

    /// A vector for each text, in order. `model` is the name that the caller asked for; the script matches on it. Texts
    /// are read one after the other, so that the same text has the same vector whatever stands beside it; calls take
    /// turns with each text. Dropping the future takes back what is not done; `begin` is told how many tokens are read
    /// of each text before that is done, so that whoever leaves half-way knows what was done for them.
    ///
    /// # Errors
    /// `Overloaded` when too many calls wait; `Lost` when the worker was lost meanwhile; as [`wake`](Self::wake); and
    /// `Scripted`.
    pub async fn embed(
        &self,
        model: &str,
        texts: &[String],
        mut begin: impl FnMut(u64),
    ) -> Result<Vec<Embedding>, ModelError> {
        match self {
            Self::Script(script) => {
                let mut embeddings = Vec::with_capacity(texts.len());
                for text in texts {
                    embeddings.push(script.embed(model, text, &mut begin).await?);
                }
                Ok(embeddings)
            }
            Self::Worker(worker) => worker.embed(texts, begin).await,
        }
    }

    /// What is known of the model now. It is all there is once [`wake`](Self::wake) has told.
    pub fn info(&self) -> EmbedderInfo {
        match self {
            Self::Script(_) => Script::embedder_info(),
            Self::Worker(model) => model.info(),
        }
    }

    /// Can it answer now?
    pub fn state(&self) -> State {
        match self {
            Self::Script(_) => State::Ready,
            Self::Worker(model) => model.state(),
        }
    }

    /// How much is going on.
    pub fn gauges(&self) -> Gauges {
        match self {
            Self::Script(_) => Gauges::default(),
            Self::Worker(model) => model.gauges(),
        }
    }

    /// Ends the worker and waits until it is gone. Calls in flight end in [`ModelError::Lost`]; later ones are `Unavailable`.
    pub async fn shutdown(&self) {
        match self {
            Self::Script(_) => {}
            Self::Worker(model) => model.shutdown().await,
        }
    }
}

impl Embedding {
    /// The same with no more than the first so many numbers, of length 1 again. It tells less, and takes less room.
    #[must_use]
    pub fn cut(mut self, dimensions: usize) -> Self {
        if dimensions < self.values.len() {
            self.values.truncate(dimensions);
            to_unit_length(&mut self.values);
        }
        self
    }
}

/// Makes the length of a vector 1; one of zeros stays.
pub(crate) fn to_unit_length(values: &mut [f32]) {
    let squares: f64 = values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
    let length = squares.sqrt();
    if length > 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "vectors have single precision")]
        values.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_that_is_cut_has_length_1_again() {
        let whole = Embedding { values: vec![0.6, 0.0, 0.8], tokens: 3 };

        assert_eq!(whole.clone().cut(3), whole);
        assert_eq!(whole.clone().cut(9), whole);
        assert_eq!(whole.cut(2), Embedding { values: vec![1.0, 0.0], tokens: 3 });
    }

    #[test]
    fn a_vector_of_zeros_has_no_direction_to_keep() {
        let mut zeros = [0.0; 3];

        to_unit_length(&mut zeros);

        assert_eq!(zeros, [0.0; 3]);
    }
}
