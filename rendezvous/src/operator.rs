//! The operator's side: the command line, and one module per family of commands.

mod answer;
pub mod backup;
mod cli;
mod commands;
mod realm;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use answer::{Answers, Failure};
use cli::{Cli, Command, ModerationCommand};
use commands::{
    backup as backups, clock, device, moderation, policy, room, sanction, serve, show, user,
};
use realm::Realm;

/// Runs the program: reads the command line, does what it asks, and returns the exit code.
#[must_use]
pub fn run() -> ExitCode {
    // Misuse ends here with exit code 2, help and version with 0.
    let cli = Cli::parse();
    lanyard_program::logging::to_stderr(lanyard_program::logging::DEFAULT);
    lanyard_program::failure::watch_for_panics();
    let answers = Answers::new(cli.json);
    match dispatch(cli, answers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => answers.fail(&failure),
    }
}

fn dispatch(cli: Cli, answers: Answers) -> Result<(), Failure> {
    let data_dir = data_dir(cli.data_dir)?;
    let realm = || Realm::open(data_dir.clone(), answers);
    match cli.command {
        Command::Serve(args) => serve::run(data_dir, args, answers),
        Command::Restore { file, unsigned } => {
            backups::restore(&data_dir, &file, unsigned, answers)
        }
        Command::User(command) => user::run(&realm()?, command),
        Command::Policy(command) => policy::run(&realm()?, command),
        Command::Sanction(command) => sanction::run(&realm()?, &command),
        Command::Room(command) => room::run(&realm()?, &command),
        Command::Device(command) => device::run(&realm()?, &command),
        Command::Clock(command) => clock::run(&realm()?, command),
        Command::Moderation(command) => moderation::run(&realm()?, &command),
        Command::Orders => moderation::run(&realm()?, &ModerationCommand::List),
        Command::Audit { last } => show::audit(&realm()?, last),
        Command::Backup { file } => backups::backup(&realm()?, &file),
        Command::Sessions => show::sessions(&realm()?),
        Command::Status => show::status(&realm()?),
    }
}

fn data_dir(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    match given {
        Some(dir) if dir.as_os_str().is_empty() => {
            Err(Failure::Misuse("--data-dir is empty".to_owned()))
        }
        Some(dir) => Ok(dir),
        None => directories::ProjectDirs::from("", "", "lanyard-rendezvous")
            .map(|dirs| dirs.data_dir().to_owned())
            .context("no home folder is set; give --data-dir")
            .map_err(Failure::Fault),
    }
}
