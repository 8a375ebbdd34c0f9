//! When a part of the login node ends on its own, `serve` ends with it and says why, instead of looking healthy.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use lanyard_protocol::login::PeerAddresses;
use lanyard_rendezvous::authority::{Authority, AuthorityConfig};
use lanyard_rendezvous::serve::{Options, serve};

use crate::harness::{DEADLINE, Realm};

const WHY: &str = "This profile is in use on another computer.";

/// An authority peer that leaves the mesh at once.
#[derive(Debug)]
struct Leaver(PeerAddresses);

impl Authority for Leaver {
    fn addresses(&self) -> PeerAddresses {
        self.0.clone()
    }

    fn ended(&self) -> BoxFuture<'_, String> {
        std::future::ready(WHY.to_owned()).boxed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_ends_when_its_own_peer_has_ended() {
    let realm = Realm::fresh();
    let options = Options {
        data_dir: realm.path().to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        mesh_listen: None,
        advertise: None,
        name: None,
    };
    let start = |config: AuthorityConfig| {
        let peer = config.ticket.claims().peer;
        let leaver = Leaver(PeerAddresses { peer, addresses: config.addresses });
        Ok(Arc::new(leaver) as Arc<dyn Authority>)
    };
    let ended = serve(options, start, |_listening| {}, std::future::pending());
    let error = tokio::time::timeout(DEADLINE, ended).await.expect("it ends").unwrap_err();
    assert!(error.to_string().contains(WHY), "{error}");
}
