//! Answers to commands, before they take one of the two forms.

use lanyard_node::status::Room;
use lanyard_node::{History, Status};
use lanyard_protocol::engine::SentReceipt;
use lanyard_protocol::ids::{MessageId, Role};
use lanyard_protocol::login::DeviceInfo;

/// The answer to a command.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    Sent(SentReceipt),
    History(History),
    Roster(&'a Status),
    Status(&'a Status),
    Ticket(&'a [u8]),
    /// The id of a moderation.
    Moderated(MessageId),
    Devices(&'a [DeviceInfo]),
    /// The room that the user entered, and the user's role.
    Room(&'a Room, Role),
    /// All rooms, and the name of the current one.
    Rooms(&'a Status, &'a str),
    /// Success, with nothing to show.
    Done,
    Help,
    Quit,
}
