//! The question for a password. It is the only reader of the terminal while it stands, and the terminal is as it
//! was before on every way out: after Enter, after Ctrl-C, after a signal.

use std::io;

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::terminal::Modes;

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The user, or a signal, has ended the program.
    #[error("interrupted")]
    Stopped,
    /// The terminal cannot be read.
    #[error("the terminal cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Asks for a password, without showing what is typed, until it is there or `stop` completes. Signals must be
/// listened for already: Ctrl-C becomes SIGINT, and that would otherwise end the program with the echo off.
///
/// # Errors
/// [`NoAnswer`]. After that a thread may still wait for the terminal; the program must end.
pub async fn password(
    question: String,
    stop: impl Future<Output = ()>,
) -> Result<Zeroizing<String>, NoAnswer> {
    // Put back when it is dropped. rpassword turns the echo off only once the question stands there.
    let modes = Modes::of_stdin()?;
    modes.without_echo()?;
    let (answer, answered) = oneshot::channel();
    let ask = move || {
        // Nobody waits for it if the program ends.
        answer.send(rpassword::prompt_password(question).map(Zeroizing::new)).ok();
    };
    std::thread::Builder::new().name("lanyard-password".into()).spawn(ask)?;
    tokio::select! {
        biased;
        () = stop => Err(NoAnswer::Stopped),
        answer = answered => match answer {
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => Err(NoAnswer::Stopped),
            Ok(answer) => Ok(answer?),
            Err(_the_thread_is_gone) => Err(NoAnswer::Stopped),
        },
    }
}
