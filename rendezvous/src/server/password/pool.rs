//! The workers that check passwords: a few threads, two short queues, and "busy" instead of a long wait.
//!
//! A check takes 64 MiB and a fifth of a second. So memory limits how many may run at a time, and two queues of eight
//! limit how many may wait; beyond that the answer is [`Busy`], with a time. Devices that the account already uses come
//! first, so a flood of strangers does not lock them out. Among strangers, an address with more waiting jobs than
//! others must make room for these, and no address is served twice in a row while another waits, so a flood from one
//! address does not lock out the others. A job whose client is gone is dropped without a check.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Check, Hasher, Password, PasswordError};
use crate::clock;
use crate::folder::config::Argon2Config;

/// How many jobs may wait in each queue: at a fifth of a second each, the last waits two seconds on one core.
pub const QUEUE_MAX: usize = 8;
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

/// Whose jobs come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// A device that has signed in to this account before.
    Known,
    /// Any other device.
    Stranger,
}

/// The result of a job. A job that had to make room has no result, which counts as [`Busy`].
pub type Outcome = Result<Check, PasswordError>;

/// Where a request comes from, and whether the account knows the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// Whether the account knows the device.
    pub priority: Priority,
    /// The address, or the network that counts as one address.
    pub from: IpAddr,
}

struct Job {
    from: IpAddr,
    password: Password,
    stored: Option<String>,
    /// The new password, to be hashed if the old one is right.
    replacement: Option<Password>,
    reply: oneshot::Sender<Outcome>,
}

#[derive(Default)]
struct Queues {
    known: VecDeque<Job>,
    strangers: VecDeque<Job>,
    /// The stranger's address that was served last.
    last_served: Option<IpAddr>,
    running: usize,
    last_check: Duration,
    closed: bool,
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

/// The number of workers: one fewer than there are cores, at most four, limited by memory, and at least one.
#[must_use]
pub fn workers(argon2: Argon2Config) -> NonZeroUsize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    workers_on(cores, argon2)
}

