//! Renews the ticket: a task beside the loop asks the login server in good time.
//!
//! It asks at a random point between 40 and 60 % of a ticket's lifetime, so that peers that joined in the same minute
//! do not all renew in the same minute. While the login node is away it asks from time to time, and at once when the
//! authority peer is linked again. The device key is enough, unless the device was logged out. Then the user needs the
//! password, and a notice says so.

use std::sync::Arc;
use std::time::Duration;

use lanyard_protocol::login::DenialCode;
use lanyard_protocol::ticket::{Claims, Ticket};
use tokio::sync::{Notify, mpsc, watch};

use super::client::{Client, NotGranted};
use super::granted::Granted;
use super::refusals::{denied_device, is_lasting};
use crate::clock::Clock;
use crate::driver::command::Command;
use crate::random;
use crate::status::Status;

/// The shortest time between two tries while the login node is away.
const RETRY_MIN: Duration = Duration::from_secs(5 * 60);
const RETRY_MAX: Duration = Duration::from_secs(15 * 60);
/// The same once the ticket has expired. Then only this shows that the login node is back, because the authority peer
/// no longer lets us in.
const EXPIRED_RETRY_MIN: Duration = Duration::from_secs(20);
const EXPIRED_RETRY_MAX: Duration = Duration::from_secs(40);
/// How many tries must at least fit into a ticket's lifetime, however short.
const TRIES_IN_A_LIFE: u32 = 20;
/// The shortest time between any two tries.
const RETRY_LEAST: Duration = Duration::from_millis(500);
/// How often to check the clock, which may be set during a sleep of days.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The task that renews the ticket. It ends with the node.
pub(crate) struct Renewal {
    pub(crate) login_server: Client,
    pub(crate) clock: Clock,
    pub(crate) status: watch::Receiver<Arc<Status>>,
    /// Woken when the engine wants to know the realm's time, which comes with a renewal.
    pub(crate) wanted: Arc<Notify>,
    /// A weak sender, so that it does not keep a node alive that has no other handle.
    pub(crate) commands: mpsc::WeakSender<Command>,
}

/// The current ticket.
struct InForce {
    bytes: Vec<u8>,
    claims: Claims,
    /// The realm time from which to ask for a new one.
    due: u64,
}

impl Renewal {
    /// Renews the ticket until the node has ended.
    pub(crate) async fn run(mut self) {
        let mut ticket: Option<InForce> = None;
        let mut told: Option<DenialCode> = None;
        let mut next_try = Duration::ZERO;
        let mut was_online = false;
        let mut is_wanted = false;
        loop {
            let status = Arc::clone(&self.status.borrow_and_update());
            if ticket.as_ref().is_none_or(|ticket| ticket.bytes != status.ticket) {
                ticket = InForce::of(&status);
                (told, next_try) = (None, Duration::ZERO);
            }
            let Some(ticket) = &ticket else { return };
            if status.rendezvous_online && !was_online {
                // The login node was away, and is back.
                next_try = Duration::ZERO;
            }
            was_online = status.rendezvous_online;
            let now = self.clock.now();
            let realm_ms = now.wall_ms.saturating_add_signed(status.clock_offset_ms);
            let due = if is_wanted { 0 } else { ticket.due.saturating_sub(realm_ms) };
            let wait = Duration::from_millis(due).max(next_try.saturating_sub(now.mono));
            if !wait.is_zero() {
                tokio::select! {
                    changed = self.status.changed() => if changed.is_err() { return },
                    () = self.wanted.notified() => (is_wanted, next_try) = (true, Duration::ZERO),
                    () = tokio::time::sleep(wait.min(LOOK_EVERY)) => {}
                }
                continue;
            }
            let answer = self.login_server.renew(ticket.claims.account).await;
            is_wanted = false;
            let retry = ticket.retry_in(realm_ms);
            next_try = self.clock.now().mono.saturating_add(retry);
            if let Some(wait) = answer.as_ref().err().and_then(busy_for) {
                next_try = next_try.min(now.mono + wait + retry / 10);
            }
            let command = consequence(answer, retry, &mut told);
            if let Some(command) = command
                && !self.command(command).await
            {
                return;
            }
        }
    }

    /// Sends a command. Returns `false` if the node has ended.
    async fn command(&mut self, command: Command) -> bool {
        let granted = matches!(command, Command::Granted(_));
        let Some(commands) = self.commands.upgrade() else { return false };
        if commands.send(command).await.is_err() {
            return false;
        }
        drop(commands);
        // Wait until the state shows the new ticket, before deciding anything else.
        !granted || self.status.changed().await.is_ok()
    }
}

