//! Where a password comes from: the first line of standard input, or a terminal. Never an argument.

use std::io::{IsTerminal as _, Read as _};

use anyhow::Context as _;
use lanyard_node::prompt::{self, NoAnswer};
use lanyard_node::stop::asked_to_stop;
use lanyard_rendezvous::password::{PASSWORD_BYTES_MAX, Password, PasswordError};
use zeroize::Zeroizing;

use super::answer::Failure;
use crate::cli::PasswordArgs;

/// Asks for a password.
pub(crate) fn read(args: PasswordArgs) -> Result<Password, Failure> {
    let line = if args.password_stdin { from_stdin()? } else { from_terminal()? };
    Password::from_bytes(&line).map_err(|error| match error {
        PasswordError::NotText => Failure::refused("bad-field", error.to_string()),
        _ => Failure::refused("weak-password", error.to_string()),
    })
}

/// The first line, without its end. No more is read than a password may have.
fn from_stdin() -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Room for the line's end and for one byte too many, which the check refuses.
    let room = PASSWORD_BYTES_MAX.saturating_add(3);
    let mut line = Zeroizing::new(Vec::with_capacity(room));
    let mut stdin = std::io::stdin().lock();
    let mut byte = Zeroizing::new([0_u8; 1]);
    while line.len() < room {
        match stdin.read(byte.as_mut()) {
            Ok(0) => break,
            Ok(_) if byte.as_ref() == b"\n" => break,
            Ok(_) => line.extend_from_slice(byte.as_ref()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                let error = anyhow::Error::from(error).context("cannot read the password");
                return Err(Failure::Fault(error));
            }
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

fn from_terminal() -> Result<Zeroizing<Vec<u8>>, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Misuse(
            "there is no terminal to ask for the password; give it with --password-stdin"
                .to_owned(),
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot ask for the password")?;
    let ask = async |question: &str| {
        let stop = asked_to_stop().context("cannot listen for signals")?;
        prompt::password(question.to_owned(), stop).await.map_err(|error| match error {
            NoAnswer::Stopped => {
                Failure::Fault(anyhow::anyhow!("interrupted; nothing was changed"))
            }
            NoAnswer::Io(error) => {
                Failure::Fault(anyhow::Error::from(error).context("cannot read the password"))
            }
        })
    };
    let (first, again) = runtime
        .block_on(async { Ok::<_, Failure>((ask("Password: ").await?, ask("Again: ").await?)) })?;
    if first != again {
        return Err(Failure::refused("bad-field", "the two passwords differ; nothing was changed"));
    }
    Ok(Zeroizing::new(first.as_bytes().to_vec()))
}
