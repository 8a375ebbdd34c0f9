//! A realm as a command sees it: its database, one transaction on it, and the wait for `serve` to sign the result.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use super::answer::{Answers, Failure};
use crate::acts::{self, ActError};
use crate::folder::{self, lock};
use crate::store::{Db, Store, StoreError};
use crate::{clock, policy};

/// How long a command waits for `serve` to sign. It takes two seconds at most, unless the machine is overloaded.
const WAIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A data folder on which `serve` has run at least once, and where the answers about it go.
pub(super) struct Realm {
    pub(super) data_dir: PathBuf,
    pub(super) answers: Answers,
}

impl Realm {
    pub(super) fn open(data_dir: PathBuf, answers: Answers) -> Result<Self, Failure> {
        let realm = Self { data_dir, answers };
        // Opened once right away, so that nobody types a password for nothing.
        realm.store()?;
        Ok(realm)
    }

    pub(super) fn store(&self) -> Result<Store, Failure> {
        folder::has_database_beside_keys(&self.data_dir)
            .map_err(|error| Failure::Fault(error.into()))?;
        Store::open(&self.data_dir).map_err(|error| match error {
            StoreError::Missing { .. } => Failure::refused(
                "not-initialised",
                format!(
                    "there is no realm in {} yet; run `lanyard-rendezvous serve` on it once",
                    self.data_dir.display()
                ),
            ),
            other => Failure::Fault(other.into()),
        })
    }

    pub(super) fn is_served(&self) -> Result<bool, Failure> {
        Ok(lock::is_held(&self.data_dir).context("cannot look for serve")?)
    }

    /// Makes a change in one transaction, and answers with the number of the policy that contains it.
    pub(super) fn act(
        &self,
        words: &str,
        change: impl FnOnce(Db<'_>, u64) -> Result<(), ActError>,
    ) -> Result<(), Failure> {
        self.act_with(words, None, change)
    }

    pub(super) fn act_with(
        &self,
        words: &str,
        warning: Option<&str>,
        change: impl FnOnce(Db<'_>, u64) -> Result<(), ActError>,
    ) -> Result<(), Failure> {
        let mut store = self.store()?;
        acts::perform(&mut store, clock::unix_ms(), change)?;
        self.answers.done(self.wait_for_policy(&store)?, words, warning)
    }

    /// The number of the policy that contains what was just written; `None` if `serve` does not run.
    pub(super) fn wait_for_policy(&self, store: &Store) -> Result<Option<u64>, Failure> {
        let started = clock::monotonic();
        loop {
            if let Some(number) = policy::number_in_force(store.reader())? {
                return Ok(Some(number));
            }
            if !self.is_served()? {
                return Ok(None);
            }
            if clock::monotonic().saturating_duration_since(started) >= WAIT {
                let words = "this is written but not in force: `serve` has not signed it, and its log says why";
                return Err(Failure::Fault(anyhow::anyhow!(words)));
            }
            // Another process does the work, so nothing can wake this thread.
            std::thread::park_timeout(LOOK_EVERY);
        }
    }
}
