//! Writes to the store. Its queue is bounded, and the loop never waits for it. If there is no room, a message goes back
//! to the engine and arrives again later; everything else waits here.

use lanyard_protocol::engine::Input;
use lanyard_protocol::history::AdmittedMessage;

use super::EventLoop;
use crate::event::Via;
use crate::store::Write;

/// How many writes may wait for room. No message is taken while any wait, so they are few.
const BACKLOG_MAX: usize = 4_096;

impl EventLoop {
    /// Writes something other than a message, which must not be dropped.
    pub(super) fn write(&mut self, write: Write) {
        self.write_backlog();
        if self.state.backlog.is_empty() {
            if let Err(write) = self.writer.try_write(write) {
                self.state.backlog.push_back(*write);
            }
        } else if self.state.backlog.len() < BACKLOG_MAX {
            self.state.backlog.push_back(write);
        } else {
            tracing::error!("The store cannot keep up; a write was left out");
        }
    }

    /// Writes what was waiting, oldest first.
    pub(super) fn write_backlog(&mut self) {
        while let Some(write) = self.state.backlog.pop_front() {
            if let Err(write) = self.writer.try_write(write) {
                self.state.backlog.push_front(*write);
                break;
            }
        }
    }

    /// Stores a message, or tells the engine that there was no room. The request of an own message is answered when
    /// the message is on disk.
    pub(super) fn store(
        &mut self,
        message: Box<AdmittedMessage>,
        via: Via,
        folded: bool,
        request: Option<u64>,
    ) {
        let not_stored = match request {
            Some(request) => {
                Input::OwnStored { request, result: Err("the store cannot keep up".to_owned()) }
            }
            None => Input::NotStored { sent_at: message.content().sent_at, message: message.id() },
        };
        self.write_backlog();
        let received_at = self.realm_ms();
        let write = Write::Message { request, message, via, received_at, folded };
        // Writes keep their order, so none overtakes those that wait.
        if !self.state.backlog.is_empty() || self.writer.try_write(write).is_err() {
            self.state.follow_ups.push_back(not_stored);
        }
    }
}
