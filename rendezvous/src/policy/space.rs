//! The space in the policy: who may take how much of it, and what gives way in a database that holds too much.
//!
//! All peers hold the whole policy, so it has a largest size, and what members may add to it must not keep the operator
//! from a ban:
//!
//! ```text
//!  revocations by the owners of accounts    a quarter, and a fixed number per account
//!  settled moderations                      a quarter
//!  everything except bans                   three quarters
//!  everything                               the whole
//! ```
//!
//! What can be lifted or archived is counted as if it already were, so that doing so adds nothing. An act that adds
//! nothing is always allowed.

use std::collections::{BTreeMap, BTreeSet};

use lanyard_protocol::ids::{AccountId, PeerKey};
use lanyard_protocol::limits::POLICY_BYTES_MAX;
use lanyard_protocol::policy::{Policy, Sanction, SanctionKind};
use lanyard_protocol::wire;

use crate::store::audit::OPERATOR;

/// How many revocations by its owner the policy may have of one account.
pub const OWN_REVOCATIONS_MAX: usize = 32;
const QUARTER: usize = POLICY_BYTES_MAX / 4;
/// What all but bans may take, in bytes.
const EXCEPT_BANS_MAX: usize = 3 * QUARTER;
/// The signature's envelope, the numbers that are filled in when it is signed, and the heads of the arrays, in bytes.
const FRAME_BYTES: usize = 512;
/// `until` with a date, in bytes.
const UNTIL_BYTES: usize = 15;
/// `archived_from` with a date, in bytes.
const ARCHIVED_BYTES: usize = 23;

/// What decides whether a sanction is still needed, in realm milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// The present time.
    pub now: u64,
    /// All tickets that were issued before this time have ended.
    pub tickets_since: u64,
}

/// What there is no space for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// A revocation by the owner of an account.
    #[error("members have logged out too many devices; ask the operator to log this one out")]
    OwnRevocations,
    /// A settled moderation.
    #[error(
        "the policy has no space for another settled moderation until old ones leave it at the end of their retention \
         time; ban, unban, mute or unmute instead"
    )]
    Settlements,
    /// Anything except a ban.
    #[error(
        "the policy is full ({POLICY_BYTES_MAX} bytes, a quarter of them for bans); ended sanctions, old limits and \
         archived rooms leave it at the end of their retention time. Bans and lifting still work"
    )]
    ExceptBans,
    /// A ban.
    #[error(
        "the policy is full ({POLICY_BYTES_MAX} bytes) of what is in force, and this ban would not be; lift bans that \
         are no longer needed"
    )]
    Bans,
}

/// How many bytes of a policy are taken by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Taken {
    own_revocations: usize,
    settlements: usize,
    bans: usize,
    /// Everything except bans.
    except_bans: usize,
}

impl Taken {
    fn by(policy: &Policy) -> Self {
        let frame = Policy { sanctions: Vec::new(), settled: Vec::new(), ..policy.clone() };
        let open = policy.rooms.iter().filter(|room| room.archived_from.is_none()).count();
        let frame = wire::encode(&frame).len() + FRAME_BYTES + open * ARCHIVED_BYTES;
        let settlements = policy.settled.iter().map(|settled| wire::encode(settled).len()).sum();
        let bytes_of = |which: &dyn Fn(&Sanction) -> bool| -> usize {
            policy.sanctions.iter().filter(|sanction| which(sanction)).map(bytes).sum()
        };
        let others = bytes_of(&|sanction| sanction.kind != SanctionKind::Ban);
        Self {
            own_revocations: bytes_of(&is_own),
            settlements,
            bans: bytes_of(&|sanction| sanction.kind == SanctionKind::Ban),
            except_bans: frame + settlements + others,
        }
    }

    fn total(&self) -> usize {
        self.bans + self.except_bans
    }
}

/// The length in bytes of a policy, counted as its limits are.
#[must_use]
pub fn taken(policy: &Policy) -> usize {
    Taken::by(policy).total()
}

/// The length in bytes of a sanction, with an end if it may get one.
fn bytes(sanction: &Sanction) -> usize {
    let may_end = sanction.until.is_none() && sanction.kind != SanctionKind::Revocation;
    wire::encode(sanction).len() + if may_end { UNTIL_BYTES } else { 0 }
}

/// Whether this is a revocation by the owner of the account.
fn is_own(sanction: &Sanction) -> bool {
    sanction.kind == SanctionKind::Revocation && sanction.by != OPERATOR
}

/// How many revocations by its owner the policy has of an account.
#[must_use]
pub fn own_revocations(policy: &Policy, account: AccountId) -> usize {
    policy.sanctions.iter().filter(|sanction| sanction.sub == account && is_own(sanction)).count()
}

