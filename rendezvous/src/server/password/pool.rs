//! The workers that check passwords: a few threads, two short queues, and "busy" instead of a long wait.
//!
//! A check takes 64 MiB and a fifth of a second. So memory limits how many may run at a time, and two queues of 16
//! limit how many may wait; beyond that the answer is [`Busy`], with a time. Devices that their account already knows
//! have one queue and strangers the other, and while both wait, the known devices have three turns of four: so neither
//! locks the other out. Both queues are fair (see [`super::fair`]), among known devices to the accounts and among
//! strangers to the addresses, so a flood from one of them does not lock out the others. A job whose client is gone is
//! dropped without a check.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lanyard_protocol::ids::AccountId;
use tokio::sync::oneshot;

use super::cost::Costs;
use super::fair::FairQueue;
use super::{Check, Hasher, Password, PasswordError};
use crate::clock;
use crate::folder::config::Argon2Config;

/// How many jobs may wait in each queue. Beside up to eight busy addresses a newcomer then finds a place, and its turn
/// comes after one of each: at a fifth of a second on one core, within two seconds, or eight if known devices are busy.
pub const QUEUE_MAX: usize = 16;
/// How many turns known devices have for one of the strangers, while both wait.
const KNOWN_TURNS: u32 = 3;
/// More workers would sign nobody in sooner, because the database has one writer.
const WORKERS_MAX: usize = 4;
/// What all workers may use together, in KiB: the whole login node should stay under 300 MB.
const WORKERS_KIB_MAX: usize = 192 * 1_024;

/// The queue is full; ask again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many sign-ins at once; try again in {retry_after_s} s")]
pub struct Busy {
    /// When the queue will probably be empty, in seconds, at least 1.
    pub retry_after_s: u64,
}

/// Who asks, and so whose turn is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A device that has signed in to this account before.
    Known(AccountId),
    /// Any other device, from this address or from the network that counts as one.
    Stranger(IpAddr),
}

/// The result of a job. A job that had to make room has no result, which counts as [`Busy`].
pub type Outcome = Result<Check, PasswordError>;

/// What to check.
#[derive(Debug)]
pub struct Question {
    /// The password, as it was typed.
    pub password: Password,
    /// The account's PHC string; `None` for a name that does not exist.
    pub stored: Option<String>,
    /// The costs of all stored hashes.
    pub costs: Arc<Costs>,
    /// The new password, to be hashed if the old one is right.
    pub replacement: Option<Password>,
}

#[derive(Debug)]
struct Job {
    question: Question,
    reply: oneshot::Sender<Outcome>,
}

#[derive(Debug)]
struct Queues {
    known: FairQueue<AccountId, Job>,
    strangers: FairQueue<IpAddr, Job>,
    /// The turns of known devices since the last one of a stranger.
    known_turns: u32,
    running: usize,
    last_check: Duration,
    closed: bool,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            known: FairQueue::new(QUEUE_MAX),
            strangers: FairQueue::new(QUEUE_MAX),
            known_turns: 0,
            running: 0,
            last_check: Duration::ZERO,
            closed: false,
        }
    }
}

impl Queues {
    /// Drops the jobs whose clients have given up: these must occupy no place and use no turn.
    fn drop_gone(&mut self) {
        self.known.retain(|job| !job.reply.is_closed());
        self.strangers.retain(|job| !job.reply.is_closed());
    }

    fn pop(&mut self) -> Option<Job> {
        self.drop_gone();
        let is_known_turn = self.strangers.is_empty() || self.known_turns < KNOWN_TURNS;
        if let Some(job) = is_known_turn.then(|| self.known.pop()).flatten() {
            self.known_turns = self.known_turns.saturating_add(1);
            return Some(job);
        }
        self.known_turns = 0;
        self.strangers.pop()
    }
}

struct Shared {
    queues: Mutex<Queues>,
    wake: Condvar,
    hasher: Arc<Hasher>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        // The queues are consistent after every statement, so a panic elsewhere does not matter.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running workers. When dropped, each ends after its present check. Nobody waits for that: at a high cost, a check
/// takes longer than the program may take to exit.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

/// The number of workers: one fewer than there are cores, at most four, limited by memory, and at least one. A worker
/// takes as much memory as the most expensive hash, new or stored.
#[must_use]
pub fn workers(argon2: Argon2Config, stored: &Costs) -> NonZeroUsize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    workers_on(cores, argon2.memory_kib.max(stored.memory_kib()))
}

fn workers_on(cores: usize, memory_kib: u32) -> NonZeroUsize {
    let each = usize::try_from(memory_kib).unwrap_or(usize::MAX).max(1);
    let count = cores.saturating_sub(1).min(WORKERS_MAX).min(WORKERS_KIB_MAX / each);
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}

