//! What a restore must not lose: the newest policy number, the largest signed time, ids already used, and moderations.

use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::policy::{Policy, Sanction, SettlementVerdict, SignedPolicy};

use super::Missing;
use crate::store::moderations::ModerationRow;
use crate::store::sanctions::SanctionRow;
use crate::store::{Db, Store, StoreError, accounts, meta, moderations, policies, sanctions};

fn signed_policy(store: &Store, realm: PeerKey) -> Result<Option<SignedPolicy>, StoreError> {
    let row = policies::newest(store.reader())?;
    Ok(row.and_then(|row| SignedPolicy::verify(&row.document, &realm).ok()))
}

/// Carries over what a restore must not lose. Returns the sanctions of the newest policy that end with the restore;
/// `None` if there is no policy.
pub(super) fn carry_over(
    copy: &mut Store,
    present: &Store,
    realm: PeerKey,
    now: u64,
) -> Result<Option<Vec<Missing>>, StoreError> {
    let newest = signed_policy(present, realm)?;
    let mark = meta::number(present.reader(), meta::TIME_MARK)?.unwrap_or(0);
    let row = policies::newest(present.reader())?;
    let missing =
        newest.as_ref().map(|signed| missing(copy, signed.policy(), now.max(mark))).transpose()?;
    copy.write(|tx| {
        meta::raise_time_mark(tx, mark)?;
        let known = policies::newest(tx)?.map_or(0, |known| known.number);
        if let Some(row) = row.filter(|row| row.number > known) {
            policies::insert(tx, &row)?;
        }
        for moderation in moderations::list(present.reader())? {
            carry_moderation_over(tx, &moderation, now)?;
        }
        let ids = newest.iter().flat_map(|signed| &signed.policy().sanctions);
        let highest = ids.map(|sanction| sanction.id).max().unwrap_or(0);
        sanctions::reserve_ids(tx, highest)
    })?;
    Ok(missing)
}

fn carry_moderation_over(
    tx: Db<'_>,
    moderation: &ModerationRow,
    now: u64,
) -> Result<(), StoreError> {
    if accounts::by_id(tx, moderation.account)?.is_none() {
        return Ok(());
    }
    moderations::insert(tx, moderation, now)?;
    let refused = SettlementVerdict::Refused;
    if moderation.verdict == Some(refused) && moderations::verdict(tx, moderation.id)?.is_none() {
        moderations::settle(tx, moderation.id, refused, now)?;
    }
    Ok(())
}

/// The sanctions of a policy that have not ended and that the copy does not know.
fn missing(copy: &Store, policy: &Policy, now: u64) -> Result<Vec<Missing>, StoreError> {
    let known = sanctions::list(copy.reader())?;
    let is_known = |sanction: &Sanction| {
        known.iter().any(|SanctionRow { sanction: row, .. }| {
            (row.sub, row.kind, row.peer) == (sanction.sub, sanction.kind, sanction.peer)
                && (row.from, row.until) == (sanction.from, sanction.until)
        })
    };
    let ended = |sanction: &&Sanction| sanction.until.is_some_and(|until| until <= now);
    let lost = policy.sanctions.iter().filter(|sanction| !ended(sanction) && !is_known(sanction));
    lost.map(|sanction| {
        let account = accounts::by_id(copy.reader(), sanction.sub)?;
        let username = account.map(|account| account.username);
        Ok(Missing { username, sanction: sanction.clone() })
    })
    .collect()
}
