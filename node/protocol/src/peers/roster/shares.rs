//! Which devices of the roster belong to which account, so that none takes more than its share of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{AccountId, PeerKey};

/// The devices of each account.
#[derive(Debug, Default)]
pub(super) struct Shares {
    accounts: BTreeMap<AccountId, BTreeSet<PeerKey>>,
}

impl Shares {
    pub(super) fn add(&mut self, account: AccountId, peer: PeerKey) {
        self.accounts.entry(account).or_default().insert(peer);
    }

    pub(super) fn remove(&mut self, account: AccountId, peer: PeerKey) {
        if let Some(devices) = self.accounts.get_mut(&account) {
            devices.remove(&peer);
            if devices.is_empty() {
                self.accounts.remove(&account);
            }
        }
    }

    /// The devices of an account.
    pub(super) fn of(&self, account: AccountId) -> impl Iterator<Item = &PeerKey> {
        self.accounts.get(&account).into_iter().flatten()
    }

    /// The accounts, the one with the most devices first.
    pub(super) fn largest_first(&self) -> Vec<AccountId> {
        let mut accounts: Vec<_> =
            self.accounts.iter().map(|(account, devices)| (devices.len(), *account)).collect();
        accounts.sort_unstable_by(|one, other| other.cmp(one));
        accounts.into_iter().map(|(_devices, account)| account).collect()
    }
}
