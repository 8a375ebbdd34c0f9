//! What a backup contains, for the operator to compare with what was expected.

use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::policy::SanctionKind;

use crate::policy::DEFAULT_NAME;
use crate::store::{Store, StoreError, accounts, meta, policies, sanctions};

/// What a backup contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// When it was made, realm time in milliseconds; `None` if it is not signed.
    pub made_at: Option<u64>,
    /// The realm.
    pub realm: PeerKey,
    /// The realm's display name.
    pub name: String,
    /// The number of accounts.
    pub accounts: usize,
    /// The number of devices that are logged in.
    pub devices: u64,
    /// The number of bans and mutes in force at the time of the restore.
    pub sanctions: usize,
    /// The number of the newest policy; `None` if there is none.
    pub policy: Option<u64>,
}

impl Content {
    /// Counts what is in a database.
    pub(super) fn of(
        store: &Store,
        made_at: Option<u64>,
        realm: PeerKey,
        now: u64,
    ) -> Result<Self, StoreError> {
        let db = store.reader();
        let all = accounts::list(db)?;
        let is_in_force = |row: &sanctions::SanctionRow| {
            row.sanction.kind != SanctionKind::Revocation
                && row.sanction.until.is_none_or(|until| now < until)
        };
        Ok(Self {
            made_at,
            realm,
            name: meta::text(db, meta::REALM_NAME)?.unwrap_or_else(|| DEFAULT_NAME.to_owned()),
            accounts: all.len(),
            devices: all.iter().map(|(_account, devices)| devices).sum(),
            sanctions: sanctions::list(db)?.iter().filter(|row| is_in_force(row)).count(),
            policy: policies::newest(db)?.map(|row| row.number),
        })
    }
}
