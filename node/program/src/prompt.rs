//! Asks for a password. Nothing else reads the terminal meanwhile, and its modes are restored in every case: after
//! Enter, after Ctrl-C, after a signal.

use std::io;

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::terminal::Modes;

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The user or a signal ended the program.
    #[error("interrupted")]
    Stopped,
    /// The terminal cannot be read.
    #[error("the terminal cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Asks for a password without showing it, until it is typed or `stop` completes. The program must already handle
/// signals: otherwise Ctrl-C would end it with the echo off.
///
/// # Errors
/// [`NoAnswer`]. A thread may then still be waiting for the terminal, so the program must end.
pub async fn password(
    question: String,
    stop: impl Future<Output = ()>,
) -> Result<Zeroizing<String>, NoAnswer> {
    // Restored when dropped. rpassword turns off the echo only after it has shown the question.
    let modes = Modes::of_stdin()?;
    modes.without_echo()?;
    let (answer, answered) = oneshot::channel();
    let ask = move || {
        // If the program is ending, the receiver is gone.
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
