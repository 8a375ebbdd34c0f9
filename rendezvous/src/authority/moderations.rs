//! Moderations of moderators, from the mesh into the register.
//!
//! The authority peer has verified signature and ticket before it hands a moderation in; what the realm makes of it, the peers
//! decide without us. Here it is kept for the operator, who ratifies or refuses it (`moderations`, `moderation …`).

use std::path::PathBuf;

use lanyard_node::event::NodeEvent;
use lanyard_node::store::Reader;
use lanyard_protocol::ids::{AccountId, PeerKey, Role};
use lanyard_protocol::moderation::{ModerationKind, SignedModeration};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

use crate::login::error_chain;
use crate::moderations::{self, Received};
use crate::store::StoreError;
use crate::store::thread::StoreHandle;

/// Moderations that may wait for the database: a moderator has ten a minute.
const QUEUE: usize = 256;

/// An authentic moderation, with what the ticket that it was signed under says of its maker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedModeration {
    /// The number that its maker gave it.
    pub id: [u8; 16],
    /// Ban, mute or lift.
    pub kind: ModerationKind,
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

impl ReceivedModeration {
    /// What a verified moderation says.
    #[must_use]
    pub fn of(signed: &SignedModeration) -> Self {
        let (moderation, claims) = (signed.content(), signed.ticket().claims());
        Self {
            id: moderation.number,
            kind: moderation.kind,
            account: moderation.sub,
            from: moderation.from,
            until: moderation.until,
            reason: moderation.reason.clone(),
            by: claims.username.clone(),
            role: claims.role,
        }
    }
}

/// Where the authority peer's node keeps the moderations that it has heard.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) database: PathBuf,
    pub(super) realm: PeerKey,
}

impl Kept {
    /// All of them; none if they cannot be read, and the log says so.
    async fn all(&self) -> Vec<SignedModeration> {
        let kept = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            Reader::open(&kept.database, &kept.realm)?.moderations(&kept.realm)
        });
        match read.await {
            Ok(Ok(moderations)) => moderations,
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
/// moderation that it has, so what is handed in twice is in it once.
pub(super) async fn listen(
    mut events: broadcast::Receiver<NodeEvent>,
    kept: Kept,
    register: mpsc::Sender<ReceivedModeration>,
) {
    loop {
        // At the start, as the last run may have ended between hearing and registering; and after a lag.
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

/// The way from the authority peer to the register.
#[must_use]
pub fn channel() -> (mpsc::Sender<ReceivedModeration>, mpsc::Receiver<ReceivedModeration>) {
    mpsc::channel(QUEUE)
}

/// Keeps a moderation for the operator.
///
/// # Errors
/// [`StoreError`] if it cannot be written.
pub async fn received(
    store: &StoreHandle,
    moderation: ReceivedModeration,
    clock_ms: u64,
) -> Result<Received, StoreError> {
    let kept = store
        .run(move |store| store.write(|tx| moderations::receive(tx, &moderation, clock_ms)))
        .await?;
    match &kept {
        Received::New => tracing::info!("A moderator's order waits for the operator"),
        Received::Known => {}
        Received::Ignored(why) => tracing::debug!(why, "An order was not kept"),
    }
    Ok(kept)
}
