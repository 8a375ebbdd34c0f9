//! `lanyard-node`: a peer in the terminal, for people and for programs.

mod bench;
mod chat;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;

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
    lanyard_program::limits::raise_file_limit();
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "Cannot start");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        match cli {
            Cli::Chat(options) => chat::run(options).await,
            Cli::Bench(options) => bench::run(&options).await,
        }
    });
    // A thread that still waits for stdin must not keep the program running.
    runtime.shutdown_background();
    code
}
