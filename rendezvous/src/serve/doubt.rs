//! Watches the clock. While the clock may be wrong, nobody can sign in, and the operator is told what to do.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::clock::timekeeping;
use crate::store::StoreError;
use crate::store::thread::StoreHandle;

/// How often the clock is checked, and the database for changes made by commands.
pub(super) const WATCH_EVERY: Duration = Duration::from_millis(250);
/// How often the clock is recorded as right. A later jump is measured from the last record.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// The result of the last look at the clock.
#[derive(Debug)]
pub(super) struct Watch {
    is_right: bool,
    noted: Option<std::time::Instant>,
}

impl Watch {
    /// Assumes that the clock is right until the first look, so that a doubt counts as a change.
    pub(super) fn new() -> Self {
        Self { is_right: true, noted: None }
    }

    /// Whether the clock was right at the last look.
    pub(super) fn is_right(&self) -> bool {
        self.is_right
    }

    /// Looks at the clock, and records from time to time that it is right. Returns whether it has become right again.
    pub(super) async fn look(&mut self, store: &StoreHandle) -> Result<bool, StoreError> {
        let now = clock::monotonic();
        let note = self.noted.is_none_or(|at| now.duration_since(at) >= NOTE_EVERY);
        let standing = store
            .run(move |store| {
                let wall_ms = clock::unix_ms();
                let standing = timekeeping::standing(store.reader(), wall_ms)?;
                if note && standing.is_right() {
                    store.write(|tx| timekeeping::note_right(tx, wall_ms))?;
                }
                Ok::<_, StoreError>(standing)
            })
            .await?;
        if note && standing.is_right() {
            self.noted = Some(now);
        }
        let was_right = std::mem::replace(&mut self.is_right, standing.is_right());
        if was_right && !self.is_right {
            let advice = standing.advice();
            tracing::error!(clock = %standing, advice, "Nothing is signed: the clock may be wrong");
        }
        let is_right_again = !was_right && self.is_right;
        if is_right_again {
            tracing::info!("The clock is right again: the login node resumes signing");
        }
        Ok(is_right_again)
    }
}

/// Waits until the clock is right.
pub(super) async fn wait(store: &StoreHandle) -> Result<(), StoreError> {
    let (mut watch, mut tick) = (Watch::new(), tokio::time::interval(WATCH_EVERY));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        watch.look(store).await?;
        if watch.is_right() {
            return Ok(());
        }
    }
}