impl Pool {
    /// Starts the workers.
    ///
    /// # Errors
    /// Those of the system, if it provides no threads.
    pub fn start(hasher: Arc<Hasher>, workers: NonZeroUsize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { queues: Mutex::default(), wake: Condvar::new(), hasher });
        let mut pool = Self { shared: Arc::clone(&shared), workers: Vec::new() };
        for number in 0..workers.get() {
            let shared = Arc::clone(&shared);
            let worker = std::thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || work(&shared))?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// Queues a check. With a `replacement`, the hash to store instead is that of the replacement, if the password is
    /// right.
    ///
    /// # Errors
    /// [`Busy`] if the queue is full.
    pub fn check(
        &self,
        question: Question,
        asker: Asker,
    ) -> Result<oneshot::Receiver<Outcome>, Busy> {
        let (reply, answer) = oneshot::channel();
        let job = Job { question, reply };
        let mut queues = self.shared.lock();
        queues.drop_gone();
        let is_queued = match asker {
            Asker::Known(account) => queues.known.push(account, job),
            Asker::Stranger(address) => queues.strangers.push(address, job),
        };
        if !is_queued {
            return Err(self.busy(&queues));
        }
        drop(queues);
        self.shared.wake.notify_one();
        Ok(answer)
    }

    #[cfg(test)]
    pub(in crate::server) fn hasher(&self) -> &Hasher {
        &self.shared.hasher
    }

    /// The answer for a queued job that had to make room.
    #[must_use]
    pub fn busy_now(&self) -> Busy {
        self.busy(&self.shared.lock())
    }

    fn busy(&self, queues: &Queues) -> Busy {
        let jobs = queues.known.len() + queues.strangers.len() + queues.running;
        let rounds = jobs.div_ceil(self.workers.len().max(1));
        let wait = queues.last_check.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX));
        Busy { retry_after_s: wait.as_secs().saturating_add(1) }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

fn work(shared: &Shared) {
    while let Some(job) = next_job(shared) {
        let started = clock::monotonic();
        let outcome = decide(&shared.hasher, &job.question);
        let took = clock::monotonic().saturating_duration_since(started);
        {
            let mut queues = shared.lock();
            queues.running = queues.running.saturating_sub(1);
            queues.last_check = took;
        }
        // The client may be gone meanwhile.
        job.reply.send(outcome).ok();
    }
}

fn decide(hasher: &Hasher, question: &Question) -> Outcome {
    let Question { password, stored, costs, replacement } = question;
    match (hasher.check(password, stored.as_deref(), costs)?, replacement) {
        (Check::Right { .. }, Some(new)) => Ok(Check::Right { rehash: Some(hasher.hash(new)?) }),
        (check, _) => Ok(check),
    }
}

