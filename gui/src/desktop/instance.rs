//! One window per profile: a second start hands over its arguments, and the first window comes to the front.
//!
//! The first start holds a lock, which the system releases however the program ends, and listens on a socket beside
//! it. The holder of the lock owns the socket, and replaces one that a crash has left behind. The window itself
//! answers, so a second start that gets no answer waits until the first has ended, and takes its place.

use std::fs::{File, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
#[cfg(not(unix))]
use std::net::{TcpListener as Listener, TcpStream as Caller};
#[cfg(unix)]
use std::os::unix::net::{UnixListener as Listener, UnixStream as Caller};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use lanyard_node::clock::Clock;

use crate::model::starting::Offer;

const LOCK: &str = "window.lock";
const SOCKET: &str = "window.sock";
/// How long a window may take to answer or to end. Saying goodbye to the mesh takes two seconds at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon a second start tries again while a window is opening or closing.
const RETRY: Duration = Duration::from_millis(50);
/// How long a caller may take to send its line. A second start sends it at once.
const LINE_WITHIN: Duration = Duration::from_secs(2);
/// The longest line read. A join link and a name are much shorter.
const LINE_BYTES_MAX: u64 = 16 * 1_024;
/// How many second starts may wait at the same time.
const WAITING_MAX: usize = 8;
const RAISED: &str = "raised";

/// What a start finds.
#[derive(Debug)]
pub enum Found {
    /// No window has this profile: it is ours.
    Free(Instance),
    /// A window that has come to the front and has taken our arguments.
    Window,
    /// A window that does not answer.
    Silence,
}

/// The only window with a profile.
#[derive(Debug)]
pub struct Instance {
    _lock: File,
    door: Option<Door>,
    calls: Option<Receiver<Call>>,
}

/// A second start that waits for this window to come to the front.
#[derive(Debug)]
pub struct Call {
    /// What was given on its command line.
    pub offer: Offer,
    caller: Caller,
}

impl Call {
    /// Lets the second start end.
    pub fn answer(mut self) {
        // A second start that has ended needs no answer.
        writeln!(self.caller, "{RAISED}").ok();
    }
}

/// Becomes the window of this profile, or calls the window that is.
///
/// # Errors
/// If the profile folder cannot be used.
pub fn claim(profile: &Path, offer: &Offer) -> io::Result<Found> {
    // Checked first, because a folder with other things in it must not be touched.
    lanyard_node::profile::folder(profile).map_err(io::Error::other)?;
    let lock = File::options().write(true).create(true).truncate(false).open(profile.join(LOCK))?;
    let clock = Clock::new();
    let until = clock.now().mono + PATIENCE;
    loop {
        match lock.try_lock() {
            Ok(()) => {
                let door = Door::open(profile).inspect_err(|error| {
                    tracing::warn!(%error, "A second start will not find this window");
                });
                return Ok(Found::Free(Instance { _lock: lock, door: door.ok(), calls: None }));
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let left = until.saturating_sub(clock.now().mono);
        if left.is_zero() {
            return Ok(Found::Silence);
        }
        match call(profile, offer, left) {
            Ok(()) => return Ok(Found::Window),
            // The window may hold the lock but not listen yet, or be about to end.
            Err(_not_now) => pause(RETRY.min(left)),
        }
    }
}

impl Instance {
    /// Starts to listen. `wake` is called after every call.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn listen(&mut self, wake: impl Fn() + Send + 'static) -> io::Result<()> {
        let Some(door) = &self.door else { return Ok(()) };
        let (queue, calls) = sync_channel(WAITING_MAX);
        let listener = door.listener.try_clone()?;
        std::thread::Builder::new()
            .name("lanyard-second-start".into())
            .spawn(move || take_calls(&listener, &queue, wake))?;
        self.calls = Some(calls);
        Ok(())
    }

    /// The next second start that is waiting.
    pub fn next_call(&mut self) -> Option<Call> {
        self.calls.as_ref()?.try_recv().ok()
    }

    /// Stops answering, because this window is about to end. A second start then takes its place.
    pub fn close(&mut self) {
        self.calls = None;
        self.door = None;
    }
}

#[expect(clippy::disallowed_methods, reason = "no event says that a lock or a socket can be had")]
fn pause(length: Duration) {
    std::thread::sleep(length);
}

fn take_calls(listener: &Listener, queue: &SyncSender<Call>, wake: impl Fn()) {
    loop {
        let Ok((caller, _nameless)) = listener.accept() else {
            // Too many open files, for example: that passes, and must not become a busy loop.
            pause(RETRY);
            continue;
        };
        match read_call(caller).map(|call| queue.send(call)) {
            Ok(Ok(())) => wake(),
            Ok(Err(_the_window_ends)) => return,
            Err(error) => tracing::debug!(%error, "Could not read what a caller sent"),
        }
    }
}

fn read_call(caller: Caller) -> io::Result<Call> {
    caller.set_read_timeout(Some(LINE_WITHIN))?;
    caller.set_write_timeout(Some(LINE_WITHIN))?;
    let mut line = String::new();
    BufReader::new((&caller).take(LINE_BYTES_MAX)).read_line(&mut line)?;
    Ok(Call { offer: serde_json::from_str(&line)?, caller })
}

/// Calls the window and waits until it has come to the front.
fn call(profile: &Path, offer: &Offer, within: Duration) -> io::Result<()> {
    let mut window = reach(profile)?;
    window.set_read_timeout(Some(within))?;
    let mut line = serde_json::to_vec(offer)?;
    line.push(b'\n');
    window.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(window.take(LINE_BYTES_MAX)).read_line(&mut answer)?;
    if answer.trim_end() == RAISED { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The socket that second starts connect to. It is deleted when dropped.
#[derive(Debug)]
struct Door {
    listener: Listener,
    path: PathBuf,
}

#[cfg(unix)]
impl Door {
    /// Opens the socket. Only the holder of the lock may do that.
    fn open(profile: &Path) -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = profile.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _gone => {}
        }
        let listener = Listener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

#[cfg(unix)]
fn reach(profile: &Path) -> io::Result<Caller> {
    Caller::connect(profile.join(SOCKET))
}

/// On other systems there is only the lock.
#[cfg(not(unix))]
impl Door {
    fn open(profile: &Path) -> io::Result<Self> {
        Err(io::Error::other(profile.join(SOCKET).display().to_string()))
    }
}

#[cfg(not(unix))]
fn reach(_profile: &Path) -> io::Result<Caller> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::thread::JoinHandle;

    use super::*;

    fn free(profile: &Path) -> Instance {
        match claim(profile, &Offer::default()).unwrap() {
            Found::Free(instance) => instance,
            found => panic!("{found:?}"),
        }
    }

    fn offer() -> Offer {
        Offer { link: Some("lanyard://x".into()), username: None }
    }

    fn second_start(profile: &Path) -> JoinHandle<io::Result<Found>> {
        let profile = profile.to_owned();
        let name = "second start".to_owned();
        std::thread::Builder::new().name(name).spawn(move || claim(&profile, &offer())).unwrap()
    }

    /// Waits for a second start, which calls `wake` for us.
    fn called(instance: &mut Instance, wakes: &Receiver<()>) -> Call {
        wakes.recv_timeout(PATIENCE).unwrap();
        instance.next_call().unwrap()
    }

    fn listening(profile: &Path) -> (Instance, Receiver<()>) {
        let mut instance = free(profile);
        let (wake, wakes) = sync_channel(1);
        instance.listen(move || wake.try_send(()).unwrap_or_default()).unwrap();
        (instance, wakes)
    }

    #[test]
    fn a_second_start_hands_over_what_it_was_given() {
        let dir = tempfile::tempdir().unwrap();
        let (mut first, wakes) = listening(dir.path());
        let mode = std::fs::metadata(dir.path().join(SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = second_start(dir.path());
        let call = called(&mut first, &wakes);
        assert_eq!(call.offer, offer());
        assert!(!second.is_finished(), "it waits for the window");
        call.answer();
        assert!(matches!(second.join().unwrap().unwrap(), Found::Window));
    }

    #[test]
    fn a_start_takes_the_place_of_a_window_that_ends() {
        let dir = tempfile::tempdir().unwrap();
        let (mut first, wakes) = listening(dir.path());
        let second = second_start(dir.path());
        let call = called(&mut first, &wakes);
        first.close();
        drop(call);
        drop(first);
        assert!(matches!(second.join().unwrap().unwrap(), Found::Free(_)));
    }

    #[test]
    fn a_socket_left_behind_by_a_crash_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        lanyard_node::profile::folder(dir.path()).unwrap();
        // Dropped, a listener leaves its socket in the file system, as a crash does.
        drop(Listener::bind(dir.path().join(SOCKET)).unwrap());
        let (mut first, wakes) = listening(dir.path());
        let second = second_start(dir.path());
        called(&mut first, &wakes).answer();
        assert!(matches!(second.join().unwrap().unwrap(), Found::Window));
    }

    #[test]
    fn noise_on_the_socket_is_no_second_start() {
        let dir = tempfile::tempdir().unwrap();
        let (mut first, wakes) = listening(dir.path());
        for noise in [&b"\n"[..], b"{\"link\":7}\n", b"\xff\xff\n", &[b'x'; 20_000]] {
            // The window may hang up before all is written.
            reach(dir.path()).unwrap().write_all(noise).ok();
        }
        let second = second_start(dir.path());
        assert_eq!(called(&mut first, &wakes).offer, offer());
        drop(first);
        second.join().unwrap().unwrap();
    }
}
