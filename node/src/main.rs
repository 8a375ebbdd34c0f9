//! `lanyard-node`: a peer in the terminal, for people and for programs.

use std::process::ExitCode;

use clap::Parser;
use lanyard_node::chat::{self, ChatOptions};

/// A Lanyard peer in the terminal
#[derive(Debug, Parser)]
#[command(version)]
enum Cli {
    /// Join a realm and chat
    Chat(ChatOptions),
}

fn main() -> ExitCode {
    let Cli::Chat(options) = Cli::parse();
    lanyard_node::logging::to_stderr();
    chat::run(options)
}
