//! Sentences that both faces use.

use lanyard_protocol::order::{OrderKind, SignedOrder};

use crate::event::Status;

/// Messages were condemned, displaced, forgotten or restored.
pub(super) const RELOAD: &str =
    "Messages were withdrawn, or have come back; read the history again.";

/// What a moderator has ordered, with the names of both as far as they are known.
pub(super) fn order(signed: &SignedOrder, status: &Status) -> String {
    let order = signed.order();
    let maker = &signed.ticket().claims().username;
    let known = status.roster.get(&order.sub).map(|person| person.username.clone());
    let whom = known.unwrap_or_else(|| format!("the account {}", order.sub.short()));
    let minutes = order.until.saturating_sub(order.from).div_ceil(60_000);
    let because =
        if order.reason.is_empty() { String::new() } else { format!(": {}", order.reason) };
    match order.kind {
        OrderKind::Ban => format!("{maker} has banned {whom} for {minutes} min{because}"),
        OrderKind::Mute => format!("{maker} has muted {whom} for {minutes} min{because}"),
        OrderKind::Lift => format!("{maker} has lifted the orders on {whom}{because}"),
    }
}
