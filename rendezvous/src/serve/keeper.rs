//! The regular work of `serve`: signing what commands have written, registering moderations, recording who is online,
//! and renewing the authority peer's ticket.

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use lanyard_node::random;
use lanyard_protocol::ids::PeerKey;
use tokio::time::MissedTickBehavior;

use super::doubt::{self, WATCH_EVERY};
use crate::authority::{Authority, moderations};
use crate::policy::moderations::ReceivedModeration;
use crate::policy::{self, PublishError};
use crate::server::issuer;
use crate::store::thread::StoreHandle;
use crate::store::{meta, policies, sessions};
use crate::{chain, clock};

/// How often the sessions are marked as online or offline.
const ROLL_CALL_EVERY: Duration = Duration::from_secs(1);
/// How often the authority peer's ticket is renewed: well before half of its lifetime.
const RENEW_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// The last state of the rows that has been handled.
#[derive(Debug)]
struct Seen {
    version: Option<i64>,
    /// The number of the policy that the authority peer knows.
    told: u64,
}

/// Everything that the regular work needs.
pub(super) struct Keeper {
    pub(super) store: StoreHandle,
    pub(super) realm_key: Arc<SigningKey>,
    pub(super) authority: Arc<dyn Authority>,
    /// The number of the policy with which the authority peer started.
    pub(super) told: u64,
}

impl Keeper {
    pub(super) async fn watch(&self) {
        let mut watch = tokio::time::interval(WATCH_EVERY);
        let mut roll_call = tokio::time::interval(ROLL_CALL_EVERY);
        let mut renew = tokio::time::interval(RENEW_EVERY);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut online) = (Seen { version: None, told: self.told }, Vec::new());
        let mut moderations = self.authority.moderations();
        let mut doubt = doubt::Watch::new();
        // The first tick comes at once, and the authority peer has just got a ticket.
        renew.tick().await;
        loop {
            tokio::select! {
                _tick = watch.tick() => {
                    if let Err(error) = self.look_and_publish(&mut doubt, &mut seen).await {
                        tracing::error!(error = %chain(error), "The policy could not be published");
                    }
                }
                _tick = roll_call.tick() => {
                    let now_online = self.authority.online().iter().map(|peer| peer.peer).collect();
                    if now_online != online {
                        online = now_online;
                        self.roll_call(online.clone()).await;
                    }
                }
                _tick = renew.tick(), if doubt.is_right() => self.renew().await,
                // The clock decides when these are dated and dropped, so they wait until it is right.
                Some(moderation) = moderations.recv(), if doubt.is_right() => self.received(moderation).await,
            }
        }
    }

    /// Publishes changes, unless the clock may be wrong. When the clock is right again, this tells the authority peer,
    /// which does not follow the machine's clock.
    async fn look_and_publish(
        &self,
        doubt: &mut doubt::Watch,
        seen: &mut Seen,
    ) -> Result<(), PublishError> {
        let is_right_again = doubt.look(&self.store).await?;
        if !doubt.is_right() {
            return Ok(());
        }
        if is_right_again {
            self.authority.set_realm_time(clock::unix_ms());
            self.renew().await;
            seen.version = None;
        }
        self.publish_if_changed(seen).await
    }

    /// Signs a new policy if another process has changed the rows, and tells the authority peer.
    async fn publish_if_changed(&self, seen: &mut Seen) -> Result<(), PublishError> {
        let realm_key = Arc::clone(&self.realm_key);
        let (before, told) = (seen.version, seen.told);
        let (version, published) = self
            .store
            .run(move |store| {
                // Read before the rows, so that a later write shows at the next look.
                let version = store.data_version()?;
                // When a new password revokes tickets, the login server signs that itself, on this same connection.
                let is_told = policies::newest_number(store.reader())? <= told;
                if before == Some(version) && is_told {
                    return Ok((version, None));
                }
                let clock_ms = clock::unix_ms();
                let published = store.write(|tx| policy::publish(tx, &realm_key, clock_ms))?;
                Ok::<_, PublishError>((version, Some(published)))
            })
            .await?;
        seen.version = Some(version);
        if let Some((signed, _is_new)) = published {
            let number = signed.policy().number;
            // A sign-in may have signed it a moment ago; what matters is whether the authority peer knows it.
            if number > seen.told {
                tracing::info!(number, "A new policy is in force");
                self.authority.publish_policy(&signed, signed.sign_head(&self.realm_key));
                seen.told = number;
            }
        }
        Ok(())
    }

    async fn received(&self, moderation: ReceivedModeration) {
        if let Err(error) = moderations::received(&self.store, moderation, clock::unix_ms()).await {
            tracing::error!(error = %chain(error), "A moderation could not be registered");
        }
    }

    pub(super) async fn roll_call(&self, online: Vec<PeerKey>) {
        let marked =
            self.store.run(move |store| store.write(|tx| sessions::set_online(tx, &online))).await;
        if let Err(error) = marked {
            tracing::warn!(error = %chain(error), "The sessions could not be marked");
        }
    }

    async fn renew(&self) {
        let found = self.store.run(|store| {
            let db = store.reader();
            let now = meta::realm_now(db, clock::unix_ms())?;
            let number = policy::number_in_force(db)?.unwrap_or(0);
            Ok::<_, anyhow::Error>((now, number, random::bytes()?))
        });
        let peer = self.authority.addresses().peer;
        match found.await {
            Ok((now, number, id)) => {
                let ticket = issuer::issue_for_authority(&self.realm_key, peer, now, number, id);
                self.authority.renew(ticket);
            }
            Err(error) => {
                tracing::error!(error = %chain(error), "The authority peer's ticket could not be renewed");
            }
        }
    }
}
