//! Brings moderations from the mesh into the register.
//!
//! The authority peer verifies the signature and the ticket of a moderation before it passes it on. Each peer decides
//! for itself whether the moderation counts. Here it is only registered, so that the operator can confirm or overturn
//! it (`moderation …`).

use std::path::PathBuf;

use lanyard_node::NodeEvent;
use lanyard_node::store::Reader;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::moderation::SignedModeration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

use crate::chain;
use crate::policy::moderations::{self, Received, ReceivedModeration};
use crate::store::StoreError;
use crate::store::thread::StoreHandle;

/// How many moderations may wait for the database. A moderator can make ten a minute.
const QUEUE: usize = 256;

/// The store in which the authority peer's node keeps moderations.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) database: PathBuf,
    pub(super) realm: PeerKey,
}

impl Kept {
    /// Returns all moderations. If they cannot be read, it logs the error and returns none.
    async fn all(&self) -> Vec<SignedModeration> {
        let kept = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            Reader::open(&kept.database, &kept.realm)?.moderations(&kept.realm)
        });
        match read.await {
            Ok(Ok(moderations)) => moderations,
            Ok(Err(error)) => {
                tracing::warn!(error = %chain(error), "The authority peer's moderations cannot be read");
                Vec::new()
            }
            Err(_runtime_ends) => Vec::new(),
        }
    }
}

/// Passes on the stored moderations and then those that the node receives, until the node or the register ends. Passing
/// one on twice is harmless, because the register recognises it.
pub(super) async fn listen(
    mut events: broadcast::Receiver<NodeEvent>,
    kept: Kept,
    register: mpsc::Sender<ReceivedModeration>,
) {
    loop {
        // Read at the start, because the last run may have ended before it registered some, and again after a lag.
        for moderation in kept.all().await {
            if register.send(ReceivedModeration::of(&moderation)).await.is_err() {
                return;
            }
        }
        loop {
            match events.recv().await {
                Ok(NodeEvent::Moderation(moderation)) => {
                    if register.send(ReceivedModeration::of(&moderation)).await.is_err() {
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

/// The queue from the authority peer to the register.
#[must_use]
pub fn channel() -> (mpsc::Sender<ReceivedModeration>, mpsc::Receiver<ReceivedModeration>) {
    mpsc::channel(QUEUE)
}

/// Registers a moderation for the operator.
///
/// # Errors
/// [`StoreError`] if it cannot be written.
pub async fn received(
    store: &StoreHandle,
    moderation: ReceivedModeration,
    clock_ms: u64,
) -> Result<Received, StoreError> {
    let kept = store
        .run(move |store| store.write(|tx| moderations::receive(tx, moderation, clock_ms)))
        .await?;
    match &kept {
        Received::New => tracing::info!("A moderation waits for the operator"),
        Received::Known => {}
        Received::Ignored(why) => tracing::debug!(why, "A moderation was not registered"),
    }
    Ok(kept)
}