/// How long a busy login node asks us to wait.
fn busy_for(refused: &NotGranted) -> Option<Duration> {
    match refused {
        NotGranted::Denied(denial) if denial.code == DenialCode::Busy => {
            denial.retry_after_s.map(Duration::from_secs)
        }
        _other => None,
    }
}

/// What the node does with an answer. `told` is the denial that the user already knows.
fn consequence(
    answer: Result<Granted, NotGranted>,
    retry: Duration,
    told: &mut Option<DenialCode>,
) -> Option<Command> {
    let denial = match answer {
        Ok(granted) => return Some(Command::Granted(Box::new(granted))),
        Err(NotGranted::Unanswered(error)) => {
            tracing::debug!(%error, ?retry, "The ticket could not be renewed");
            return None;
        }
        Err(NotGranted::Unusable(what)) => {
            tracing::debug!(what, ?retry, "The login node's reply cannot be used");
            return None;
        }
        Err(NotGranted::Denied(denial)) => denial,
    };
    let told_before = told.replace(denial.code) == Some(denial.code);
    let text = denied_device(&denial).reason;
    if is_lasting(&denial) {
        return Some(Command::LoginNodeUnsure(text));
    }
    let is_news = denial.code != DenialCode::Busy && !told_before;
    is_news.then_some(Command::Notice { code: "renewal-refused", text })
}

impl InForce {
    fn of(status: &Status) -> Option<Self> {
        let claims = Ticket::verify(&status.ticket, &status.realm).ok()?.claims().clone();
        let life = claims.expires_at_ms().saturating_sub(claims.issued_at_ms());
        let percent = 40 + random_below(21);
        let due = claims.issued_at_ms().saturating_add(life.saturating_mul(percent) / 100);
        Some(Self { bytes: status.ticket.clone(), claims, due })
    }

    fn retry_in(&self, realm_ms: u64) -> Duration {
        let expires_at = self.claims.expires_at_ms();
        let life = Duration::from_millis(expires_at.saturating_sub(self.claims.issued_at_ms()));
        let (least, most) = if realm_ms >= expires_at {
            (EXPIRED_RETRY_MIN, EXPIRED_RETRY_MAX)
        } else {
            (RETRY_MIN, RETRY_MAX)
        };
        let spread = u64::try_from((most - least).as_millis()).unwrap_or(u64::MAX);
        let drawn = least + Duration::from_millis(random_below(spread));
        drawn.min(life / TRIES_IN_A_LIFE).max(RETRY_LEAST)
    }
}

/// A random number below `bound`, or the middle without randomness.
fn random_below(bound: u64) -> u64 {
    random::bytes().map_or(bound / 2, |bytes| u64::from_le_bytes(bytes) % bound.max(1))
}

#[cfg(test)]
mod tests {
    use lanyard_protocol::testing;

    use super::*;

    const WEEK_MS: u64 = testing::WEEK_S * 1_000;

    fn ticket() -> InForce {
        let claims = testing::claims(&testing::key(1), &testing::key(2), "alice");
        InForce { bytes: Vec::new(), claims, due: 0 }
    }

    #[test]
    fn tries_are_minutes_apart_while_the_login_node_is_away() {
        let ticket = ticket();
        let tries = |at: u64| {
            (0..200).map(move |_try| ticket.retry_in(testing::T0 + at)).collect::<Vec<_>>()
        };
        let in_time = tries(WEEK_MS / 2);
        assert!(in_time.iter().all(|wait| (RETRY_MIN..RETRY_MAX).contains(wait)));
        assert!(
            in_time.iter().max() > in_time.iter().min().map(|least| *least + RETRY_MIN).as_ref()
        );
    }

    #[test]
    fn a_return_after_the_end_is_noticed_within_a_minute() {
        let ticket = ticket();
        let over = (0..200).map(|_try| ticket.retry_in(testing::T0 + WEEK_MS));
        assert!(over.into_iter().all(|wait| wait < Duration::from_secs(50)));
    }

    #[test]
    fn a_ticket_of_a_minute_is_renewed_every_few_seconds() {
        let mut ticket = ticket();
        ticket.claims.expires_at_s = ticket.claims.issued_at_s + 60;
        assert_eq!(ticket.retry_in(testing::T0 + 30_000), Duration::from_secs(3));
        ticket.claims.expires_at_s = ticket.claims.issued_at_s + 1;
        assert_eq!(ticket.retry_in(testing::T0), RETRY_LEAST);
    }
}
