//! Verdicts: why something that arrived is not taken in, and what gossip does with it.

use crate::ticket::TicketError;
use crate::wire::DecodeError;

/// What gossipsub is told about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// Forward it.
    Accept,
    /// Drop it; its forwarder is to blame.
    Reject,
    /// Drop it; nobody is to blame.
    Ignore,
}

/// Why a message is not taken in. What was not the forwarder's to see is only ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Over 16 KiB, not CBOR, not the one encoding, or a field out of range.
    ///
    /// Blame: the forwarder, who must have seen it.
    #[error("malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// A known kind of object on the wrong topic.
    ///
    /// Blame: the forwarder.
    #[error("on the wrong topic")]
    WrongTopic,
    /// A kind of object, or of body, of a later version.
    ///
    /// Blame: nobody.
    #[error("of a later version")]
    Unknown,
    /// The rendezvous' node may not write.
    ///
    /// Blame: nobody; forwarding it is harmless.
    #[error("a text under the role authority")]
    Authority,
    /// The id is already held.
    ///
    /// Blame: nobody.
    #[error("already held")]
    Held,
    /// Its ticket is none of this realm.
    ///
    /// Blame: the forwarder.
    #[error("its ticket: {0}")]
    Ticket(TicketError),
    /// It names another ticket than the one it carries.
    ///
    /// Blame: the forwarder.
    #[error("it names another ticket")]
    OtherTicket,
    /// Not signed by the key in its ticket.
    ///
    /// Blame: the forwarder.
    #[error("its signature is not valid")]
    Signature,
    /// Sent outside the life of its ticket.
    ///
    /// Blame: the author; but a forwarder may not have looked.
    #[error("sent outside the life of its ticket")]
    OutsideTicket,
    /// Over two minutes ahead of realm time, which every peer knows a little differently.
    ///
    /// Blame: nobody.
    #[error("ahead of realm time")]
    Ahead,
    /// Over ten minutes old, on gossip.
    ///
    /// Blame: nobody; reconciliation brings it.
    #[error("too old for gossip")]
    Old,
    /// Longer than the policy in force at its time allows.
    ///
    /// Blame: the author; a forwarder may know another policy.
    #[error("longer than the policy allows")]
    TooLong,
    /// No such room, or the role may not post in it.
    ///
    /// Blame: the author; a forwarder may know another policy.
    #[error("may not be posted in this room")]
    MayNotPost,
    /// Banned, cut or muted when it was sent.
    ///
    /// Blame: the author; a forwarder may know another policy.
    #[error("its author was sanctioned")]
    Sanctioned,
    /// Its author has said enough in that minute or on that day.
    ///
    /// Blame: the author; a forwarder may not hold the same messages yet.
    #[error("over the quota of its author")]
    OverQuota,
    /// Sent before the retention boundary.
    ///
    /// Blame: nobody.
    #[error("sent before what is kept")]
    Forgotten,
    /// On gossip, more from one account than anybody needs to change in so short a time.
    ///
    /// Blame: nobody; reconciliation brings what is left of it in the end.
    #[error("too much in too short a time")]
    TooFast,
}

impl Refused {
    /// A short stable word, for counting and for logs.
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

    /// Reject only what the forwarder itself could have seen. No default case: a new refusal must decide.
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
