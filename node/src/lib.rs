//! A peer of a Lanyard realm: chat on a local network that works without a server once you have signed in.
//!
//! A node holds a ticket that the realm's login node has signed. It links with other peers over libp2p, keeps every
//! message of its rooms in SQLite, and fills in what it has missed. The rules are those of [`lanyard_protocol`], which
//! does no I/O; this crate gives them a network, a disk and a clock.
//!
//! [`join()`] signs in and starts a [`Node`]. The handle is cheap to clone and has three sides: methods that send
//! commands, [`Node::events`] for what happens, and [`Node::status`] for the current state. This example signs in,
//! sends a message, and prints all messages from then on:
//!
//! ```no_run
//! use lanyard_node::{Draft, JoinRequest, NodeEvent, join};
//!
//! # async fn chat(link: &str, password: String) -> Result<(), Box<dyn std::error::Error>> {
//! let request = JoinRequest {
//!     link: link.parse()?,
//!     username: "ada".to_owned(),
//!     password: Some(password.into()),
//!     nickname: None,
//!     profile: "profile-of-ada".into(),
//!     listen: Vec::new(),
//! };
//! let node = join(request, |_step| ()).await?.node;
//! node.send(Draft::new("lobby", "Hello!")).await?;
//! let mut events = node.events();
//! while let Ok(event) = events.recv().await {
//!     if let NodeEvent::Message(message) = event {
//!         println!("{}: {}", message.nickname, message.body.text);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/echo.rs` is a bot that answers. A program with a user interface must first pass the texts and names of
//! others through [`lanyard_protocol::text`].
//!
//! | module | what it has |
//! |---|---|
//! | [`login`] | joining, renewing the ticket, and what else is asked of the login node |
//! | [`event`], [`status`], [`refusal`] | what a node tells its user |
//! | [`store`] | the messages on disk |
//! | [`profile`], [`keyfile`], [`private`] | the folder of a device, which only its owner can read |
//! | [`transport`] | libp2p: the gate that checks tickets, the behaviours, ports |
//! | `driver` | the loop between the engine of the rules and all of the above |
//! | [`names`] | when two typed names are the same name |
//! | [`clock`], [`random`] | the only reads of clocks and of randomness |

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

pub use driver::command::{ModerateError, SendError};
pub use driver::start::{NodeConfig, StartError};
pub use event::{ChatMessage, NodeClosed, NodeEvent, Via};
pub use handle::Node;
pub use lanyard_protocol::body::Body;
pub use lanyard_protocol::engine::{NewModeration, Progress, SendRefused, SentReceipt};
pub use lanyard_protocol::message::Draft;
pub use login::{JoinRequest, JoinStep, Joined, LoginServerError, Password, join};
pub use refusal::{Refusal, RefusalCode};
pub use status::Status;
pub use store::{History, Page, ReadError};
