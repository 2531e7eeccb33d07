//! Texts that are to become vectors: what is asked, and how it is done.
//!
//! The tasks are taken and change nothing: the model inside has no words that go before a text for each of them. A title
//! is read before the text it belongs to.

use keylodge_api::Status;
use keylodge_api::gemini::{BatchEmbedContentsRequest, ContentEmbedding, EmbedContentRequest};
use keylodge_model::EmbedderInfo;

use super::models::EmbeddingEntry;
use super::prompt::{Mistakes, check_model, text};
use super::{Asked, Failure, in_time};
use crate::budget::Worst;
use crate::failure;

/// The most requests of a batch, as Google has it.
pub(crate) const REQUESTS_MAX: usize = 100;

/// A text, and the vector that is wished for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// The title, if there is one, and the text.
    pub(super) text: String,
    pub(super) dimensions: Option<usize>,
    /// Where in the request it stands, in front of the names of its fields.
    place: String,
}

/// What came of it.
pub(super) struct Embedded {
    pub(super) embeddings: Vec<ContentEmbedding>,
    pub(super) tokens: u64,
}

impl Wish {
    /// What a single request asks.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with every mistake.
    pub(super) fn of_one(request: &EmbedContentRequest, model: &str) -> Result<Self, Status> {
        let mut mistakes = Mistakes::default();
        let wish = Self::read(request, "EmbedContentRequest", String::new(), model, &mut mistakes);
        mistakes.none()?;
        Ok(wish)
    }

    /// What the requests of a batch ask.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with every mistake.
    pub(super) fn of_batch(batch: &BatchEmbedContentsRequest, model: &str) -> Result<Vec<Self>, Status> {
        const MESSAGE: &str = "BatchEmbedContentsRequest";
        let mut mistakes = Mistakes::default();
        check_model(batch.model.as_deref(), "model", model, &mut mistakes);
        let requests = &batch.requests;
        if requests.is_empty() {
            mistakes.add("requests", format!("* {MESSAGE}.requests: requests is not specified\n"));
        }
        if requests.len() > REQUESTS_MAX {
            mistakes.add(
                "requests",
                format!("* {MESSAGE}.requests: at most {REQUESTS_MAX} requests can be in one batch\n"),
            );
        }
        let read = |(at, request)| Self::read(request, MESSAGE, format!("requests[{at}]."), model, &mut mistakes);
        let wishes = requests.iter().take(REQUESTS_MAX).enumerate().map(read).collect();
        mistakes.none()?;
        Ok(wishes)
    }

    fn read(request: &EmbedContentRequest, message: &str, place: String, model: &str, mistakes: &mut Mistakes) -> Self {
        check_model(request.model.as_deref(), &format!("{place}model"), model, mistakes);
        let path = format!("{place}content");
        let words = match &request.content {
            None => {
                mistakes.add(&path, format!("* {message}.{path}: content is not specified\n"));
                String::new()
            }
            Some(content) => {
                let words = text(content, message, &path, mistakes);
                if !content.parts.is_empty() && words.trim().is_empty() {
                    mistakes.add(&path, format!("* {message}.{path}: there is no text in it to embed\n"));
                }
                words
            }
        };
        if request.title.is_some() && request.task_type != Some("RETRIEVAL_DOCUMENT") {
            let path = format!("{place}title");
            mistakes.add(&path, format!("Invalid value at '{path}': a title needs the task type RETRIEVAL_DOCUMENT."));
        }
        let dimensions = request.output_dimensionality.map(|dimensions| usize::try_from(dimensions).unwrap_or(0));
        let text = match &request.title {
            Some(title) => format!("{title}\n{words}"),
            None => words,
        };
        let wish = Self { text, dimensions, place };
        if dimensions == Some(0) {
            wish.refuse_dimensions("at least 1", mistakes);
        }
        wish
    }

    fn refuse_dimensions(&self, range: &str, mistakes: &mut Mistakes) {
        let path = format!("{}output_dimensionality", self.place);
        mistakes.add(&path, format!("Invalid value at '{path}': it must be {range}."));
    }

    /// Where in the request it stands, with the name of one of its fields.
    pub(super) fn path(&self, field: &str) -> String {
        format!("{}{field}", self.place)
    }
}

/// Makes the vectors, after it was reserved what they cost.
pub(super) async fn embed(
    asked: &mut Asked<'_, EmbeddingEntry>,
    entry: &EmbeddingEntry,
    wishes: Vec<Wish>,
) -> Result<Embedded, Failure> {
    let info = in_time(asked.deadline, entry.embedder.wake()).await?;
    check_dimensions(&wishes, &info)?;
    let (texts, dimensions): (Vec<String>, Vec<Option<usize>>) =
        wishes.into_iter().map(|wish| (wish.text, wish.dimensions)).unzip();
    afford(asked, entry, &info, &texts).await?;
    let bill = &mut asked.bill;
    let begin = |tokens: u64| {
        // Whoever leaves, or waits no longer, has had them read.
        if let Some(bill) = bill {
            bill.tokens.input += tokens;
        }
    };
    let embedding = async { Ok(entry.embedder.embed(&entry.name, &texts, begin).await) };
    let made = in_time(asked.deadline, embedding).await?.map_err(|error| {
        // That is our own fault.
        if let Some(bill) = &mut asked.bill {
            bill.tokens.input = 0;
        }
        failure::model(&error, "")
    })?;
    let tokens = made.iter().map(|embedding| embedding.tokens).sum();
    let cut = made.into_iter().zip(dimensions).map(|(embedding, dimensions)| match dimensions {
        Some(dimensions) => embedding.cut(dimensions),
        None => embedding,
    });
    Ok(Embedded { embeddings: cut.map(|embedding| ContentEmbedding { values: embedding.values }).collect(), tokens })
}

fn check_dimensions(wishes: &[Wish], info: &EmbedderInfo) -> Result<(), Status> {
    let mut mistakes = Mistakes::default();
    for wish in wishes.iter().filter(|wish| wish.dimensions.is_some_and(|wanted| wanted > info.dimensions)) {
        let range = format!("from 1 to {}, which is all that {} has", info.dimensions, info.name);
        wish.refuse_dimensions(&range, &mut mistakes);
    }
    mistakes.none()
}

/// Reserves what the call will use: what is read of each text.
async fn afford(
    asked: &mut Asked<'_, EmbeddingEntry>,
    entry: &EmbeddingEntry,
    info: &EmbedderInfo,
    texts: &[String],
) -> Result<(), Failure> {
    let Some(bill) = asked.bill.as_mut().filter(|bill| bill.counts_use()) else { return Ok(()) };
    let mut input = 0;
    for text in texts {
        input += in_time(asked.deadline, entry.embedder.count(text)).await?.min(info.input_tokens_max);
    }
    bill.afford(Worst { input, output: 0, answers: 1, is_capped: true }).await?;
    Ok(())
}
