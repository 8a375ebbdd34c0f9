//! Our own presence, and when we send it.
//!
//! Takes in our status, our addresses, and that a new peer may be listening. Puts out a presence signed by our
//! [`Identity`].

use std::time::Duration;

use crate::effects::Effects;
use crate::identity::Identity;
use crate::io::Topic;
use crate::limits::{PRESENCE_ADDRESSES_MAX, STATUS_BYTES_MAX};
use crate::presence::{BYE, HERE, Presence};
use crate::roster::Roster;
use crate::time::Now;

/// A newcomer hears from all peers within this time, which is longer with a larger roster.
const ANSWER_MIN: Duration = Duration::from_millis(200);
const ANSWER_PER_PEER: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct OwnPresence {
    status: String,
    listening: Vec<String>,
    /// The number of the next presence of this boot.
    n: u64,
    due: Option<Duration>,
}

impl OwnPresence {
    pub(crate) fn new() -> Self {
        Self { status: HERE.to_owned(), listening: Vec::new(), n: 0, due: None }
    }

    pub(crate) fn status(&self) -> &str {
        &self.status
    }

    /// Sets our status. Returns whether it has changed.
    pub(crate) fn set_status(&mut self, status: String) -> bool {
        let is_news = status.len() <= STATUS_BYTES_MAX && status != self.status;
        if is_news {
            self.status = status;
        }
        is_news
    }

    /// Sets our addresses. Returns whether they have changed.
    pub(crate) fn set_listening(&mut self, addresses: Vec<String>) -> bool {
        let is_news = addresses != self.listening;
        self.listening = addresses;
        is_news
    }

    /// Schedules our presence because one of this many peers may be listening anew. One presence serves all that come
    /// up to then.
    pub(crate) fn soon(&mut self, peers: usize, me: &Identity, now: Now, fx: &mut Effects) {
        if me.has_ended() {
            return;
        }
        let peers = u32::try_from(peers).unwrap_or(u32::MAX);
        let wait = ANSWER_MIN.max(ANSWER_PER_PEER.saturating_mul(peers));
        let due = now.mono.saturating_add(wait + fx.jitter());
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.due
    }

    /// Sends our presence, if it is due.
    pub(crate) fn due(
        &mut self,
        me: &Identity,
        roster: &Roster,
        realm_ms: u64,
        now: Now,
        fx: &mut Effects,
    ) {
        if self.due.is_some_and(|due| due <= now.mono) {
            self.due = Some(now.mono.saturating_add(roster.refresh_interval()));
            self.publish(self.status.clone(), me, realm_ms, fx);
        }
    }

    pub(crate) fn say_goodbye(&mut self, me: &Identity, realm_ms: u64, fx: &mut Effects) {
        self.publish(BYE.to_owned(), me, realm_ms, fx);
        self.stop();
    }

    pub(crate) fn stop(&mut self) {
        self.due = None;
    }

    fn publish(&mut self, status: String, me: &Identity, realm_ms: u64, fx: &mut Effects) {
        let listen = self.listening.iter().take(PRESENCE_ADDRESSES_MAX).cloned().collect();
        let presence = Presence { boot: me.boot(), n: self.n, at: realm_ms, status, listen };
        self.n = self.n.saturating_add(1);
        fx.publish(Topic::Control, me.sign_presence(presence).pair.to_vec(), None);
    }
}
