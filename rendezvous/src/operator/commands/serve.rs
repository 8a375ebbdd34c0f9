//! `serve`: runs the login node until it is asked to stop.

use std::path::PathBuf;

use anyhow::Context as _;
use lanyard_program::stop::asked_to_stop;
use lanyard_protocol::link::JoinLink;
use serde_json::json;

use crate::authority::MeshAuthority;
use crate::operator::answer::{Answers, Failure};
use crate::operator::cli::ServeArgs;
use crate::serve::{self, Listening, Options};

pub(in crate::operator) fn run(
    data_dir: PathBuf,
    args: ServeArgs,
    answers: Answers,
) -> Result<(), Failure> {
    let ServeArgs { listen, mesh_listen, advertise, name, .. } = args;
    let options = Options { data_dir, listen, mesh_listen, advertise, name };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let stop = asked_to_stop().context("cannot listen for signals")?;
        let announce = |listening: &Listening| {
            if let Err(failure) = announce(listening, answers) {
                tracing::warn!(?failure, "Nobody reads the join link");
            }
        };
        serve::serve(options, MeshAuthority::start, announce, stop)
            .await
            .map_err(|error| Failure::Fault(error.into()))
    });
    // Logins in progress end with the process; their clients try again.
    runtime.shutdown_background();
    result
}

fn announce(listening: &Listening, answers: Answers) -> Result<(), Failure> {
    let Listening { link, others, doubt, login_server, authority, authority_peer } = listening;
    let links: Vec<String> = [link].into_iter().chain(others).map(JoinLink::to_string).collect();
    let mut object = json!({
        "event": "listening",
        "link": link.to_string(),
        "links": links,
        "desk": login_server,
        "member": authority,
        "member_peer": authority_peer.to_string(),
    });
    let mut lines = vec![format!("join link: {link}")];
    lines.extend(others.iter().map(|other| format!("    or, from another network: {other}")));
    if let Some(doubt) = doubt {
        let advice = format!("{doubt}; choose the address in the link with --advertise HOST");
        lines.push(format!("note: {advice}"));
        if let Some(fields) = object.as_object_mut() {
            fields.insert("advice".to_owned(), advice.into());
        }
    }
    answers.say_lines(&object, &lines)
}
