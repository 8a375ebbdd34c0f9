//! Orders of moderators, from the mesh into the register.
//!
//! The member has verified signature and ticket before it hands an order in; what the realm makes of it, the peers
//! decide without us. Here it is kept for the operator, who ratifies or refuses it (`orders`, `order …`).

use std::path::PathBuf;

use lanyard_node::event::NodeEvent;
use lanyard_node::store::Reader;
use lanyard_protocol::ids::{AccountId, PeerKey, Role};
use lanyard_protocol::order::{OrderKind, SignedOrder};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

use crate::login::error_chain;
use crate::orders::{self, Received};
use crate::store::StoreError;
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

impl ReceivedOrder {
    /// What a verified order says.
    #[must_use]
    pub fn of(signed: &SignedOrder) -> Self {
        let (order, claims) = (signed.order(), signed.ticket().claims());
        Self {
            id: order.order,
            kind: order.kind,
            account: order.sub,
            from: order.from,
            until: order.until,
            reason: order.reason.clone(),
            by: claims.username.clone(),
            role: claims.role,
        }
    }
}

/// Where the member's node keeps the orders that it has heard.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) database: PathBuf,
    pub(super) realm: PeerKey,
}

impl Kept {
    /// All of them; none if they cannot be read, and the log says so.
    async fn all(&self) -> Vec<SignedOrder> {
        let kept = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            Reader::open(&kept.database, &kept.realm)?.orders(&kept.realm)
        });
        match read.await {
            Ok(Ok(orders)) => orders,
            Ok(Err(error)) => {
                let error = error_chain(&error);
                tracing::warn!(%error, "The member's orders cannot be read");
                Vec::new()
            }
            Err(_runtime_ends) => Vec::new(),
        }
    }
}

/// Hands in what the node has kept, and then what it hears, until it or the register ends. The register knows an
/// order that it has, so what is handed in twice is in it once.
pub(super) async fn listen(
    mut events: broadcast::Receiver<NodeEvent>,
    kept: Kept,
    register: mpsc::Sender<ReceivedOrder>,
) {
    loop {
        // At the start, as the last run may have ended between hearing and registering; and after a lag.
        for order in kept.all().await {
            if register.send(ReceivedOrder::of(&order)).await.is_err() {
                return;
            }
        }
        loop {
            match events.recv().await {
                Ok(NodeEvent::Order(order)) => {
                    if register.send(ReceivedOrder::of(&order)).await.is_err() {
                        return;
                    }
                }
                Ok(_other) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return,
            }
        }
    }
}

/// The way from the member to the register.
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
