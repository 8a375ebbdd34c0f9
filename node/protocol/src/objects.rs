//! The signed objects of the mesh and the messages of its protocols: their content and their exact bytes.

pub mod body;
pub mod hello;
pub mod link;
pub mod login;
pub mod message;
pub mod moderation;
pub mod policy;
pub mod presence;
pub mod ticket;

use crate::cose::{Envelope, Kind};
use crate::verdict::Refused;

/// Parses the envelope of an object that arrived where only this kind is expected.
fn envelope_of(kind: Kind, bytes: &[u8], max: usize) -> Result<Envelope<'_>, Refused> {
    let envelope = Envelope::parse(bytes, max)?;
    match envelope.kind {
        Some(found) if found == kind => Ok(envelope),
        Some(_other) => Err(Refused::WrongTopic),
        None => Err(Refused::Unknown),
    }
}
