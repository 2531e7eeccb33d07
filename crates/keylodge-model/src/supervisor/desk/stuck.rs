//! The grammars in which a worker hung: to follow them again would cost the next worker, and its callers, the same.

use std::collections::VecDeque;

use crate::ModelError;
use crate::shape::GrammarDigest;

/// So many are remembered; beyond that, the oldest is tried again.
const REMEMBERED_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Stuck(VecDeque<GrammarDigest>);

impl Stuck {
    pub(super) fn add(&mut self, grammar: GrammarDigest) {
        if self.0.contains(&grammar) {
            return;
        }
        if self.0.len() == REMEMBERED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(grammar);
    }

    /// Why a grammar is not followed, if it is one of them.
    pub(super) fn why_not(&self, grammar: GrammarDigest) -> Option<ModelError> {
        let reason = "the model hung when it followed this schema, and had to be started anew; make its patterns and \
                      its alternatives simpler";
        self.0.contains(&grammar).then(|| ModelError::BadSchema { reason: reason.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_grammars_are_remembered_and_no_more() {
        let mut stuck = Stuck::default();
        for number in 0..=64 {
            stuck.add([number; 32]);
            stuck.add([number; 32]);
        }

        assert_eq!(stuck.0.len(), REMEMBERED_MAX);
        assert!(stuck.why_not([0; 32]).is_none() && stuck.why_not([1; 32]).is_some());
    }
}
