//! Reads a password from the first line of standard input or from the terminal, never from an argument.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use lanyard_program::prompt::{self, NoAnswer};
use lanyard_program::stdin::{self, Fault, NoPassword};
use lanyard_program::stop::asked_to_stop;
use zeroize::Zeroizing;

use crate::operator::answer::Failure;
use crate::operator::cli::PasswordArgs;
use crate::server::password::Password;

pub(super) fn read(args: PasswordArgs) -> Result<Password, Failure> {
    let line = if args.password_stdin { from_stdin()? } else { from_terminal()? };
    Password::new(line).map_err(|error| Failure::refused("weak-password", error.to_string()))
}

fn from_stdin() -> Result<Zeroizing<String>, Failure> {
    stdin::password().map_err(|error| {
        let code = match error {
            NoPassword::Missing | NoPassword::Unreadable(Fault::TooLong(_)) => "weak-password",
            NoPassword::Unreadable(Fault::NotUtf8 | Fault::Utf16) => "bad-field",
        };
        Failure::refused(code, error.to_string())
    })
}

fn from_terminal() -> Result<Zeroizing<String>, Failure> {
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
    Ok(first)
}
