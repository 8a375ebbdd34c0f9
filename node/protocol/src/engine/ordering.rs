//! Moderators' orders: ours, and those of others (PROTOCOL.md ).

use std::sync::Arc;
use std::time::Duration;

use rand_chacha::rand_core::Rng as _;

use crate::ids::{AccountId, MessageId, Role};
use crate::law::{NoEffect, Resettled};
use crate::limits::{AHEAD_MS_MAX, GOSSIP_AGE_MS_MAX, ORDER_MS_MAX, ORDER_REASON_BYTES_MAX};
use crate::message::Refused;
use crate::order::{Order, OrderKind, SignedOrder};
use crate::time::Now;

use super::{Engine, Event, Output, Topic};

/// What a moderator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// What.
    pub kind: OrderKind,
    /// Whom.
    pub account: AccountId,
    /// For how long, in milliseconds; `None` for the longest.
    pub for_ms: Option<u64>,
    /// Why.
    pub reason: String,
}

/// Why an order of ours was not given. Nothing was published then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefused {
    /// Our role does not give orders.
    #[error("only moderators and admins can do this")]
    NotAModerator,
    /// The one whom it would hit is above orders.
    #[error("moderators and admins can only be judged by the operator")]
    AboveOrders,
    /// Ourselves.
    #[error("this would hit yourself")]
    Oneself,
    /// Over 24 hours, or no time at all.
    #[error("an order is in force for at most 24 hours; the operator can do more")]
    TooLong,
    /// A reason that does not fit.
    #[error("the reason has {bytes} of {max} bytes; shorten it")]
    Reason {
        /// What it has.
        bytes: usize,
        /// What it may have.
        max: usize,
    },
    /// The pass is over.
    #[error("your pass has expired; sign in again when the login node is back")]
    Expired,
    /// Ten in this minute.
    #[error("no more than ten orders in a minute")]
    TooMany,
    /// Five hundred on this day.
    #[error("no more than 500 orders in a day; the operator can do more")]
    TooManyInADay,
    /// There is no order to lift; what the operator has done, only the operator can undo.
    #[error("no moderator's order is in force on this account")]
    NothingToLift,
    /// Membership is lost.
    #[error("you are no longer a member")]
    NotAMember,
}

impl Engine {
    pub(super) fn order(&mut self, request: u64, order: NewOrder, now: Now) {
        let result = self.give_order(order, now);
        self.event(Event::Ordered { request, result });
    }

    fn give_order(&mut self, order: NewOrder, now: Now) -> Result<MessageId, OrderRefused> {
        let from = self.clock.peek_ms(now);
        self.may_order(&order, from)?;
        let NewOrder { kind, account, for_ms, reason } = order;
        let mut number = [0; 16];
        self.rng.fill_bytes(&mut number);
        let order = Order {
            realm: self.realm,
            ticket: self.ticket.hash(),
            order: number,
            kind,
            sub: account,
            from,
            until: from.saturating_add(for_ms.unwrap_or(ORDER_MS_MAX)),
            reason,
            policy: self.policy().number,
        };
        let signed = SignedOrder::author(order, Arc::clone(&self.ticket), &self.key)
            .map_err(|_out_of_bounds| OrderRefused::TooLong)?;
        let (id, bytes) = (signed.id(), signed.to_gossip());
        self.take_order(signed, now).map_err(|no_effect| match no_effect {
            NoEffect::TooMany => OrderRefused::TooMany,
            NoEffect::TooManyInADay => OrderRefused::TooManyInADay,
            NoEffect::OutsideTicket => OrderRefused::Expired,
            NoEffect::NotAModerator => OrderRefused::NotAModerator,
            NoEffect::Sanctioned | NoEffect::Known => OrderRefused::NotAMember,
        })?;
        self.outputs.push_back(Output::Publish { topic: Topic::Control, bytes, message: None });
        Ok(id)
    }

