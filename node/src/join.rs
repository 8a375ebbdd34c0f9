//! Joining a realm: profile, login or stored ticket, and a running node at the end.

use std::net::SocketAddr;
use std::path::PathBuf;

use lanyard_protocol::link::JoinLink;

use crate::event::Refusal;
use crate::node::Node;

/// A password. Zeroised when dropped, and never shown by `Debug`.
pub type Password = zeroize::Zeroizing<String>;

/// What somebody gives to be let in.
#[derive(Debug)]
pub struct JoinRequest {
    /// The realm and where its desk is.
    pub link: JoinLink,
    /// The unique name.
    pub username: String,
    /// With a password, the password decides if the desk answers. Without, a stored valid ticket does.
    pub password: Option<Password>,
    /// A wish for a display name; the desk decides.
    pub nickname: Option<String>,
    /// The profile folder.
    pub profile: PathBuf,
    /// Where to listen for peers; empty for every address and the port used last.
    pub listen: Vec<SocketAddr>,
}

/// What joining is doing right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinStep {
    /// Reaching the desk.
    Connecting,
    /// The desk checks the password.
    Checking,
    /// The node starts.
    Joining,
}

/// A node that is in.
#[derive(Debug)]
pub struct Joined {
    /// The running node.
    pub node: Node,
    /// True if a stored ticket let us in because the desk did not answer.
    pub offline: bool,
    /// Code and sentence of what the user should know, such as a clock that is off.
    pub notices: Vec<(&'static str, String)>,
}

/// Joins, telling `progress` each step.
///
/// # Errors
/// A [`Refusal`] with a code and a sentence that says what to do.
pub async fn join(
    request: JoinRequest,
    progress: impl Fn(JoinStep) + Send,
) -> Result<Joined, Refusal> {
    drop(request);
    progress(JoinStep::Connecting);
    std::future::pending().await
}
