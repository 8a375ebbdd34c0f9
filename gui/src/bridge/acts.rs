//! What goes over the seam about rules and accounts: who is kept quiet or out, and one's own devices.

use lanyard_node::join::Password;
use lanyard_protocol::ids::{AccountId, PeerKey};
pub use lanyard_protocol::login::DeviceInfo;
pub use lanyard_protocol::moderation::ModerationKind;

/// Who gave a moderation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Whoever runs the login node.
    Operator,
    /// A moderator or admin of this username.
    Moderator(String),
}

/// Somebody is kept quiet or out from now on, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sanction {
    /// What it is.
    pub kind: ModerationKind,
    /// Whom it is about.
    pub account: AccountId,
    /// Its end, realm time in unix milliseconds; `None`: until it is lifted.
    pub until: Option<u64>,
    /// Why; may be empty.
    pub reason: String,
    /// By whom.
    pub by: By,
    /// When, realm time in unix milliseconds.
    pub at: u64,
}

/// A moderator's moderation to be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moderation {
    /// What is ordered.
    pub kind: ModerationKind,
    /// Whom it is about.
    pub account: AccountId,
    /// For how long, in milliseconds; `None` with [`ModerationKind::Lift`].
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
    pub revoke_others: bool,
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
