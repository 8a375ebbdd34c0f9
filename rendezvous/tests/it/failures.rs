//! A part of the login node that ends on its own: `serve` ends with it and says why, instead of looking healthy.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use lanyard_rendezvous::authority::moderations::{self, ReceivedModeration};
use lanyard_rendezvous::authority::{Authority, StandIn};
use lanyard_rendezvous::serve::{Options, serve};
use tokio::sync::mpsc;

use crate::harness::{DEADLINE, Realm};

const WHY: &str = "This profile is in use on another computer.";

/// A member that leaves the mesh at once.
#[derive(Debug)]
struct Leaver(Arc<dyn Authority>);

impl Authority for Leaver {
    fn addresses(&self) -> PeerAddresses {
        self.0.addresses()
    }

    fn peers(&self, max: usize) -> Vec<PeerAddresses> {
        self.0.peers(max)
    }

    fn online(&self) -> Vec<PeerKey> {
        self.0.online()
    }

    fn publish_policy(&self, policy: &SignedPolicy, head: Vec<u8>) {
        self.0.publish_policy(policy, head);
    }

    fn moderations(&self) -> mpsc::Receiver<ReceivedModeration> {
        moderations::channel().1
    }

    fn renew(&self, ticket: Ticket) {
        self.0.renew(ticket);
    }

    fn set_realm_time(&self, realm_ms: u64) {
        self.0.set_realm_time(realm_ms);
    }

    fn ended(&self) -> BoxFuture<'_, String> {
        std::future::ready(WHY.to_owned()).boxed()
    }

    fn quit(&self) -> BoxFuture<'_, ()> {
        self.0.quit()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_ends_with_a_reason_when_its_own_peer_has_ended() {
    let realm = Realm::fresh();
    let options = Options {
        data_dir: realm.path().to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        mesh_listen: None,
        advertise: None,
        name: None,
        relay: false,
    };
    let start = |config| Ok(Arc::new(Leaver(StandIn::start(config))) as Arc<dyn Authority>);
    let ended = serve(options, start, |_listening| {}, std::future::pending());
    let error = tokio::time::timeout(DEADLINE, ended).await.expect("it ends").unwrap_err();
    assert!(error.to_string().contains(WHY), "{error}");
}
