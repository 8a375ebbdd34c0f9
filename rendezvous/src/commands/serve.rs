//! `serve`: runs the login node until it is asked to stop.

use std::path::PathBuf;

use anyhow::Context as _;
use lanyard_node::stop::asked_to_stop;
use lanyard_protocol::link::JoinLink;
use lanyard_rendezvous::authority::MeshAuthority;
use lanyard_rendezvous::serve::{self, Listening, Options};
use serde_json::json;

use super::answer::{Answers, Failure};
use crate::cli::ServeArgs;

pub(crate) fn run(data_dir: PathBuf, args: ServeArgs, answers: &Answers) -> Result<(), Failure> {
    let ServeArgs { listen, mesh_listen, advertise, name, no_relay } = args;
    let options = Options { data_dir, listen, mesh_listen, advertise, name, relay: !no_relay };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let stop = asked_to_stop().context("cannot listen for signals")?;
        let announce = |listening: &Listening| {
            if let Err(failure) = announce(listening, *answers) {
                tracing::warn!(?failure, "Nobody reads the join link");
            }
        };
        let member_dir = options.data_dir.clone();
        let start_authority = |config| MeshAuthority::start(config, &member_dir);
        serve::serve(options, start_authority, announce, stop)
            .await
            .map_err(|error| Failure::Fault(error.into()))
    });
    // Sign-ins in progress end with the process; their askers come again.
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
        let advice = format!("{doubt}; say which address the link has with --advertise HOST");
        lines.push(format!("note: {advice}"));
        if let Some(fields) = object.as_object_mut() {
            fields.insert("advice".to_owned(), advice.into());
        }
    }
    answers.say_lines(&object, &lines)
}
