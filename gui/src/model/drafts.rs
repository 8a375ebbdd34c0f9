//! What was being typed when the window closed: a draft for each realm, account and room.
//!
//! They are kept in one small JSON file in the profile folder.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use lanyard_node::Status;
use serde::{Deserialize, Serialize};

use crate::model::settings;

const FILE_NAME: &str = "drafts.json";

/// All drafts of a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Drafts {
    by_account: BTreeMap<String, BTreeMap<String, String>>,
}

impl Drafts {
    /// The drafts of an account, by room.
    #[must_use]
    pub fn of(&self, status: &Status) -> BTreeMap<String, String> {
        self.by_account.get(&key(status)).cloned().unwrap_or_default()
    }

    /// Remembers the drafts of an account. Returns whether that changed anything.
    pub fn keep(&mut self, status: &Status, drafts: BTreeMap<String, String>) -> bool {
        let key = key(status);
        if self.by_account.get(&key).map_or(drafts.is_empty(), |kept| *kept == drafts) {
            return false;
        }
        if drafts.is_empty() {
            self.by_account.remove(&key);
        } else {
            self.by_account.insert(key, drafts);
        }
        true
    }

    /// Reads the drafts of a profile. A file that cannot be read counts as empty.
    #[must_use]
    pub fn load(profile: &Path) -> Self {
        settings::read(profile, FILE_NAME)
    }

    /// Writes the drafts, whole or not at all.
    ///
    /// # Errors
    /// The error of the file system.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        settings::write(dir, FILE_NAME, &serde_json::to_vec(self)?)
    }
}

/// A profile may know several realms, and several accounts in each.
fn key(status: &Status) -> String {
    format!("{}/{}", status.realm, status.me.username)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::demo;

    #[test]
    fn drafts_come_back_for_their_account_only() {
        let dir = tempfile::tempdir().unwrap();
        let ada = demo::status(0, &[0]);
        let mut bob = ada.clone();
        bob.me.username = "bob".into();
        let typed = BTreeMap::from([("lobby".to_owned(), "half a".to_owned())]);
        let mut drafts = Drafts::load(dir.path());
        assert!(drafts.keep(&ada, typed.clone()));
        assert!(!drafts.keep(&ada, typed.clone()), "nothing to write");
        drafts.save(dir.path()).unwrap();
        let mut read = Drafts::load(dir.path());
        assert_eq!(read.of(&ada), typed);
        assert!(read.of(&bob).is_empty());
        assert!(read.keep(&ada, BTreeMap::new()));
        assert_eq!(read, Drafts::default());
        std::fs::write(dir.path().join(FILE_NAME), b"{").unwrap();
        assert_eq!(Drafts::load(dir.path()), Drafts::default());
    }
}
