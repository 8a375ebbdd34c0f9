//! Commands that the event loop accepts, and why it may refuse them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use lanyard_protocol::engine::{ModerationRefused, NewModeration, SendRefused, SentReceipt};
use lanyard_protocol::ids::{MessageId, PeerKey};
use lanyard_protocol::message::Draft;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use tokio::sync::oneshot;

use crate::event::NodeClosed;
use crate::login::granted::Granted;

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The rules or the store refused it.
    #[error("{}", sentence(.0))]
    Refused(#[from] SendRefused),
    /// The node has ended.
    #[error(transparent)]
    Closed(#[from] NodeClosed),
}

fn sentence(refused: &SendRefused) -> Cow<'static, str> {
    match refused {
        SendRefused::TooLong { bytes, max } => {
            format!("the message has {bytes} of {max} bytes; shorten it").into()
        }
        SendRefused::Empty => "the message is empty".into(),
        SendRefused::NoSuchRoom => "there is no room of that name".into(),
        SendRefused::MayNotPost => "you may not post in this room".into(),
        SendRefused::Muted { .. } => "you are muted".into(),
        SendRefused::NotAMember => "you are banned".into(),
        SendRefused::SlowDown { retry_after_ms } => {
            format!("slow down: try again in {} s", retry_after_ms.div_ceil(1_000)).into()
        }
        SendRefused::Expired => {
            "you are no longer signed in; sign in again when the login node is back".into()
        }
        SendRefused::Store(reason) => format!("the message could not be stored: {reason}").into(),
    }
}

/// Why a moderation was not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModerateError {
    /// The moderation is not allowed, or would have no effect.
    #[error(transparent)]
    Refused(#[from] ModerationRefused),
    /// The node has ended.
    #[error(transparent)]
    Closed(#[from] NodeClosed),
}

/// A request of the handle, or of the task that renews the ticket.
#[derive(Debug)]
pub(crate) enum Command {
    Send {
        draft: Draft,
        reply: oneshot::Sender<Result<SentReceipt, SendRefused>>,
    },
    Moderation {
        moderation: NewModeration,
        reply: oneshot::Sender<Result<MessageId, ModerationRefused>>,
    },
    Status(String),
    MarkRead {
        room: String,
        id: MessageId,
    },
    PublishPolicy {
        policy: Box<SignedPolicy>,
        head: Vec<u8>,
    },
    Renew(Box<Ticket>),
    /// The login server has granted a new ticket, and what comes with it.
    Granted(Box<Granted>),
    /// The login node signs nothing for now, because its clock is unsure.
    LoginNodeUnsure(String),
    /// For the authority peer: the time of the realm.
    RealmTime(u64),
    Notice {
        code: &'static str,
        text: String,
    },
    Scores(oneshot::Sender<BTreeMap<PeerKey, f64>>),
    /// Ends the store's thread, as a fault in it would.
    #[cfg(test)]
    EndStore,
    Quit(oneshot::Sender<()>),
}
