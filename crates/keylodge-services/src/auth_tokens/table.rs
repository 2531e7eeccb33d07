//! All tokens that are good, in memory: what requests look at.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use keylodge_api::Status;
use keylodge_gate::OnBehalf;
use keylodge_rules::{KeyHash, KeyUid, Presented, ProjectNumber, Refusal, Timestamp, TokenProblem};
use keylodge_store::{Ephemeral, EphemeralRecord, Sealed, StoreError, TokenScope, Vault};

use super::constraint::Constraint;
use crate::failure;
use crate::observe::chain;

/// How many tokens of one project are good at a time, used up or not.
pub(super) const TOKENS_MAX: usize = 10_000;

/// The tokens, and the file they are kept in.
#[derive(Debug)]
pub struct AuthTokens {
    file: Ephemeral,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_hash: HashMap<KeyHash, Arc<AuthToken>>,
    of_project: HashMap<ProjectNumber, usize>,
}

/// A token that is known. Some two hundred bytes; what it fixes of sessions stays in the file.
#[derive(Debug)]
pub(crate) struct AuthToken {
    pub(crate) hash: KeyHash,
    pub(crate) project: ProjectNumber,
    pub(crate) key: KeyUid,
    key_hash: KeyHash,
    pub(crate) expire_time: Timestamp,
    new_session_expire_time: Timestamp,
    scope: TokenScope,
    model: Option<Arc<str>>,
    /// None where there is no limit.
    uses_left: Option<AtomicU32>,
}

/// What a token is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// A call, which is one use.
    Call,
    /// Making another token.
    Making,
    /// A new Live session, which is one use.
    Session,
    /// A message in a session, or going on with one: no use.
    Message,
}

/// A project has as many tokens as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(super) tokens_max: usize,
}

impl AuthToken {
    fn new(record: &EphemeralRecord, model: Option<Arc<str>>) -> Self {
        Self {
            hash: record.hash,
            project: record.project,
            key: record.key,
            key_hash: record.key_hash,
            expire_time: record.expire_time,
            new_session_expire_time: record.new_session_expire_time,
            scope: record.scope,
            model,
            uses_left: record.uses_left.map(AtomicU32::new),
        }
    }

    /// For the judge: its key, and whether it is good for this use now.
    pub(crate) fn on_behalf(&self, of: Use, now: Timestamp) -> OnBehalf {
        OnBehalf { key: self.key_hash, model: self.model.clone(), problem: self.problem(of, now) }
    }

    fn problem(&self, of: Use, now: Timestamp) -> Option<TokenProblem> {
        let is_spent = self.uses_left.as_ref().is_some_and(|left| left.load(Ordering::Relaxed) == 0);
        match of {
            Use::Making => Some(TokenProblem::MakesNone),
            _ if self.expire_time <= now => Some(TokenProblem::Expired),
            // A call begins and ends: it is bound by the end of the token, not by that of new sessions.
            Use::Call if self.scope == TokenScope::Live => Some(TokenProblem::OutOfScope),
            Use::Session if self.new_session_expire_time <= now => Some(TokenProblem::TooLate),
            Use::Call | Use::Session => is_spent.then_some(TokenProblem::Spent),
            Use::Message => None,
        }
    }

    /// The refusal of a call that a token's key may make and the token may not.
    pub(crate) fn refusal(&self, problem: TokenProblem) -> Refusal {
        Refusal::Token { presented: Presented { key: self.key, project: self.project }, problem }
    }
}

