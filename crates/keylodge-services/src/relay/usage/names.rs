//! What the parts of an answer are called that are read in passing.

/// The longest that one of the names can be written: every letter as `\uXXXX`.
pub(super) const KEY_BYTES_MAX: usize = b"interaction_id".len() * 6;

/// Whose names they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Names {
    #[default]
    Gemini,
    /// Those of an interaction.
    Interaction,
    /// Those of an event, which may have an interaction in it.
    Events,
}

/// A part of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Part {
    #[default]
    Other,
    /// The object that has the counts.
    Usage,
    /// The object of an event whose fields are an interaction's.
    Interaction,
    Text(Mark),
}

/// A text that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Id,
    Status,
}

impl Names {
    /// The part that has this name, as it stands between its quotes.
    pub(super) fn part(self, key: &[u8]) -> Part {
        if key.len() > KEY_BYTES_MAX || !key.contains(&b'\\') {
            return self.of_plain(key);
        }
        let quoted = [b"\"", key, b"\""].concat();
        serde_json::from_slice::<String>(&quoted).map_or(Part::Other, |key| self.of_plain(key.as_bytes()))
    }

    fn of_plain(self, key: &[u8]) -> Part {
        match (self, key) {
            (Self::Gemini, b"usageMetadata") | (Self::Interaction, b"usage") => Part::Usage,
            (Self::Interaction, b"id") | (Self::Events, b"interaction_id") => Part::Text(Mark::Id),
            (Self::Interaction, b"status") => Part::Text(Mark::Status),
            (Self::Events, b"interaction") => Part::Interaction,
            _ => Part::Other,
        }
    }
}