/// Checks an act, by the policies before and after it.
///
/// # Errors
/// [`Full`] if the act takes space that it may not take.
pub fn check(before: &Policy, after: &Policy, times: Times) -> Result<(), Full> {
    let (was, is) = (Taken::by(before), Taken::by(after));
    if is.own_revocations > QUARTER.max(was.own_revocations) {
        return Err(Full::OwnRevocations);
    }
    if is.settlements > QUARTER.max(was.settlements) {
        return Err(Full::Settlements);
    }
    let is_over = is.total() > POLICY_BYTES_MAX.max(was.total());
    if is.except_bans > was.except_bans && (is.except_bans > EXCEPT_BANS_MAX || is_over) {
        return Err(Full::ExceptBans);
    }
    // A ban may push out what has ended, but one that cannot be signed even then must not look successful.
    let can_be_signed = || {
        let mut fitted = after.clone();
        leave_out(&mut fitted, times);
        taken(&fitted) <= POLICY_BYTES_MAX
    };
    if is_over && !can_be_signed() { Err(Full::Bans) } else { Ok(()) }
}

/// Drops each revocation that another one repeats: of the same device from the same moment, or of the whole account
/// from the same moment. Nothing else could be dropped without judging some message differently.
pub fn merge(policy: &mut Policy) {
    let moments = policy.sanctions.iter().filter(|sanction| is_of_account(sanction));
    let of_accounts: BTreeSet<_> = moments.map(|sanction| (sanction.sub, sanction.from)).collect();
    let mut seen = BTreeSet::new();
    policy.sanctions.retain(|sanction| {
        let is_covered =
            sanction.peer.is_some() && of_accounts.contains(&(sanction.sub, sanction.from));
        sanction.kind != SanctionKind::Revocation
            || (!is_covered && seen.insert((sanction.sub, sanction.peer, sanction.from)))
    });
}

fn is_of_account(sanction: &Sanction) -> bool {
    sanction.kind == SanctionKind::Revocation && sanction.peer.is_none()
}

/// Brings each account's own revocations down to their number if they leave too little space for everything else: an
/// earlier release allowed more. One that keeps a ticket out stays. Returns how many are left out.
pub fn trim(policy: &mut Policy, times: Times) -> usize {
    if Taken::by(policy).except_bans <= EXCEPT_BANS_MAX {
        return 0;
    }
    let (newest, all) = (Newest::of(policy, times), policy.sanctions.len());
    let mut counts: BTreeMap<AccountId, usize> = BTreeMap::new();
    policy.sanctions.sort_by_key(|sanction| std::cmp::Reverse(sanction.id));
    policy.sanctions.retain(|sanction| {
        if !is_own(sanction) {
            return true;
        }
        let count = counts.entry(sanction.sub).or_default();
        *count += 1;
        *count <= OWN_REVOCATIONS_MAX || newest.keeps_out(sanction)
    });
    policy.sanctions.reverse();
    all - policy.sanctions.len()
}

/// Leaves out of a policy that is too large what is needed least, until it fits: the reasons of what has ended, then
/// revocations that keep no ticket out any more, then bans and mutes that have ended. Only messages of the past can look
/// different by that. What is in force stays, even if it does not fit. Returns how many sanctions are left out.
pub fn leave_out(policy: &mut Policy, times: Times) -> usize {
    if taken(policy) <= POLICY_BYTES_MAX {
        return 0;
    }
    let newest = Newest::of(policy, times);
    let is_over = |sanction: &Sanction| match sanction.kind {
        SanctionKind::Revocation => !newest.keeps_out(sanction),
        SanctionKind::Ban | SanctionKind::Mute => {
            sanction.until.is_some_and(|until| until <= times.now)
        }
    };
    let mut over = Vec::new();
    for sanction in policy.sanctions.iter_mut().filter(|sanction| is_over(sanction)) {
        sanction.reason.clear();
        let is_revocation = sanction.kind == SanctionKind::Revocation;
        over.push((!is_revocation, sanction.from, sanction.id, bytes(sanction)));
    }
    over.sort_unstable();
    let mut excess = taken(policy).saturating_sub(POLICY_BYTES_MAX);
    let mut out = BTreeSet::new();
    for (_order, _from, id, bytes) in over {
        if excess == 0 {
            break;
        }
        excess = excess.saturating_sub(bytes);
        out.insert(id);
    }
    policy.sanctions.retain(|sanction| !out.contains(&sanction.id));
    out.len()
}

/// The newest revocation of each account and of each device. All earlier tickets fall under it.
struct Newest {
    from: BTreeMap<(AccountId, Option<PeerKey>), u64>,
    times: Times,
}

impl Newest {
    fn of(policy: &Policy, times: Times) -> Self {
        let mut newest = BTreeMap::new();
        for sanction in &policy.sanctions {
            if sanction.kind == SanctionKind::Revocation {
                let from = newest.entry((sanction.sub, sanction.peer)).or_insert(0);
                *from = sanction.from.max(*from);
            }
        }
        Self { from: newest, times }
    }

    /// Whether a ticket may be let in again without this revocation: one that has not ended, and that no later
    /// revocation covers.
    fn keeps_out(&self, sanction: &Sanction) -> bool {
        let later =
            |peer| self.from.get(&(sanction.sub, peer)).is_some_and(|at| *at > sanction.from);
        sanction.from > self.times.tickets_since && !later(sanction.peer) && !later(None)
    }
}

#[cfg(test)]
mod tests;
