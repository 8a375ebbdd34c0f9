//! What goes over the seam about rules and accounts: who is kept quiet or out, and one's own devices.

use std::collections::BTreeSet;

use lanyard_node::join::Password;
use lanyard_protocol::ids::{AccountId, PeerKey};

/// What the rules say of people right now, beside what the node's status says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Who is online, but has not touched the computer for a while.
    pub away: BTreeSet<AccountId>,
    /// End of the mute on ourselves, realm time in unix milliseconds.
    pub muted_until: Option<u64>,
    /// Whether we are banned.
    pub banned: bool,
}

/// What keeps somebody quiet or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SanctionKind {
    /// Reading goes on, writing does not.
    Mute,
    /// Neither.
    Ban,
}

/// Who gave a sanction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Whoever runs the login node.
    Operator,
    /// A moderator or admin of this username.
    Moderator(String),
}

/// A sanction that came into force, or ended before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sanction {
    /// What it is.
    pub kind: SanctionKind,
    /// Whom it hits: the unique name.
    pub username: String,
    /// Whom it hits: the display name.
    pub nickname: String,
    /// Its end, realm time in unix milliseconds; `None`: until it is lifted.
    pub until: Option<u64>,
    /// Why; may be empty.
    pub reason: String,
    /// By whom.
    pub by: By,
    /// Whether it has been taken back.
    pub lifted: bool,
    /// When, realm time in unix milliseconds.
    pub at: u64,
}

/// What a moderator orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKind {
    /// A mute.
    Mute,
    /// A ban.
    Ban,
    /// The end of either.
    Lift,
}

/// A moderator's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moderation {
    /// What is ordered.
    pub kind: OrderKind,
    /// Whom it is about.
    pub account: AccountId,
    /// For how long, in milliseconds; `None` with [`OrderKind::Lift`].
    pub for_ms: Option<u64>,
    /// Why, in words for everybody.
    pub reason: String,
}

/// A new password for the own account.
#[derive(Debug)]
pub struct PasswordChange {
    /// The one in force.
    pub old: Password,
    /// The one to come.
    pub new: Password,
    /// Whether all other devices are logged out.
    pub cut_others: bool,
}

/// A device of the own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its number within the account.
    pub number: u64,
    /// Its key.
    pub peer: PeerKey,
    /// Whether it is this one.
    pub this: bool,
    /// Whether it is in the mesh now.
    pub online: bool,
    /// When it was last seen, unix milliseconds; 0 if never.
    pub last_seen_ms: u64,
}

/// Whose password it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The realm.
    pub realm: PeerKey,
    /// The unique name there.
    pub username: String,
}

/// What is asked of the system's keyring.
#[derive(Debug)]
pub enum KeyringOrder {
    /// Look a password up.
    Recall(Holder),
    /// Keep it.
    Keep(Holder, Password),
    /// Forget it.
    Forget(Holder),
}
