//! `lanyard-rendezvous`: the login node and its operator's commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    lanyard_rendezvous::operator::run()
}
