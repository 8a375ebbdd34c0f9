//! Moderations on their way from the mesh to the operator and back into the policy.
//!
//! In the first test the authority peer is a double, controlled by the test. In the second the mesh is real.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ed25519_dalek::SigningKey;
use futures::FutureExt as _;
use lanyard_node::clock::Clock;
use lanyard_node::login::ask;
use lanyard_node::{Node, NodeConfig};
use lanyard_protocol::engine::NewModeration;
use lanyard_protocol::ids::{AccountId, PeerKey, Role};
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::{Login, PeerAddresses, Reply, Request};
use lanyard_protocol::moderation::ModerationKind;
use lanyard_protocol::policy::{Settlement, SettlementVerdict, SignedPolicy};
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::time::RealmClock;
use lanyard_rendezvous::authority::{Authority, moderations};
use lanyard_rendezvous::policy::moderations::ReceivedModeration;
use lanyard_rendezvous::serve::{Options, serve};
use lanyard_rendezvous::store::moderations::ModerationRow;
use lanyard_rendezvous::{accounts, clock, store};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::harness::{DEADLINE, Realm};

/// How many policies a test may be behind.
const TOLD: usize = 64;

/// An authority peer without a mesh: the test says what it hears, and gets what it is told.
#[derive(Debug)]
struct Double {
    moderations: Mutex<Option<mpsc::Receiver<ReceivedModeration>>>,
    told: mpsc::Sender<SignedPolicy>,
}

impl Authority for Double {
    fn addresses(&self) -> PeerAddresses {
        PeerAddresses { peer: PeerKey([9; 32]), addresses: Vec::new() }
    }

    fn publish_policy(&self, policy: &SignedPolicy, _head: Vec<u8>) {
        self.told.try_send(policy.clone()).unwrap();
    }

    fn moderations(&self) -> mpsc::Receiver<ReceivedModeration> {
        self.moderations.lock().unwrap().take().unwrap()
    }
}

