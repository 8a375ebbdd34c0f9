//! Detects that a program is asked to stop: by Ctrl-C, by `kill`, or because its terminal closes.

use std::io;

/// Completes when the program is asked to stop. It listens from the moment of the call, so a request before the first
/// poll is not lost.
///
/// # Errors
/// If the system does not let the program listen.
#[cfg(unix)]
pub fn asked_to_stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // A program started with nohup must outlive the terminal.
    let mut hangup = if is_hangup_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
    Ok(async move {
        let closed = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _signal = terminate.recv() => {}
            _signal = interrupt.recv() => {}
            _signal = closed => {}
        }
    })
}

/// Completes when the program is asked to stop.
///
/// # Errors
/// If the system does not let the program listen.
#[cfg(not(unix))]
pub fn asked_to_stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Whether the program was started with SIGHUP ignored, as `nohup` does. False if the system does not report it.
#[must_use]
pub fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Signal 1 is the lowest bit.
    ignored
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}

/// Completes when the reader of standard output is gone, as when `head` has ended. Never completes for a file.
pub async fn stdout_closed() {
    let (closed, told) = tokio::sync::oneshot::channel();
    // Use a thread, because this usually waits for ever and must not delay the end of the program.
    let watch = move || {
        if wait_until_closed().is_ok() {
            closed.send(()).ok();
        }
    };
    let watching = std::thread::Builder::new().name("lanyard-stdout".into()).spawn(watch);
    if watching.is_err() || told.await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
fn wait_until_closed() -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    let stdout = io::stdout();
    // Even if asked for no events, the system reports errors and a closed other end.
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    while let Err(error) = poll(&mut watched, None) {
        if error != rustix::io::Errno::INTR {
            return Err(error.into());
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn wait_until_closed() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
