//! The Lanyard peer.

pub mod clock;
mod driver;
pub mod event;
mod handle;
mod host;
pub mod keyfile;
pub mod login;
pub mod names;
pub mod private;
pub mod profile;
pub mod random;
pub mod refusal;
pub mod status;
pub mod store;
pub mod transport;

pub use handle::{ModerateError, Node, NodeConfig, SendError, StartError};
pub use login::join;

/// The old name of [`login`].
#[doc(hidden)]
pub mod join {
    pub use crate::login::{JoinRequest, JoinStep, Joined, Password, has_ticket, join};
}

/// The old name of [`login`].
#[doc(hidden)]
pub mod login_node {
    pub use crate::login::{LoginServer, LoginServerError};
}

/// The old name of [`transport`].
#[doc(hidden)]
pub mod net {
    pub use crate::transport::{self, codec, ports};
}

/// The old name of the handle.
#[doc(hidden)]
pub mod node {
    pub use crate::handle::{
        History, ModerateError, Node, NodeClosed, NodeConfig, PAGE_MAX, Page, ReadError, SendError,
        StartError,
    };
    pub use lanyard_protocol::engine::SentReceipt as Sent;
}
