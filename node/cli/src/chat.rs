//! The terminal chat: `lanyard-node chat`, plain for people and `--json` for programs.
//!
//! [`session`] runs the conversation, and [`json`] and [`plain`] are its two forms of output. [`input`] reads stdin,
//! unless it is a terminal, which [`editor`] reads.

mod answer;
mod command;
mod completion;
mod editor;
mod input;
mod json;
mod output;
mod plain;
mod screen;
mod session;
mod source;
mod unreadable;
mod unsent;
mod words;
mod wrap;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use directories::ProjectDirs;
use lanyard_node::login::has_ticket;
use lanyard_node::{JoinRequest, Password, Refusal, RefusalCode};
use lanyard_program::prompt::{self, NoAnswer};
use lanyard_program::stdin::password_of;
use lanyard_program::stop::asked_to_stop;
use lanyard_protocol::link::JoinLink;

use editor::Terminal;
use input::lines_of_stdin;
use output::Output;
use source::Input;

/// Options of `lanyard-node chat`.
#[derive(Debug, Args)]
pub(crate) struct ChatOptions {
    /// The join link that the operator gives out
    #[arg(long, value_name = "LINK")]
    join: String,
    /// Your username
    #[arg(long, value_name = "NAME")]
    username: String,
    /// Read the password from the first line of stdin
    #[arg(long)]
    password_stdin: bool,
    /// The display name you would like
    #[arg(long, value_name = "NAME")]
    nickname: Option<String>,
    /// The profile folder [default: in the platform's data folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where to listen for peers, as IP:PORT [default: everywhere, on the port used last]
    #[arg(long, value_name = "ADDR", value_parser = lanyard_node::transport::ports::parse)]
    listen: Option<SocketAddr>,
    /// Stay after the end of stdin
    #[arg(long)]
    stay: bool,
    /// One JSON object a line, in and out
    #[arg(long)]
    json: bool,
}

/// Runs until the user quits, the membership ends, or stdin ends.
pub(crate) async fn run(options: ChatOptions) -> ExitCode {
    let mut output = Output::new(options.json);
    let (request, input) = match request(&options).await {
        Ok(request) => request,
        Err(Start::Misuse(reason)) => {
            output.misuse(&reason);
            return ExitCode::from(2);
        }
        Err(Start::Refused(refusal)) => {
            output.refused(&refusal);
            return ExitCode::FAILURE;
        }
        Err(Start::Stopped) => return ExitCode::SUCCESS,
    };
    session::run(request, input, options.stay, &mut output).await
}

/// Why the program does not even try to join.
enum Start {
    Misuse(String),
    Refused(Refusal),
    Stopped,
}

async fn request(options: &ChatOptions) -> Result<(JoinRequest, Input), Start> {
    let link: JoinLink = options.join.parse().map_err(|error| {
        let reason = format!("The join link cannot be read: {error}.");
        Start::Refused(Refusal::of(RefusalCode::BadLink, reason))
    })?;
    let default = || Some(ProjectDirs::from("", "", "lanyard")?.data_dir().join("profile"));
    let profile = options.data_dir.clone().or_else(default);
    let profile =
        profile.ok_or_else(|| Start::Misuse("say --data-dir: there is no home folder".into()))?;
    let (password, input) = if options.password_stdin {
        let mut lines = lines_of_stdin();
        let password = password_of(lines.recv().await.map(|line| line.text));
        let password = password.map_err(|error| Start::Misuse(error.to_string()))?;
        (Some(password), Input::Lines(lines))
    } else {
        let has_ticket = has_ticket(&link, &options.username, &profile).map_err(Start::Refused)?;
        let password = if has_ticket { None } else { Some(ask_for_password(options).await?) };
        // Not earlier: two readers of one terminal would split the password between them.
        let terminal = if options.json { None } else { Terminal::of_stdio() };
        (password, terminal.map_or_else(|| Input::Lines(lines_of_stdin()), Input::Terminal))
    };
    let request = JoinRequest {
        link,
        username: options.username.clone(),
        password,
        nickname: options.nickname.clone(),
        profile,
        listen: options.listen.into_iter().collect(),
    };
    Ok((request, input))
}

async fn ask_for_password(options: &ChatOptions) -> Result<Password, Start> {
    if !std::io::stdin().is_terminal() {
        let reason =
            "a password is needed, and there is no terminal to ask for it; use --password-stdin";
        return Err(Start::Misuse(reason.into()));
    }
    let stop = asked_to_stop().map_err(|error| Start::Misuse(error.to_string()))?;
    let question = format!("Password of {}: ", options.username);
    prompt::password(question, stop).await.map_err(|error| match error {
        NoAnswer::Stopped => Start::Stopped,
        NoAnswer::Io(_) => Start::Misuse(error.to_string()),
    })
}