impl AuthTokens {
    /// The tokens of a file that are good at `now`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn load(file: Ephemeral, vault: &Vault, now: Timestamp) -> Result<Self, StoreError> {
        let mut table = Table::default();
        for record in file.live(now).await? {
            match record.constraints.as_ref().map(|sealed| open(vault, record.project, &record.hash, sealed)) {
                Some(None) => tracing::error!(
                    "an ephemeral token cannot be opened and is refused: was it sealed under another master key?"
                ),
                Some(Some(constraint)) => table.insert(AuthToken::new(&record, constraint.model())),
                None => table.insert(AuthToken::new(&record, None)),
            }
        }
        Ok(Self { file, table: Mutex::new(table) })
    }

    /// The file that they are kept in.
    pub(super) fn file(&self) -> &Ephemeral {
        &self.file
    }

    /// The token with this hash.
    pub(crate) fn find(&self, hash: &KeyHash) -> Option<Arc<AuthToken>> {
        self.lock().by_hash.get(hash).cloned()
    }

    /// Takes a place for a token that is to be made; it is found once it is kept.
    pub(super) fn reserve(
        &self,
        record: &EphemeralRecord,
        model: Option<Arc<str>>,
        now: Timestamp,
    ) -> Result<Reserved<'_>, Full> {
        let project = record.project;
        let mut table = self.lock();
        if table.count(project) >= TOKENS_MAX {
            table.forget(now);
            if table.count(project) >= TOKENS_MAX {
                return Err(Full { tokens_max: TOKENS_MAX });
            }
        }
        *table.of_project.entry(project).or_default() += 1;
        Ok(Reserved { tokens: self, token: Some(AuthToken::new(record, model)) })
    }

    /// Uses a token once. When this has said yes, the use is on disk: whatever happens to this process then, nobody gets it
    /// again.
    pub(crate) async fn spend(&self, token: &AuthToken) -> Result<(), TokenProblem> {
        let Some(left) = &token.uses_left else { return Ok(()) };
        // In memory first, so that of many calls at once only those go to the disk that have a use.
        let taken = left.try_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        taken.map_err(|_| TokenProblem::Spent)?;
        match self.file.spend(&token.hash).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(TokenProblem::Spent),
            Err(error) => {
                tracing::error!(error = chain(&error), "a use of an ephemeral token cannot be written down");
                // If it was written after all, the file says no next time.
                left.fetch_add(1, Ordering::AcqRel);
                Err(TokenProblem::Away)
            }
        }
    }

    /// What a token fixes of sessions.
    ///
    /// # Errors
    /// When the file cannot be read: without what it fixes a token must open nothing.
    pub(crate) async fn constraint(&self, token: &AuthToken, vault: &Vault) -> Result<Option<Constraint>, Status> {
        let sealed = self.file.constraints(&token.hash).await.map_err(|error| failure::store(&error))?;
        let Some(sealed) = sealed else { return Ok(None) };
        open(vault, token.project, &token.hash, &sealed).map(Some).ok_or_else(Status::internal)
    }

    /// Forgets the tokens whose time is over at `now`, in memory and in the file.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn purge(&self, now: Timestamp) -> Result<(), StoreError> {
        self.lock().forget(now);
        self.file.purge(now).await.map(drop)
    }

    /// Closes the file once the steps under way are done.
    pub async fn close(&self) {
        self.file.close().await;
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn insert(&mut self, token: AuthToken) {
        *self.of_project.entry(token.project).or_default() += 1;
        self.by_hash.insert(token.hash, Arc::new(token));
    }

    fn count(&self, project: ProjectNumber) -> usize {
        self.of_project.get(&project).copied().unwrap_or(0)
    }

    fn forget(&mut self, now: Timestamp) {
        let Self { by_hash, of_project } = self;
        by_hash.retain(|_, token| {
            let is_good = token.expire_time > now;
            if !is_good {
                give_back(of_project, token.project);
            }
            is_good
        });
    }
}

fn give_back(of_project: &mut HashMap<ProjectNumber, usize>, project: ProjectNumber) {
    if let Some(count) = of_project.get_mut(&project) {
        *count -= 1;
        if *count == 0 {
            of_project.remove(&project);
        }
    }
}

fn open(vault: &Vault, project: ProjectNumber, hash: &KeyHash, sealed: &Sealed) -> Option<Constraint> {
    Constraint::read(&vault.open_constraints(project, hash, sealed).ok()?)
}

/// The place of a token that is being made. Dropped without being kept, it is free again.
pub(super) struct Reserved<'tokens> {
    tokens: &'tokens AuthTokens,
    token: Option<AuthToken>,
}

impl Reserved<'_> {
    /// From now on the token is found.
    pub(super) fn keep(mut self) {
        if let Some(token) = self.token.take() {
            self.tokens.lock().by_hash.insert(token.hash, Arc::new(token));
        }
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            give_back(&mut self.tokens.lock().of_project, token.project);
        }
    }
}
