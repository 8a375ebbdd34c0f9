//! `lanyard-node`: a peer in the terminal, for people and for programs.

mod bench;
mod chat;

use std::process::ExitCode;

use clap::Parser;

use bench::BenchOptions;
use chat::ChatOptions;

/// A Lanyard peer in the terminal
#[derive(Debug, Parser)]
#[command(version)]
enum Cli {
    /// Join a realm and chat
    Chat(ChatOptions),
    /// Measure a mesh of full nodes in this process
    Bench(BenchOptions),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    lanyard_program::logging::to_stderr(lanyard_program::logging::DEFAULT);
    lanyard_program::failure::watch_for_panics();
    match cli {
        Cli::Chat(options) => chat::run(options),
        Cli::Bench(options) => bench::run(&options),
    }
}
