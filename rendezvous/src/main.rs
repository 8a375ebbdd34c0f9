//! `lanyard-rendezvous`: the login node and its operator's commands.

mod cli;
mod commands;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // Misuse ends here with exit code 2, help and version with 0.
    let cli = cli::Cli::parse();
    lanyard_node::logging::to_stderr(lanyard_node::logging::DEFAULT);
    lanyard_node::failure::watch_for_panics();
    commands::run(cli)
}