fn workers_on(cores: usize, argon2: Argon2Config) -> NonZeroUsize {
    let each = usize::try_from(argon2.memory_kib).unwrap_or(usize::MAX).max(1);
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

    /// Queues a check; `stored` is `None` for a name that does not exist. With a `replacement`, the hash to store
    /// instead is that of the replacement, if the password is right.
    ///
    /// # Errors
    /// [`Busy`] if the queue is full.
    pub fn check(
        &self,
        password: Password,
        stored: Option<String>,
        replacement: Option<Password>,
        asker: Asker,
    ) -> Result<oneshot::Receiver<Outcome>, Busy> {
        let mut queues = self.shared.lock();
        let queue = match asker.priority {
            Priority::Known => &mut queues.known,
            Priority::Stranger => &mut queues.strangers,
        };
        // A client that has given up must not occupy a place.
        queue.retain(|job| !job.reply.is_closed());
        if queue.len() >= QUEUE_MAX && !make_room(queue, asker.from) {
            return Err(self.busy(&queues));
        }
        let (reply, answer) = oneshot::channel();
        queue.push_back(Job { from: asker.from, password, stored, replacement, reply });
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

/// Drops the newest job of the address with the most jobs, unless `from` has about as many itself. Otherwise one
/// address could keep a short queue full for ever.
fn make_room(queue: &mut VecDeque<Job>, from: IpAddr) -> bool {
    let mut waiting: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for job in queue.iter() {
        let count = waiting.entry(job.from).or_default();
        *count = count.saturating_add(1);
    }
    let own = waiting.get(&from).copied().unwrap_or(0);
    let Some((greedy, most)) = waiting.into_iter().max_by_key(|(_address, count)| *count) else {
        return false;
    };
    if most <= own.saturating_add(1) {
        return false;
    }
    let newest = queue.iter().rposition(|job| job.from == greedy);
    newest.and_then(|newest| queue.remove(newest)).is_some()
}

fn work(shared: &Shared) {
    while let Some(job) = next_job(shared) {
        let started = clock::monotonic();
        let outcome = decide(&shared.hasher, &job);
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

fn decide(hasher: &Hasher, job: &Job) -> Outcome {
    match (hasher.check(&job.password, job.stored.as_deref())?, &job.replacement) {
        (Check::Right { .. }, Some(new)) => Ok(Check::Right { rehash: Some(hasher.hash(new)?) }),
        (check, _) => Ok(check),
    }
}

/// The oldest job of an address other than the one served last; if there is none, the oldest job.
fn next_stranger(queues: &mut Queues) -> Option<Job> {
    let another = queues.strangers.iter().position(|job| Some(job.from) != queues.last_served);
    let job = queues.strangers.remove(another.unwrap_or(0))?;
    if !job.reply.is_closed() {
        queues.last_served = Some(job.from);
    }
    Some(job)
}

fn next_job(shared: &Shared) -> Option<Job> {
    let mut queues = shared.lock();
    loop {
        if queues.closed {
            return None;
        }
        let next = queues.known.pop_front().or_else(|| next_stranger(&mut queues));
        match next {
            Some(job) if job.reply.is_closed() => {}
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

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const STRANGER: Asker = Asker { priority: Priority::Stranger, from: HOME };
    const KNOWN: Asker = Asker { priority: Priority::Known, from: HOME };

    fn hasher() -> Arc<Hasher> {
        Arc::new(Hasher::new(Argon2Config { memory_kib: 8, passes: 1 }).unwrap())
    }

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).unwrap()
    }

    /// A pool without workers, so that its queues can be inspected.
    fn stalled() -> Pool {
        let shared = Shared { queues: Mutex::default(), wake: Condvar::new(), hasher: hasher() };
        Pool { shared: Arc::new(shared), workers: Vec::new() }
    }

    #[test]
    fn a_pool_checks_passwords() {
        let hasher = hasher();
        let phc = hasher.hash(&password("secret")).unwrap();
        let pool = Pool::start(hasher, NonZeroUsize::MIN).unwrap();
        let right = pool.check(password("secret"), Some(phc.clone()), None, STRANGER).unwrap();
        let wrong = pool.check(password("wrong"), Some(phc), None, KNOWN).unwrap();
        let nobody = pool.check(password("secret"), None, None, KNOWN).unwrap();
        assert_eq!(right.blocking_recv().unwrap(), Ok(Check::Right { rehash: None }));
        assert_eq!(wrong.blocking_recv().unwrap(), Ok(Check::Wrong));
        assert_eq!(nobody.blocking_recv().unwrap(), Ok(Check::Wrong));
        assert_eq!(pool.hasher().calls(), 4);
    }

    #[test]
    fn a_full_queue_is_busy_and_the_other_is_not() {
        let pool = stalled();
        let mut waiting = Vec::new();
        for _ in 0..QUEUE_MAX {
            waiting.push(pool.check(password("x"), None, None, STRANGER).unwrap());
        }
        let busy = pool.check(password("x"), None, None, STRANGER).unwrap_err();
        assert!(busy.retry_after_s >= 1);
        waiting.push(pool.check(password("x"), None, None, KNOWN).unwrap());
        waiting.remove(0);
        assert!(pool.check(password("x"), None, None, STRANGER).is_ok(), "a place is free");
    }

    #[test]
    fn known_devices_come_first_and_gone_clients_are_skipped() {
        let pool = stalled();
        let gone = pool.check(password("gone"), None, None, KNOWN).unwrap();
        drop(gone);
        let _stranger = pool.check(password("stranger"), None, None, STRANGER).unwrap();
        let _known = pool.check(password("known"), None, None, KNOWN).unwrap();
        let order: Vec<String> = [next_job(&pool.shared), next_job(&pool.shared)]
            .into_iter()
            .flatten()
            .map(|job| job.password.0.to_string())
            .collect();
        assert_eq!(order, ["known", "stranger"]);
        assert_eq!(pool.hasher().calls(), 0);
    }

    #[test]
    fn the_wait_grows_with_the_queue() {
        let pool = stalled();
        pool.shared.lock().last_check = Duration::from_secs(2);
        let mut waiting = Vec::new();
        for _ in 0..QUEUE_MAX {
            waiting.push(pool.check(password("x"), None, None, KNOWN).unwrap());
        }
        let busy = pool.check(password("x"), None, None, KNOWN).unwrap_err();
        assert_eq!(busy.retry_after_s, 17);
    }

    #[test]
    fn an_address_with_many_jobs_makes_room_for_the_others() {
        let pool = stalled();
        let from = |last: u8| Asker { from: [192, 0, 2, last].into(), ..STRANGER };
        let check = |last: u8| pool.check(password("x"), None, None, from(last));
        let mut flood: Vec<_> = (0..QUEUE_MAX).map(|_| check(1).unwrap()).collect();
        assert!(check(1).is_err(), "the flood itself finds no place");
        let mut honest = vec![check(2).unwrap()];
        assert!(flood.pop().unwrap().try_recv().is_err(), "the newest of the flood had to go");
        honest.push(check(3).unwrap());
        honest.push(check(2).unwrap());
        honest.push(check(2).unwrap());
        assert!(check(2).is_err(), "four each: neither must make room");
        honest.push(check(4).unwrap());
        let addresses = |pool: &Pool| -> Vec<IpAddr> {
            pool.shared.lock().strangers.iter().map(|job| job.from).collect()
        };
        assert_eq!(addresses(&pool).len(), QUEUE_MAX);
        assert_eq!(addresses(&pool)[..3], [HOME; 3], "the first to come is still served first");
        assert_eq!(flood.len(), QUEUE_MAX - 1);
        let served: Vec<u8> = (0..QUEUE_MAX)
            .map(|_| match next_job(&pool.shared).unwrap().from {
                IpAddr::V4(address) => address.octets()[3],
                IpAddr::V6(_) => 0,
            })
            .collect();
        assert_eq!(
            served,
            [1, 2, 1, 3, 1, 2, 4, 2],
            "no address twice in a row while another waits"
        );
    }

    #[test]
    fn workers_fit_the_cores_and_the_memory() {
        let cost = |memory_kib| Argon2Config { memory_kib, passes: 1 };
        for (cores, memory_kib, workers) in [
            (1, 65_536, 1),
            (2, 65_536, 1),
            (4, 65_536, 3),
            (64, 65_536, 3),
            (64, 8_192, 4),
            (64, 1_048_576, 1),
        ] {
            let got = workers_on(cores, cost(memory_kib)).get();
            assert_eq!(got, workers, "{cores} cores, {memory_kib} KiB");
        }
    }
}
