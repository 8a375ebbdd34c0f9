//! Whether the login node is online, as far as this computer knows.

use crate::model::session::Chat;

/// A login node that has not connected after this long counts as offline.
const LOOKS_FOR_MS: u64 = 20_000;

/// Whether the login node is online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginNode {
    /// It is connected.
    Online,
    /// The program has just started and may still find it.
    Looking,
    /// It is not connected.
    Offline,
}

impl Chat {
    /// Whether the login node is online.
    #[must_use]
    pub fn login_node(&self, now_ms: u64) -> LoginNode {
        match (self.status.rendezvous_online, self.looks_for_login_node_ms(now_ms)) {
            (true, _) => LoginNode::Online,
            (false, Some(_)) => LoginNode::Looking,
            (false, None) => LoginNode::Offline,
        }
    }

    /// How many milliseconds remain in which the login node may still be found.
    #[must_use]
    pub fn looks_for_login_node_ms(&self, now_ms: u64) -> Option<u64> {
        let is_known = self.met_login_node || self.entered_offline;
        let until = self.entered_ms? + LOOKS_FOR_MS;
        until.checked_sub(now_ms).filter(|left| *left > 0 && !is_known)
    }

    /// Whether neither a peer nor the login node is connected.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.is_alone() && !self.status.rendezvous_online
    }
}
