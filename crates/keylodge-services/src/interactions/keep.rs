//! Interactions in the store: sealed, and found by their own project alone.

use keylodge_rules::{ProjectNumber, Timestamp};
use keylodge_store::vault::SEAL_RANDOM_BYTES;
use keylodge_store::{InteractionRecord, StoreError};
use serde_json::{Value, json};

use super::fault::{Fault, Word};
use super::interaction::Interaction;
use crate::{Lodge, failure};

/// How many interactions one can go on from, one after the other.
const CHAIN_MAX: u32 = 1000;

/// How large they may be together, as a multiple of the largest request.
const HISTORY_FACTOR: usize = 2;

/// An interaction that was kept, and what its caller had said.
pub(super) struct Kept {
    pub(super) interaction: Interaction,
    pub(super) input: Vec<Value>,
}

/// What is written down of an interaction.
pub(super) struct Keeping<'interaction> {
    pub(super) lodge: &'interaction Lodge,
    pub(super) project: ProjectNumber,
    pub(super) input: &'interaction [Value],
    pub(super) previous: Option<&'interaction str>,
}

impl Keeping<'_> {
    /// Keeps an interaction. When this has answered, it is on disk.
    pub(super) async fn add(&self, interaction: &Interaction) -> Result<(), Fault> {
        self.lodge.interactions.add(&self.record(interaction)).await.map_err(|error| away(&error))
    }

    /// Keeps what came of an interaction that was kept when it began. One that was deleted meanwhile stays so.
    pub(super) async fn finish(&self, interaction: &Interaction) -> Result<(), StoreError> {
        self.lodge.interactions.finish(&self.record(interaction)).await.map(drop)
    }

    fn record(&self, interaction: &Interaction) -> InteractionRecord {
        let Self { lodge, project, input, previous } = self;
        let said = json!({"interaction": interaction.wire(&[]), "input": input}).to_string();
        let random = lodge.random::<SEAL_RANDOM_BYTES>();
        let kept = i64::try_from(lodge.limits.interactions_kept.as_micros()).unwrap_or(i64::MAX);
        InteractionRecord {
            id: interaction.id.clone(),
            project: *project,
            previous: previous.map(str::to_owned),
            in_progress: !interaction.is_over(),
            created_at: interaction.created,
            expires_at: Timestamp::from_micros(interaction.created.micros().saturating_add(kept)),
            said: lodge.vault.seal_interaction(*project, &interaction.id, &said, &random),
        }
    }
}

/// An interaction of this project.
pub(super) async fn get(lodge: &Lodge, project: ProjectNumber, id: &str) -> Result<Kept, Fault> {
    let record = lodge.interactions.get(project, id, lodge.now()).await.map_err(|error| away(&error))?;
    let record = record.ok_or_else(|| Fault::no_such(id))?;
    if record.in_progress {
        return abandoned(lodge, &record).await.map_err(|error| away(&error));
    }
    open(lodge, &record)
}

/// Ends an interaction that nobody answers any more: the program stopped, or could not write its end.
async fn abandoned(lodge: &Lodge, record: &InteractionRecord) -> Result<Kept, StoreError> {
    let kept = open(lodge, record).unwrap_or_else(|_| Kept {
        interaction: Interaction::new(record.id.clone(), String::new(), record.created_at, serde_json::Map::new()),
        input: Vec::new(),
    });
    let Kept { mut interaction, input } = kept;
    interaction.fail(&Fault::stopped(), lodge.now());
    let previous = record.previous.as_deref();
    Keeping { lodge, project: record.project, input: &input, previous }.finish(&interaction).await?;
    Ok(Kept { interaction, input })
}

/// Everything that was said up to this interaction of the project, as steps, the oldest first.
pub(super) async fn history(lodge: &Lodge, project: ProjectNumber, id: &str) -> Result<Vec<Value>, Fault> {
    let bytes =
        lodge.interactions.chain_bytes(project, id, lodge.now(), CHAIN_MAX).await.map_err(|error| away(&error))?;
    let bytes_max = lodge.limits.body_bytes_max.saturating_mul(HISTORY_FACTOR);
    if bytes > bytes_max as u64 {
        let message = format!("The conversation is larger than {bytes_max} bytes. Begin a new one.");
        return Err(Fault::new(Word::InvalidRequest, message));
    }
    let records = lodge.interactions.chain(project, id, lodge.now(), CHAIN_MAX).await.map_err(|error| away(&error))?;
    let Some(oldest) = records.last() else { return Err(Fault::no_such(id)) };
    if records[0].in_progress {
        let message = format!("Interaction {id} is still in progress and cannot be continued yet.");
        return Err(Fault::new(Word::FailedPrecondition, message));
    }
    if let Some(before) = &oldest.previous {
        if records.len() >= CHAIN_MAX as usize {
            let message = format!("A conversation has at most {CHAIN_MAX} interactions. Begin a new one.");
            return Err(Fault::new(Word::InvalidRequest, message));
        }
        // It was deleted, or its time is over: the model would not know what the conversation is about.
        return Err(Fault::no_such(before));
    }
    let mut steps = Vec::new();
    for record in records.iter().rev() {
        let Kept { interaction, input } = open(lodge, record)?;
        steps.extend(input);
        steps.extend(interaction.wire_steps());
    }
    Ok(steps)
}

/// Deletes an interaction of this project.
pub(super) async fn delete(lodge: &Lodge, project: ProjectNumber, id: &str) -> Result<(), Fault> {
    let deleted = lodge.interactions.delete(project, id, lodge.now()).await.map_err(|error| away(&error))?;
    if deleted { Ok(()) } else { Err(Fault::no_such(id)) }
}

/// Ends what was being answered in the background when the program stopped: nobody does so any more. Gives how many.
///
/// # Errors
/// When the database does not answer.
pub async fn settle(lodge: &Lodge) -> Result<usize, StoreError> {
    let records = lodge.interactions.in_progress().await?;
    for record in &records {
        abandoned(lodge, record).await?;
    }
    Ok(records.len())
}

fn open(lodge: &Lodge, record: &InteractionRecord) -> Result<Kept, Fault> {
    let read = || {
        let said = lodge.vault.open_interaction(record.project, &record.id, &record.said).ok()?;
        let mut said: Value = serde_json::from_str(&said).ok()?;
        let Value::Array(input) = said["input"].take() else { return None };
        Some(Kept { interaction: Interaction::read(&said["interaction"])?, input })
    };
    read().ok_or_else(|| {
        tracing::error!(id = record.id, "an interaction cannot be opened: was it sealed under another master key?");
        Fault::of_status(&keylodge_api::Status::internal())
    })
}

pub(super) fn away(error: &StoreError) -> Fault {
    Fault::of_status(&failure::store(error))
}
