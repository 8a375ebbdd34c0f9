//! What the command line does: one module per family of commands.

mod answer;
mod backup;
mod clock_command;
mod device;
mod moderation;
mod password;
mod policy;
mod room;
mod sanction;
mod serve;
mod show;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use lanyard_rendezvous::acts::{self, ActError};
use lanyard_rendezvous::clock;
use lanyard_rendezvous::folder;
use lanyard_rendezvous::store::{Store, StoreError};
use rusqlite::Connection;

use crate::cli::{Cli, Command};
use answer::{Answers, Failure};

/// Does what was asked and says with which code to exit.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let answers = Answers::new(cli.json);
    match dispatch(cli, &answers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => answers.fail(&failure),
    }
}

fn dispatch(cli: Cli, answers: &Answers) -> Result<(), Failure> {
    let data_dir = data_dir(cli.data_dir)?;
    match cli.command {
        Command::Serve(args) => serve::run(data_dir, args, answers),
        Command::User(command) => user::run(&Realm::open(data_dir)?, command, answers),
        Command::Policy(command) => policy::run(&Realm::open(data_dir)?, command, answers),
        Command::Sanction(command) => sanction::run(&Realm::open(data_dir)?, &command, answers),
        Command::Room(command) => room::run(&Realm::open(data_dir)?, &command, answers),
        Command::Device(command) => device::run(&Realm::open(data_dir)?, &command, answers),
        Command::Clock(command) => clock_command::run(&Realm::open(data_dir)?, command, answers),
        Command::Moderations => moderation::list(&Realm::open(data_dir)?, answers),
        Command::Moderation(command) => moderation::run(&Realm::open(data_dir)?, &command, answers),
        Command::Audit { last } => show::audit(&Realm::open(data_dir)?, last, answers),
        Command::Backup { file } => backup::backup(&Realm::open(data_dir)?, &file, answers),
        Command::Restore { file } => backup::restore(&data_dir, &file, answers),
        Command::Sessions => show::sessions(&Realm::open(data_dir)?, answers),
        Command::Status => show::status(&Realm::open(data_dir)?, answers),
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

/// A data directory on which `serve` has run at least once.
pub(crate) struct Realm {
    data_dir: PathBuf,
}

impl Realm {
    fn open(data_dir: PathBuf) -> Result<Self, Failure> {
        let realm = Self { data_dir };
        // Asked first, so that nobody types a password for nothing.
        realm.store()?;
        Ok(realm)
    }

    fn store(&self) -> Result<Store, Failure> {
        folder::has_database_beside_keys(&self.data_dir)
            .map_err(|error| Failure::Fault(error.into()))?;
        Store::open(&self.data_dir).map_err(|error| match error {
            StoreError::Missing { .. } => Failure::refused(
                "not-initialised",
                format!(
                    "there is no realm in {} yet; run `lanyard-rendezvous serve` on it once",
                    self.data_dir.display()
                ),
            ),
            other => Failure::Fault(other.into()),
        })
    }

    /// Does something in one transaction and answers with the policy that it stands in.
    fn act(
        &self,
        answers: &Answers,
        words: &str,
        change: impl FnOnce(&Connection, u64) -> Result<(), ActError>,
    ) -> Result<(), Failure> {
        self.act_with(answers, words, None, change)
    }

    fn act_with(
        &self,
        answers: &Answers,
        words: &str,
        warning: Option<&str>,
        change: impl FnOnce(&Connection, u64) -> Result<(), ActError>,
    ) -> Result<(), Failure> {
        let mut store = self.store()?;
        acts::perform(&mut store, clock::unix_ms(), change)?;
        answers.done(policy::wait_for(self, &store)?, words, warning)
    }
}
