//! Whether the login node is there, said only as far as it is known.

use crate::model::session::Chat;

/// A login node that has not been linked by then does not answer.
const LOOKS_FOR_MS: u64 = 20_000;

/// How the login node is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginNode {
    /// It is linked.
    Online,
    /// This program has just started, and has not met it yet.
    Looking,
    /// It is not linked.
    Offline,
}

impl Chat {
    /// How the login node is reached.
    #[must_use]
    pub fn login_node(&self, now_ms: u64) -> LoginNode {
        match (self.status.rendezvous_online, self.looks_for_login_node_ms(now_ms)) {
            (true, _) => LoginNode::Online,
            (false, Some(_)) => LoginNode::Looking,
            (false, None) => LoginNode::Offline,
        }
    }

    /// For how many milliseconds a login node that has not been met may still turn up.
    #[must_use]
    pub fn looks_for_login_node_ms(&self, now_ms: u64) -> Option<u64> {
        let is_known = self.met_login_node || self.entered_offline;
        let until = self.entered_ms? + LOOKS_FOR_MS;
        until.checked_sub(now_ms).filter(|left| *left > 0 && !is_known)
    }

    /// Whether neither peers nor the login node are linked.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.is_alone() && !self.status.rendezvous_online
    }
}