    /// What every peer would ask, asked here first, so that its maker learns why at once.
    fn may_order(&self, order: &NewOrder, at: u64) -> Result<(), OrderRefused> {
        let NewOrder { kind, account, for_ms, reason } = order;
        let me = self.myself();
        if self.ended {
            return Err(OrderRefused::NotAMember);
        }
        if !matches!(me.role, Role::Moderator | Role::Admin) {
            return Err(OrderRefused::NotAModerator);
        }
        if *account == me.account {
            return Err(OrderRefused::Oneself);
        }
        if self.role_of(*account).is_some_and(|role| role >= Role::Moderator) {
            return Err(OrderRefused::AboveOrders);
        }
        if for_ms.is_some_and(|lasts| lasts == 0 || lasts > ORDER_MS_MAX) {
            return Err(OrderRefused::TooLong);
        }
        if reason.len() > ORDER_REASON_BYTES_MAX {
            let (bytes, max) = (reason.len(), ORDER_REASON_BYTES_MAX);
            return Err(OrderRefused::Reason { bytes, max });
        }
        if !me.covers(at) {
            return Err(OrderRefused::Expired);
        }
        if *kind == OrderKind::Lift && !self.rules().orders().is_ordered(*account, at) {
            return Err(OrderRefused::NothingToLift);
        }
        Ok(())
    }

    /// The role of somebody who is or was here, by the newest ticket seen.
    fn role_of(&self, account: AccountId) -> Option<Role> {
        let devices = self
            .roster
            .people()
            .filter(|(_peer, device)| device.ticket.claims().account == account);
        let newest = devices.max_by_key(|(_peer, device)| device.ticket.claims().issued_at_s);
        newest.map(|(_peer, device)| device.ticket.claims().role)
    }

    pub(super) fn judge_order(&mut self, bytes: &[u8], now: Now) -> Result<(), Refused> {
        let (tickets, realm) = (&mut self.tickets, &self.realm);
        let signed = SignedOrder::verify(bytes, realm, |ticket| tickets.verify(ticket, realm))?;
        if signed.order().from > self.clock.peek_ms(now).saturating_add(AHEAD_MS_MAX) {
            return Err(Refused::Ahead);
        }
        // As with messages: what is older comes by reconciliation, many at a time. The login node's own takes no part
        // in that, and is told.
        let old = signed.order().from.saturating_add(GOSSIP_AGE_MS_MAX) < self.clock.peek_ms(now);
        if old && !self.is_authority() {
            return Err(Refused::Old);
        }
        self.take_order(signed, now).map_err(|no_effect| match no_effect {
            NoEffect::Known => Refused::Held,
            NoEffect::TooMany | NoEffect::TooManyInADay => Refused::OverQuota,
            NoEffect::OutsideTicket => Refused::OutsideTicket,
            NoEffect::NotAModerator => Refused::MayNotPost,
            NoEffect::Sanctioned => Refused::Sanctioned,
        })
    }

    /// Keeps an order, and does what it says: the set is settled again, and links of the banned go.
    pub(super) fn take_order(&mut self, order: SignedOrder, now: Now) -> Result<(), NoEffect> {
        if order.order().until < self.law.boundary() {
            return Err(NoEffect::Known);
        }
        let resettled = self.law.take_order(order.clone())?;
        self.orders_taken(vec![order], resettled, now);
        Ok(())
    }

    /// The same for all that a neighbour has sent at once. Fresh ones go on by gossip, as after a partition: whoever
    /// is banned by them is to hear it from a signed order, before the links that could bring it are gone.
    pub(super) fn take_orders(&mut self, mut orders: Vec<SignedOrder>, now: Now) {
        orders.retain(|order| order.order().until >= self.law.boundary());
        let (kept, resettled) = self.law.take_orders(orders);
        if kept.is_empty() {
            return;
        }
        let fresh = self.clock.peek_ms(now).saturating_sub(GOSSIP_AGE_MS_MAX);
        for order in kept.iter().filter(|order| order.order().from >= fresh) {
            let (topic, bytes) = (Topic::Control, order.to_gossip());
            self.outputs.push_back(Output::Publish { topic, bytes, message: None });
        }
        self.orders_taken(kept, resettled, now);
    }

    fn orders_taken(&mut self, orders: Vec<SignedOrder>, resettled: Resettled, now: Now) {
        // A maker's clock may run ahead of ours by some milliseconds: whoever it bans is banned from then on.
        let realm_ms = self.clock.peek_ms(now);
        let begins_in =
            orders.iter().map(|order| order.order().from.saturating_sub(realm_ms)).min();
        let begins_in = Duration::from_millis(begins_in.unwrap_or_default());
        let begins = now.mono.saturating_add(begins_in);
        self.next_link_check = self.next_link_check.min(begins);
        self.view_is_stale = true;
        for order in orders {
            self.outputs.push_back(Output::StoreOrder(Box::new(order.clone())));
            self.event(Event::Order(Box::new(order)));
        }
        self.resettle(resettled);
        self.changed();
        self.judge_links_again(now);
        self.check_own_membership(now);
    }
}
