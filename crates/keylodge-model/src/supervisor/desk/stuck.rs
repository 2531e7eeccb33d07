//! The grammars in which a worker hung: to follow them again would cost the next worker, and its callers, the same.
//!
//! Once may have had another reason, as a machine that was halted; the second time the grammar is to blame.

use std::collections::VecDeque;

use crate::ModelError;
use crate::shape::GrammarDigest;

/// So many are remembered; beyond that, the oldest is tried again.
const REMEMBERED_MAX: usize = 64;

/// How often a worker hung in each.
#[derive(Debug, Default)]
pub(super) struct Stuck(VecDeque<(GrammarDigest, u32)>);

impl Stuck {
    pub(super) fn add(&mut self, grammar: GrammarDigest) {
        if let Some((_, times)) = self.0.iter_mut().find(|(known, _)| *known == grammar) {
            *times += 1;
            return;
        }
        if self.0.len() == REMEMBERED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((grammar, 1));
    }

    /// Why a grammar is not followed, if it is one of them.
    pub(super) fn why_not(&self, grammar: GrammarDigest) -> Option<ModelError> {
        let reason = "the model hung more than once when it followed this schema, and had to be started anew; make its \
                      patterns and its alternatives simpler";
        let is_to_blame = self.0.iter().any(|(known, times)| *known == grammar && *times > 1);
        is_to_blame.then(|| ModelError::BadSchema { reason: reason.to_owned() })
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
            assert!(stuck.why_not([number; 32]).is_none(), "once is no proof");
            stuck.add([number; 32]);
        }

        assert_eq!(stuck.0.len(), REMEMBERED_MAX);
        assert!(stuck.why_not([0; 32]).is_none() && stuck.why_not([1; 32]).is_some());
    }
}
