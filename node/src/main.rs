//! `lanyard-node`: a peer in the terminal, for people and for programs.

use std::process::ExitCode;

use clap::Parser;
use lanyard_node::bench::{self, BenchOptions};
use lanyard_node::chat::{self, ChatOptions};

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
    lanyard_node::logging::to_stderr(lanyard_node::logging::DEFAULT);
    lanyard_node::failure::watch_for_panics();
    match cli {
        Cli::Chat(options) => chat::run(options),
        Cli::Bench(options) => bench::run(&options),
    }
}
