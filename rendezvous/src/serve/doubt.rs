//! While the clock may be wrong: nobody is signed in, and the operator learns what to do.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::WATCH_EVERY;
use crate::clock;
use crate::store::StoreError;
use crate::store::thread::StoreHandle;
use crate::timekeeping::{self, Standing};

/// How often it is noted that the clock is right: a jump is seen by what has passed since.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// What the last look at the clock has said.
#[derive(Debug)]
pub(super) struct Watch {
    standing: Standing,
    noted: Option<std::time::Instant>,
}

/// What a look at the clock has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// As before.
    None,
    /// It may be wrong: nothing is signed from now on.
    Doubt,
    /// It is right again, or the operator says so.
    Right,
}

impl Watch {
    /// Before the first look, which tells if something is wrong.
    pub(super) fn new() -> Self {
        Self { standing: Standing::Right, noted: None }
    }

    /// Whether the last look found nothing wrong.
    pub(super) fn is_right(&self) -> bool {
        self.standing.is_right()
    }

    /// Looks at the clock, and notes from time to time that it is right.
    pub(super) async fn look(&mut self, store: &StoreHandle) -> Result<News, StoreError> {
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
        let before = std::mem::replace(&mut self.standing, standing);
        Ok(match (before.is_right(), standing.is_right()) {
            (true, false) => {
                tell(standing);
                News::Doubt
            }
            (false, true) => {
                tracing::info!("The clock is right again: the login node goes on signing");
                News::Right
            }
            (true, true) | (false, false) => News::None,
        })
    }
}

fn tell(standing: Standing) {
    let advice = standing.advice();
    tracing::error!(clock = %standing, advice, "Nothing is signed: the clock may be wrong");
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
