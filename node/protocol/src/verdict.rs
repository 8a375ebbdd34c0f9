//! Verdicts: why something that arrived is refused, and what gossip does with it.
//!
//! Gossip punishes a peer for forwarding what should be rejected, so only what every forwarder could check itself is
//! rejected. Other refusals are ignored: the forwarder may know another policy or hold other messages.

use crate::ticket::TicketError;
use crate::wire::DecodeError;

/// What gossipsub does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// Forward it.
    Accept,
    /// Drop it and blame the peer that forwarded it.
    Reject,
    /// Drop it and blame nobody.
    Ignore,
}

/// Why a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is too long, not CBOR, not in the canonical encoding, or has a field out of range.
    #[error("malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// A known kind of object on the wrong topic.
    #[error("on the wrong topic")]
    WrongTopic,
    /// A kind of object or body that only a later version knows.
    #[error("of a later version")]
    Unknown,
    /// A message by the authority peer, which may not post. Forwarding one is harmless.
    #[error("a text under the role authority")]
    Authority,
    /// We hold it already.
    #[error("already held")]
    Held,
    /// Its ticket is not one of this realm.
    #[error("its ticket: {0}")]
    Ticket(TicketError),
    /// It names a ticket other than the one it carries.
    #[error("it names another ticket")]
    OtherTicket,
    /// The key in its ticket did not sign it.
    #[error("its signature is not valid")]
    Signature,
    /// It was sent outside the lifetime of its ticket, which a forwarder may not have checked.
    #[error("sent outside the lifetime of its ticket")]
    OutsideTicket,
    /// More than two minutes ahead of realm time, which differs a little between peers.
    #[error("ahead of realm time")]
    Ahead,
    /// More than ten minutes old, on gossip. Reconciliation delivers it instead.
    #[error("too old for gossip")]
    Old,
    /// Longer than the policy in force at its time allows.
    #[error("longer than the policy allows")]
    TooLong,
    /// The room does not exist, or the author's role may not post in it.
    #[error("may not be posted in this room")]
    MayNotPost,
    /// Its author was banned or muted, or the ticket revoked, when it was sent.
    #[error("its author was sanctioned")]
    Sanctioned,
    /// Its author's quota for that minute or day is used up by other messages, which a forwarder may not hold yet.
    #[error("over the quota of its author")]
    OverQuota,
    /// It was sent before the retention boundary.
    #[error("sent before what is kept")]
    Forgotten,
    /// More gossip from one account than an honest one sends. Reconciliation delivers the messages that count.
    #[error("too much in too short a time")]
    TooFast,
}

impl Refused {
    /// A stable word for counters and logs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::WrongTopic => "wrong-topic",
            Self::Unknown => "unknown",
            Self::Authority => "authority",
            Self::Held => "held",
            Self::Ticket(_) => "ticket",
            Self::OtherTicket => "other-ticket",
            Self::Signature => "signature",
            Self::OutsideTicket => "outside-ticket",
            Self::Ahead => "ahead",
            Self::Old => "old",
            Self::TooLong => "too-long",
            Self::MayNotPost => "may-not-post",
            Self::Sanctioned => "sanctioned",
            Self::OverQuota => "over-quota",
            Self::Forgotten => "forgotten",
            Self::TooFast => "too-fast",
        }
    }

    /// What gossip does with it. There is no default case, so every new refusal needs a decision here.
    #[must_use]
    pub fn acceptance(self) -> Acceptance {
        match self {
            Self::Malformed(_)
            | Self::WrongTopic
            | Self::Ticket(_)
            | Self::OtherTicket
            | Self::Signature => Acceptance::Reject,
            Self::Unknown
            | Self::Authority
            | Self::Held
            | Self::OutsideTicket
            | Self::Ahead
            | Self::Old
            | Self::TooLong
            | Self::MayNotPost
            | Self::Sanctioned
            | Self::OverQuota
            | Self::Forgotten
            | Self::TooFast => Acceptance::Ignore,
        }
    }
}
