//! Where a password comes from: the first line of standard input, or a terminal. Never an argument.

use std::io::{IsTerminal as _, Read as _};

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
    let prompt = |text: &str| {
        rpassword::prompt_password(text).map(Zeroizing::new).map_err(|error| {
            Failure::Fault(anyhow::Error::from(error).context("cannot read the password"))
        })
    };
    let (first, again) = (prompt("Password: ")?, prompt("Again: ")?);
    if first != again {
        return Err(Failure::refused("bad-field", "the two passwords differ; nothing was changed"));
    }
    Ok(Zeroizing::new(first.as_bytes().to_vec()))
}
