//! The objects of the golden files, made with the fixed keys of `testing`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use lanyard_protocol::cose::public_key;
use lanyard_protocol::hello::{Hello, Verdict, VerdictCode};
use lanyard_protocol::history::AdmittedMessage;
use lanyard_protocol::ids::{PeerKey, Role};
use lanyard_protocol::login::{
    ChangePassword, Denial, DenialCode, Grant, Login, PeerAddresses, Renew, Reply, Request,
};
use lanyard_protocol::message::{Content, VerifiedMessage};
use lanyard_protocol::moderation::{ModerationKind, SignedModeration};
use lanyard_protocol::policy::{
    LOBBY, Policy, PostRule, RoomRules, SanctionKind, Settlement, SettlementVerdict, SignedPolicy,
};
use lanyard_protocol::presence::{HERE, Presence, SignedPresence};
use lanyard_protocol::testing::{self, T0};
use lanyard_protocol::ticket::{Claims, Ticket};

pub(crate) fn realm() -> SigningKey {
    testing::key(1)
}

pub(crate) fn realm_key() -> PeerKey {
    public_key(&realm())
}

pub(crate) fn alice() -> SigningKey {
    testing::key(2)
}

pub(crate) fn claims() -> Claims {
    Claims { nickname: "Alice 🦊".to_owned(), ..testing::claims(&realm(), &alice(), "alice") }
}

pub(crate) fn ticket() -> Ticket {
    Ticket::issue(claims(), &realm())
}

pub(crate) fn policy() -> Policy {
    let mut policy = testing::policy(&realm());
    policy.number = T0;
    policy.rooms.push(RoomRules {
        name: "news".to_owned(),
        topic: "from the crew".to_owned(),
        post: vec![PostRule { from: T0, role: Role::Moderator }],
        archived_from: Some(T0 + 86_400_000),
    });
    let bob = testing::account("bob");
    let mut revocation = testing::sanction(SanctionKind::Revocation, bob, T0, None);
    revocation.id = 2;
    revocation.peer = Some(public_key(&testing::key(3)));
    policy.sanctions =
        vec![testing::sanction(SanctionKind::Mute, bob, T0, Some(T0 + 600_000)), revocation];
    policy.settled = vec![Settlement { number: [9; 16], verdict: SettlementVerdict::Ratified }];
    policy
}

pub(crate) fn signed_policy() -> SignedPolicy {
    SignedPolicy::sign(policy(), &realm()).unwrap()
}

pub(crate) fn message() -> AdmittedMessage {
    let content = Content {
        room: LOBBY.to_owned(),
        session: 7,
        seq: 0,
        sent_at: T0 + 1,
        body: "hello, سلام".into(),
    };
    testing::admitted(VerifiedMessage::author(content, Arc::new(ticket()), &alice()).unwrap())
}

pub(crate) fn moderation() -> SignedModeration {
    testing::moderation(ModerationKind::Mute, "bob", T0 + 5, T0 + 600_005)
}

pub(crate) fn presence() -> SignedPresence {
    let presence = Presence {
        boot: T0,
        n: 3,
        at: T0 + 2,
        status: HERE.to_owned(),
        listen: vec!["/ip4/192.168.1.5/tcp/4003".to_owned()],
    };
    SignedPresence::author(presence, Arc::new(ticket()), &alice())
}

pub(crate) fn hello() -> Hello {
    let ticket = ticket().as_bytes().to_vec();
    Hello { realm: realm_key(), time: T0 + 3, boot: T0, policy: T0, ticket }
}

pub(crate) fn superseded() -> Verdict {
    Verdict { code: VerdictCode::Superseded, proof: Some(presence().pair.to_vec()) }
}

pub(crate) fn login() -> Request {
    Request::Login(Login {
        username: "alice".to_owned(),
        password: "correct horse".to_owned().into(),
        nickname: Some("Alice 🦊".to_owned()),
        device_label: Some("laptop".to_owned()),
    })
}

pub(crate) fn renewal() -> Request {
    Request::Renew(Renew { account: testing::account("alice") })
}

pub(crate) fn change_password() -> Request {
    Request::ChangePassword(ChangePassword {
        username: "alice".to_owned(),
        old: "correct horse".to_owned().into(),
        new: "battery staple".to_owned().into(),
        revoke_others: true,
    })
}

pub(crate) fn granted() -> Reply {
    let at = |number: u8, address: &str| PeerAddresses {
        peer: public_key(&testing::key(number)),
        addresses: vec![address.to_owned()],
    };
    Reply::Granted(Box::new(Grant {
        ticket: ticket().as_bytes().to_vec(),
        policy: signed_policy().as_bytes().to_vec(),
        realm_time: T0 + 4,
        authority: at(4, "/ip4/192.168.1.2/tcp/4002"),
        peers: vec![at(3, "/ip4/192.168.1.7/tcp/4003")],
        nickname_refused: None,
    }))
}

pub(crate) fn denied() -> Reply {
    Reply::Denied(Denial {
        code: DenialCode::Locked,
        reason: String::new(),
        retry_after_s: Some(30),
    })
}

/// The name, comment line and bytes of every golden file.
pub(crate) fn all() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let plain = |code| Verdict::plain(code).to_frame();
    vec![
        ("ticket", "R-20: a member's ticket", ticket().as_bytes().to_vec()),
        ("policy", "R-50: a policy document", signed_policy().as_bytes().to_vec()),
        ("policy-head", "R-55: the head of that policy", signed_policy().sign_head(&realm())),
        ("message", "R-40: a text, as the pair on gossip", message().to_gossip()),
        ("presence", "R-70: a presence, as the pair on gossip", presence().pair.to_vec()),
        ("order", "R-120: a moderator's order, as the pair on gossip", moderation().to_gossip()),
        ("hello", "R-80: a Hello frame", hello().to_frame()),
        ("verdict-accepted", "R-82: the verdict Accepted", plain(VerdictCode::Accepted)),
        ("verdict-superseded", "R-88: Superseded with its proof", superseded().to_frame()),
        ("login-request", "R-60: a login request", login().to_bytes().to_vec()),
        ("renew-request", "R-67: a renewal", renewal().to_bytes().to_vec()),
        ("password-request", "R-68: a new password", change_password().to_bytes().to_vec()),
        ("login-granted", "R-64: a login reply, granted", granted().to_bytes()),
        ("login-denied", "R-65: a login reply, denied", denied().to_bytes()),
    ]
}

pub(crate) fn golden_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.hex"))
}

/// Decodes hex with comments after `#` and any white space.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let code = text.lines().map(|line| line.split_once('#').map_or(line, |(code, _)| code));
    let digits: String = code.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
    hex::decode(digits).unwrap()
}

/// The bytes of a golden file.
pub(crate) fn golden(name: &str) -> Vec<u8> {
    unhex(&std::fs::read_to_string(golden_path(name)).unwrap())
}