/// `serve` with the double, within this process.
struct Serving {
    heard: mpsc::Sender<ReceivedModeration>,
    told: mpsc::Receiver<SignedPolicy>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Serving {
    async fn start(realm: &Realm) -> Self {
        let (heard, moderations) = moderations::channel();
        let (tell, told) = mpsc::channel(TOLD);
        let double = Arc::new(Double { moderations: Mutex::new(Some(moderations)), told: tell });
        let (stop, stopped) = oneshot::channel::<()>();
        let (listens, listening) = oneshot::channel();
        let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let options = Options {
            data_dir: realm.path().to_owned(),
            listen,
            mesh_listen: None,
            advertise: None,
            name: None,
        };
        let task = tokio::spawn(async move {
            let start = |_config| Ok(double as Arc<dyn Authority>);
            let announce = move |_: &_| listens.send(()).unwrap();
            serve(options, start, announce, stopped.map(|_| ())).await.unwrap();
        });
        tokio::time::timeout(DEADLINE, listening).await.unwrap().unwrap();
        Self { heard, told, stop, task }
    }

    /// The next policy that the authority peer is told of.
    async fn policy(&mut self) -> SignedPolicy {
        tokio::time::timeout(DEADLINE, self.told.recv()).await.unwrap().unwrap()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(DEADLINE, self.task).await.unwrap().unwrap();
    }
}

fn account(realm: &Realm, name: &str) -> AccountId {
    let store = store::Store::open(realm.path()).unwrap();
    accounts::find(store.reader(), name).unwrap().id
}

/// The lines of `moderation list`, once there are this many.
fn listed(realm: &Realm, count: usize) -> Vec<Value> {
    let started = clock::monotonic();
    loop {
        let lines = realm.json(&["moderation", "list"]).lines();
        if lines.len() >= count {
            return lines;
        }
        assert!(clock::monotonic().duration_since(started) < DEADLINE, "{lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_verdict_reaches_everybody() {
    let realm = Realm::initialised();
    realm.add("bob");
    let bob = account(&realm, "bob");
    let mut serving = Serving::start(&realm).await;
    let now = clock::unix_ms();
    let moderation = |byte: u8, kind| ReceivedModeration {
        row: ModerationRow {
            id: [byte; 16],
            kind,
            account: bob,
            from: now,
            until: now + 3_600_000,
            reason: "loud".to_owned(),
            by: "mona".to_owned(),
            verdict: None,
        },
        role: Role::Moderator,
    };
    for moderation in [
        moderation(1, ModerationKind::Mute),
        moderation(2, ModerationKind::Ban),
        moderation(1, ModerationKind::Mute),
    ] {
        serving.heard.send(moderation).await.unwrap();
    }
    let lines = listed(&realm, 2);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let (mute, ban) = ("01".repeat(16), "02".repeat(16));
    let expected = json!({"id": mute, "kind": "mute", "username": "bob", "from": now,
        "until": now + 3_600_000, "reason": "loud", "by": "mona", "state": "open"});
    assert_eq!(lines[0], expected);

    for (verb, id, verdict) in [
        ("confirm", &mute, SettlementVerdict::Ratified),
        ("overturn", &ban, SettlementVerdict::Refused),
    ] {
        let number = realm.json(&["moderation", verb, id]).object()["policy"].as_u64().unwrap();
        let told = loop {
            let told = serving.policy().await;
            if told.policy().number >= number {
                break told;
            }
        };
        let moderation = <[u8; 16]>::try_from(hex::decode(id).unwrap()).unwrap();
        assert!(
            told.policy().settled.contains(&Settlement { number: moderation, verdict }),
            "{verb}"
        );
        let muted = told.policy().mute_at(bob, now).map(|mute| mute.by.clone());
        assert_eq!(muted.as_deref(), Some("mona"));
        assert!(told.policy().ban_at(bob, now).is_none());
    }
    let states: Vec<Value> = listed(&realm, 2).iter().map(|line| line["state"].clone()).collect();
    assert_eq!(states, ["ratified", "refused"]);
    // With the former words, which still work.
    assert_eq!(realm.json(&["orders"]).lines(), realm.json(&["moderation", "list"]).lines());
    for (verb, id, code) in [
        ("refuse", &mute, Some("exists")),
        ("ratify", &ban, Some("exists")),
        ("ratify", &mute, None),
    ] {
        let said = realm.json(&["order", verb, id]);
        match code {
            Some(code) => assert_eq!(said.error(), code, "{verb} {id}"),
            None => assert_eq!(said.code, 0, "the same verdict again changes nothing"),
        }
    }
    serving.stop().await;
}

/// A moderator's node, signed in and dialling the login node.
async fn moderator(realm: &Realm, link: &JoinLink, name: &str) -> Node {
    let key = SigningKey::from_bytes(&[91; 32]);
    let request = Login {
        username: name.to_owned(),
        password: format!("{name}-password").into(),
        nickname: None,
        device_label: None,
    };
    let reply = ask(link, &key, &Request::Login(request), || ()).await.unwrap();
    let Reply::Granted(grant) = reply else { panic!("{reply:?}") };
    let node = Node::start(NodeConfig {
        key,
        ticket: Ticket::verify(&grant.ticket, &link.realm).unwrap(),
        policy: SignedPolicy::verify(&grant.policy, &link.realm).unwrap(),
        clock: RealmClock::learnt(grant.realm_time, Clock::new().now(), 0),
        database: realm.file("mona.db"),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        candidates: vec![grant.authority.clone()],
        login_server: None,
        profile: None,
    });
    node.unwrap()
}

async fn linked(node: &Node, is_online: bool) {
    let mut status = node.status();
    let seen = status.wait_for(|status| status.rendezvous_online == is_online);
    tokio::time::timeout(DEADLINE, seen).await.unwrap().unwrap();
}

fn given(
    kind: ModerationKind,
    account: AccountId,
    for_ms: Option<u64>,
    reason: &str,
) -> NewModeration {
    NewModeration { kind, account, for_ms, reason: reason.to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moderation_made_while_the_login_node_is_down_arrives() {
    let realm = Realm::fresh();
    let serving = realm.serve();
    realm.add("mona");
    realm.add("bob");
    assert_eq!(realm.json(&["user", "role", "mona", "moderator"]).code, 0);
    let (bob, link) = (account(&realm, "bob"), serving.link().parse().unwrap());
    let mona = moderator(&realm, &link, "mona").await;
    linked(&mona, true).await;
    mona.moderate(given(ModerationKind::Mute, bob, Some(3_600_000), "loud")).await.unwrap();
    let lines = listed(&realm, 1);
    assert_eq!((&lines[0]["kind"], &lines[0]["by"]), (&json!("mute"), &json!("mona")));
    assert_eq!((&lines[0]["username"], &lines[0]["reason"]), (&json!("bob"), &json!("loud")));

    drop(serving);
    linked(&mona, false).await;
    mona.moderate(given(ModerationKind::Ban, bob, None, "louder")).await.unwrap();
    let _serving = realm.serve();
    linked(&mona, true).await;
    let lines = listed(&realm, 2);
    let ban = lines.iter().find(|line| line["kind"] == "ban").unwrap();
    assert_eq!((&ban["reason"], &ban["state"]), (&json!("louder"), &json!("open")));
    let said = realm.json(&["moderation", "overturn", ban["id"].as_str().unwrap()]);
    assert!(said.object()["policy"].is_u64(), "{said:?}");
    mona.quit().await;
}
