//! Orders of moderators, from the mesh into the register.
//!
//! The member has verified signature and ticket before it hands an order in; what the realm makes of it, the peers
//! decide without us. Here it is kept for the operator, who ratifies or refuses it (`orders`, `order …`).

use lanyard_protocol::ids::{AccountId, Role};
use tokio::sync::mpsc;

use crate::orders::{self, Received};
use crate::store::StoreError;
use crate::store::orders::OrderKind;
use crate::store::thread::StoreHandle;

/// Orders that may wait for the database: a moderator has ten a minute.
const QUEUE: usize = 256;

/// An authentic order, with what the ticket that it was signed under says of its maker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedOrder {
    /// The number that its maker gave it.
    pub id: [u8; 16],
    /// Ban, mute or lift.
    pub kind: OrderKind,
    /// Whom it hits.
    pub account: AccountId,
    /// From when on, realm time in milliseconds.
    pub from: u64,
    /// Until when.
    pub until: u64,
    /// Why, in the moderator's words.
    pub reason: String,
    /// The moderator's username.
    pub by: String,
    /// The role of that ticket.
    pub role: Role,
}

/// The way from the member to the register. An order that finds it full is handed in again when it is heard again.
#[must_use]
pub fn channel() -> (mpsc::Sender<ReceivedOrder>, mpsc::Receiver<ReceivedOrder>) {
    mpsc::channel(QUEUE)
}

/// Keeps an order for the operator.
///
/// # Errors
/// [`StoreError`] if it cannot be written.
pub async fn received(
    store: &StoreHandle,
    order: ReceivedOrder,
    clock_ms: u64,
) -> Result<Received, StoreError> {
    let kept =
        store.run(move |store| store.write(|tx| orders::receive(tx, &order, clock_ms))).await?;
    match &kept {
        Received::New => tracing::info!("A moderator's order waits for the operator"),
        Received::Known => {}
        Received::Ignored(why) => tracing::debug!(why, "An order was not kept"),
    }
    Ok(kept)
}
