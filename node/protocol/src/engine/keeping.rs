//! What the history holds: new messages, those of earlier runs, and removing what is too old.

use crate::history::{Resettled, Taken};
use crate::ids::MessageId;
use crate::io::{Output, StoredIndex};
use crate::message::{Arrival, VerifiedMessage};
use crate::time::Now;
use crate::verdict::Refused;

use super::Engine;

impl Engine {
    /// Checks a message's time, then the rules, and passes what is admitted to the store. Returns whether it opened a
    /// gap in its session.
    pub(super) fn take_message(
        &mut self,
        message: VerifiedMessage,
        arrival: Arrival,
        now: Now,
    ) -> Result<bool, Refused> {
        let realm_ms = self.time.now_ms(now);
        message.check_arrival(arrival, realm_ms)?;
        let caught_up = self.rounds.caught_up();
        let Taken { message, displaced } = self.history.take(message)?;
        let folded = self.rules().silences(&message, realm_ms, caught_up);
        let opens_hole = self.receipts.heard(&message, &self.links, now);
        let message = Box::new(message);
        self.fx.output(Output::Store { message, arrival, folded });
        self.fx.resettle(Resettled { displaced, ..Resettled::default() });
        Ok(opens_hole)
    }

    /// Drops another peer's message that could not be stored, so that it is fetched again.
    pub(super) fn not_stored(&mut self, sent_at: u64, message: MessageId, now: Now) {
        self.history.was_not_stored(sent_at, message);
        self.reconcile(now, |rounds, cx| rounds.not_stored(sent_at, cx));
    }

    /// Adds stored messages to the history's index.
    pub(super) fn index(&mut self, stored: StoredIndex) {
        self.receipts.index(&stored);
        for ticket in &stored.tickets {
            self.history.note_author(ticket);
        }
        let resettled = self.history.index(stored.messages);
        self.fx.resettle(resettled);
    }

    /// Forgets what is too old by the earlier of two times: the newest that the realm has signed, and this machine's
    /// clock.
    pub(super) fn retain(&mut self, now: Now) {
        let reach = self.retention.reach(self.history.boundary(), now);
        let realm_ms = self.time.proven_ms(now).min(now.wall_ms);
        if let Some(before) = self.history.retain(realm_ms, reach) {
            self.fx.output(Output::Forget { before });
        }
        self.retention.moved(self.history.boundary());
    }
}
