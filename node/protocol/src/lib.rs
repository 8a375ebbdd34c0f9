//! The rules of a Lanyard mesh: what peers sign and exchange, and how they act on it.
//!
//! The crate does no I/O and reads no clock. A driver, such as `lanyard-node`, owns the sockets, the disk and the time.
//! It passes what happens to an [`engine::Engine`], and carries out what the engine asks for.
//!
//! | where | question |
//! |---|---|
//! | `objects` | What do peers sign and send? Tickets, messages, the policy, presence, moderations, Hellos, logins. |
//! | `encoding` | How is it encoded? CBOR, COSE signatures, identifiers, limits, text that is safe to show. |
//! | `verdict` | Why is something refused, and does gossip blame the peer that forwarded it? |
//! | `history` | Which messages count, under the policy and the moderations? |
//! | `reconcile` | How do two peers find and exchange what one of them lacks? |
//! | `delivery` | How do our own messages leave, and who has stored them? |
//! | `peers` | Whom do we admit, know, dial and link to? |
//! | `engine` | How do all these act together? |
//!
//! The login node issues a ticket, a device signs a message under it, and any peer can verify both:
//!
//! ```
//! use ed25519_dalek::SigningKey;
//! use lanyard_protocol::cose::public_key;
//! use lanyard_protocol::ids::{AccountId, Role};
//! use lanyard_protocol::message::{Content, SignedMessage, VerifiedMessage};
//! use lanyard_protocol::ticket::{Claims, Ticket};
//!
//! let [realm_key, device_key] = [[1; 32], [2; 32]].map(|bytes| SigningKey::from_bytes(&bytes));
//! let (realm, peer) = (public_key(&realm_key), public_key(&device_key));
//! let (account, id, role) = (AccountId([3; 16]), [4; 16], Role::Member);
//! let [username, nickname] = ["alice", "Alice"].map(str::to_owned);
//! let (issued_at_s, expires_at_s) = (1_800_000_000, 1_800_086_400);
//! let (device, policy) = (1, 1);
//! let claims = Claims {
//!     realm, account, id, issued_at_s, expires_at_s, peer, username, nickname, role, device, policy,
//! };
//! let ticket = Ticket::issue(claims, &realm_key);
//!
//! let (room, body, sent_at) = ("lobby".to_owned(), "hello".into(), 1_800_000_060_000);
//! let content = Content { room, session: 1, seq: 0, sent_at, body };
//! let sent = VerifiedMessage::author(content, ticket.into(), &device_key)?.to_gossip();
//!
//! let received = SignedMessage::parse(&sent)?;
//! let ticket = Ticket::verify(received.ticket_bytes(), &realm)?;
//! let message = received.verify(ticket.into())?;
//! assert_eq!(message.content().body.text, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod delivery;
mod effects;
mod encoding;
mod identity;
mod io;
mod objects;
mod peers;
mod policy_sync;

pub mod engine;
pub mod history;
pub mod reconcile;
pub mod time;
pub mod verdict;

pub use encoding::{cose, ids, limits, text, wire, words};
pub use objects::{body, hello, link, login, message, moderation, policy, presence, ticket};
pub use peers::{address_book, admission, boots, degree, roster};
pub(crate) use peers::{links, own_presence};

#[cfg(any(test, feature = "test-utils"))]
pub mod sim;
#[cfg(any(test, feature = "test-utils"))]
pub mod testing;