fn next_job(shared: &Shared) -> Option<Job> {
    let mut queues = shared.lock();
    loop {
        if queues.closed {
            return None;
        }
        match queues.pop() {
            Some(job) => {
                queues.running = queues.running.saturating_add(1);
                return Some(job);
            }
            None => queues = shared.wake.wait(queues).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: Asker = Asker::Stranger(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const KNOWN: Asker = Asker::Known(AccountId([1; 16]));

    fn hasher() -> Arc<Hasher> {
        Arc::new(Hasher::new(Argon2Config { memory_kib: 8, passes: 1 }).unwrap())
    }

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).unwrap()
    }

    fn question(text: &str, stored: Option<&str>) -> Question {
        let costs = Arc::new(Costs::of(stored));
        Question {
            password: password(text),
            stored: stored.map(str::to_owned),
            costs,
            replacement: None,
        }
    }

    /// A pool without workers, so that its queues can be inspected.
    fn stalled() -> Pool {
        let shared = Shared { queues: Mutex::default(), wake: Condvar::new(), hasher: hasher() };
        Pool { shared: Arc::new(shared), workers: Vec::new() }
    }

    /// The passwords of the waiting jobs, in the order in which they are checked.
    fn order(pool: &Pool) -> Vec<String> {
        let mut queues = pool.shared.lock();
        std::iter::from_fn(|| queues.pop()).map(|job| job.question.password.0.to_string()).collect()
    }

    #[test]
    fn a_pool_checks_passwords() {
        let hasher = hasher();
        let phc = hasher.hash(&password("secret")).unwrap();
        let pool = Pool::start(hasher, NonZeroUsize::MIN).unwrap();
        let right = pool.check(question("secret", Some(&phc)), STRANGER).unwrap();
        let wrong = pool.check(question("wrong", Some(&phc)), KNOWN).unwrap();
        let nobody = pool.check(question("secret", None), KNOWN).unwrap();
        assert_eq!(right.blocking_recv().unwrap(), Ok(Check::Right { rehash: None }));
        assert_eq!(wrong.blocking_recv().unwrap(), Ok(Check::Wrong));
        assert_eq!(nobody.blocking_recv().unwrap(), Ok(Check::Wrong));
        assert_eq!(pool.hasher().runs().values().sum::<u64>(), 4);
    }

    #[test]
    fn a_full_queue_is_busy_and_the_other_is_not() {
        let pool = stalled();
        let mut waiting = Vec::new();
        for _ in 0..QUEUE_MAX {
            waiting.push(pool.check(question("x", None), STRANGER).unwrap());
        }
        let busy = pool.check(question("x", None), STRANGER).unwrap_err();
        assert!(busy.retry_after_s >= 1);
        waiting.push(pool.check(question("x", None), KNOWN).unwrap());
        waiting.remove(0);
        assert!(pool.check(question("x", None), STRANGER).is_ok(), "a place is free");
    }

    #[test]
    fn known_devices_have_three_turns_and_strangers_the_fourth() {
        let pool = stalled();
        let mut waiting = vec![pool.check(question("gone", None), KNOWN).unwrap()];
        waiting.clear();
        for n in 0..5 {
            waiting.push(pool.check(question(&format!("stranger {n}"), None), STRANGER).unwrap());
            waiting.push(pool.check(question(&format!("known {n}"), None), KNOWN).unwrap());
        }
        let order = order(&pool);
        assert_eq!(order[..4], ["known 0", "known 1", "known 2", "stranger 0"]);
        assert_eq!(order[4..7], ["known 3", "known 4", "stranger 1"]);
        assert_eq!(order.len(), 10, "who is gone has no turn");
        assert_eq!(pool.hasher().runs().len(), 0);
    }

    #[test]
    fn accounts_and_addresses_take_turns() {
        let pool = stalled();
        let known = |account| Asker::Known(AccountId([account; 16]));
        let stranger = |last| Asker::Stranger([192, 0, 2, last].into());
        for asker in [known as fn(u8) -> Asker, stranger] {
            let mut waiting = Vec::new();
            for (text, who) in [("a", 1), ("b", 1), ("c", 1), ("d", 2), ("e", 3)] {
                waiting.push(pool.check(question(text, None), asker(who)).unwrap());
            }
            assert_eq!(order(&pool), ["a", "d", "e", "b", "c"]);
        }
    }

    #[test]
    fn a_job_that_made_room_is_answered_busy() {
        let pool = stalled();
        let mut flood: Vec<_> =
            (0..QUEUE_MAX).map(|_| pool.check(question("x", None), KNOWN).unwrap()).collect();
        assert!(pool.check(question("x", None), KNOWN).is_err(), "the flood finds no place");
        let other = Asker::Known(AccountId([2; 16]));
        let _honest = pool.check(question("x", None), other).unwrap();
        assert!(flood.pop().unwrap().try_recv().is_err(), "the newest of the flood had to go");
        assert!(
            flood[0].try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty)
        );
    }

    #[test]
    fn eight_busy_addresses_leave_a_place_for_a_ninth() {
        let pool = stalled();
        let ask = |last, text| {
            pool.check(question(text, None), Asker::Stranger([192, 0, 2, last].into()))
        };
        let flood = (0..8).flat_map(|last| [last; 8]);
        let _waiting: Vec<_> = flood.filter_map(|last| ask(last, "flood").ok()).collect();
        let _newcomer = ask(99, "newcomer").unwrap();
        let turn = order(&pool).iter().position(|text| text == "newcomer");
        assert!(turn.is_some_and(|turn| turn <= 8), "{turn:?}");
    }

    #[test]
    fn the_wait_grows_with_the_queue() {
        let pool = stalled();
        pool.shared.lock().last_check = Duration::from_secs(2);
        let mut waiting = Vec::new();
        for _ in 0..QUEUE_MAX {
            waiting.push(pool.check(question("x", None), KNOWN).unwrap());
        }
        let busy = pool.check(question("x", None), KNOWN).unwrap_err();
        assert_eq!(busy.retry_after_s, 2 * QUEUE_MAX as u64 + 1);
    }

    #[test]
    fn workers_fit_the_cores_and_the_memory() {
        for (cores, memory_kib, workers) in [
            (1, 65_536, 1),
            (2, 65_536, 1),
            (4, 65_536, 3),
            (64, 65_536, 3),
            (64, 8_192, 4),
            (64, 1_048_576, 1),
        ] {
            let got = workers_on(cores, memory_kib).get();
            assert_eq!(got, workers, "{cores} cores, {memory_kib} KiB");
        }
    }
}
