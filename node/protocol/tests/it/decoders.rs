//! Every decoder against hostile lengths, nesting and damage: it returns an error or a bounded value, and never panics.

use std::sync::Arc;

use lanyard_protocol::cose::{self, Kind};
use lanyard_protocol::hello::{HEAD_LEN, Hello, Verdict, VerdictCode, parse_head};
use lanyard_protocol::ids::{AccountId, PeerKey};
use lanyard_protocol::limits::{
    GATE_FRAME_BYTES_MAX, LOGIN_REPLY_BYTES_MAX, LOGIN_REQUEST_BYTES_MAX, MESSAGE_BYTES_MAX,
    NAME_BYTES_MAX, PASSWORD_BYTES_MAX, POLICY_BYTES_MAX, POLICY_HEAD_BYTES_MAX, TICKET_BYTES_MAX,
};
use lanyard_protocol::link::{JoinLink, LinkError};
use lanyard_protocol::login::{PEERS_MAX, PeerAddresses, Reply, Request};
use lanyard_protocol::message::SignedMessage;
use lanyard_protocol::policy::{PolicyError, PolicyHead, SignedPolicy};
use lanyard_protocol::presence::SignedPresence;
use lanyard_protocol::reconcile::{SyncReply, SyncRequest};
use lanyard_protocol::ticket::{Ticket, TicketError};
use lanyard_protocol::verdict::Refused;
use lanyard_protocol::wire::{DecodeError, Pair};
use proptest::prelude::*;

use crate::objects::{self, alice, golden, realm, realm_key, ticket};

fn ticket_of(bytes: &[u8]) -> Result<Arc<Ticket>, Refused> {
    Ticket::verify(bytes, &realm_key()).map(Arc::new).map_err(Refused::Ticket)
}

/// The decoders that accept these bytes.
fn taken_by(bytes: &[u8]) -> Vec<&'static str> {
    let answers = [
        ("ticket", Ticket::verify(bytes, &realm_key()).is_ok()),
        ("policy", SignedPolicy::verify(bytes, &realm_key()).is_ok()),
        ("head", PolicyHead::verify(bytes, &realm_key()).is_ok()),
        ("message", SignedMessage::parse(bytes).is_ok()),
        ("presence", SignedPresence::verify(bytes, ticket_of).is_ok()),
        ("hello", Hello::parse(bytes).is_ok()),
        ("verdict", Verdict::parse(bytes).is_ok()),
        ("request", Request::parse(bytes).is_ok()),
        ("reply", Reply::parse(bytes).is_ok()),
        ("sync request", SyncRequest::parse(bytes).is_ok()),
        ("sync reply", SyncReply::parse(bytes).is_ok()),
    ];
    answers.into_iter().filter(|(_name, taken)| *taken).map(|(name, _taken)| name).collect()
}

/// The decoders that accept these bytes as signed content, which anyone with a key can make.
fn taken_when_signed(payload: &[u8]) -> Vec<&'static str> {
    let pair = |kind| {
        let object = cose::sign(kind, &alice(), payload);
        Pair { ticket: ticket().as_bytes(), object: &object }.to_bytes()
    };
    let by_realm = |kind| cose::sign(kind, &realm(), payload);
    let answers = [
        ("ticket", Ticket::verify(&by_realm(Kind::Ticket), &realm_key()).is_ok()),
        ("policy", SignedPolicy::verify(&by_realm(Kind::Policy), &realm_key()).is_ok()),
        ("head", PolicyHead::verify(&by_realm(Kind::PolicyHead), &realm_key()).is_ok()),
        ("message", SignedMessage::parse(&pair(Kind::Message)).is_ok()),
        ("presence", SignedPresence::verify(&pair(Kind::Presence), ticket_of).is_ok()),
    ];
    answers.into_iter().filter(|(_name, taken)| *taken).map(|(name, _taken)| name).collect()
}

/// Heads of every major type with lengths larger than any input.
fn hostile_head() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![
        Just(vec![0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        Just(vec![0x1b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        Just(vec![0x1b, 0, 0, 0, 1, 0, 0, 0, 0]),
        Just(vec![0x1a, 0xff, 0xff, 0xff, 0xff]),
        Just(vec![0x19, 0xff, 0xff]),
        Just(vec![0x1f]),
        Just(vec![0x1c]),
    ];
    (0u8..8, length).prop_map(|(major, mut length)| {
        length[0] |= major << 5;
        length
    })
}

/// Thousands of nested containers, of one kind or mixed.
fn nested() -> impl Strategy<Value = Vec<u8>> {
    let bracket = prop_oneof![
        Just(vec![0x81]),
        Just(vec![0x9f]),
        Just(vec![0xa1, 0x00]),
        Just(vec![0xbf, 0x60]),
        Just(vec![0xc0]),
        Just(vec![0xd8, 0x12]),
        Just(vec![0x82, 0x01]),
    ];
    (prop::collection::vec(bracket, 1..4), 1usize..10_000)
        .prop_map(|(brackets, depth)| brackets.concat().repeat(depth))
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let rubbish = prop::collection::vec(any::<u8>(), 0..64);
    let parts = prop_oneof![hostile_head(), nested(), rubbish];
    prop::collection::vec(parts, 1..4).prop_map(|parts| parts.concat())
}

/// A golden object with a piece removed or overwritten.
fn damaged() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let names = objects::all().into_iter().map(|(name, _, _)| name).collect::<Vec<_>>();
    let piece = prop_oneof![hostile_head(), prop::collection::vec(any::<u8>(), 0..12)];
    let places = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    (prop::sample::select(names), places, piece).prop_map(|(name, (from, to), piece)| {
        let mut bytes = golden(name);
        if name == "hello" || name.starts_with("verdict") {
            bytes.drain(..HEAD_LEN);
        }
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        bytes.splice(from.min(to)..from.max(to), piece);
        (name, bytes)
    })
}

fn in_bounds(reply: &Reply) -> bool {
    match reply {
        Reply::Granted(grant) => {
            grant.peers.len() <= PEERS_MAX && grant.peers.iter().all(PeerAddresses::is_bounded)
        }
        Reply::Denied(_denial) => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn r3_hostile_lengths_and_nesting_end_in_an_error(bytes in hostile()) {
        let taken = taken_by(&bytes);
        // Garbage can be a small request or reply of a later version; nothing else is that short.
        let short = ["request", "sync request", "sync reply"];
        prop_assert!(taken.iter().all(|kind| short.contains(kind)), "{taken:?}");
        prop_assert!(taken_when_signed(&bytes).is_empty());
        let head: Option<[u8; HEAD_LEN]> = bytes.get(..HEAD_LEN).and_then(|b| b.try_into().ok());
        prop_assert!(head.is_none_or(|head| parse_head(head).is_err()));
    }

    #[test]
    fn r3_damage_is_refused_or_stays_in_bounds((name, bytes) in damaged()) {
        if bytes != golden(name) {
            let signed = ["ticket", "policy", "head", "presence"];
            let taken = taken_by(&bytes);
            prop_assert!(!taken.iter().any(|kind| signed.contains(kind)), "{name}: {taken:?}");
        }
        if let Ok(Request::Login(login)) = Request::parse(&bytes) {
            prop_assert!((1..=NAME_BYTES_MAX).contains(&login.username.len()));
            prop_assert!((1..=PASSWORD_BYTES_MAX).contains(&login.password.len()));
        }
        if let Ok(reply) = Reply::parse(&bytes) {
            prop_assert!(in_bounds(&reply));
        }
    }

    #[test]
    fn r1_no_text_makes_the_link_parser_panic(text in "lanyard://[\\[\\]a-z0-9:.%&=?/+\\PC]{0,80}") {
        if let Ok(link) = text.parse::<JoinLink>() {
            prop_assert_eq!(link.to_string().parse(), Ok(link), "what is read is written back");
        }
    }
}

#[test]
fn r3_the_length_is_checked_first() {
    let bytes = |max: usize| vec![0x9f; max + 1];
    let too_long = |max| DecodeError::TooLong { max };
    let ticket = Ticket::verify(&bytes(TICKET_BYTES_MAX), &realm_key());
    assert_eq!(ticket, Err(TicketError::Malformed(too_long(TICKET_BYTES_MAX))));
    let policy = SignedPolicy::verify(&bytes(POLICY_BYTES_MAX), &realm_key());
    assert_eq!(policy, Err(PolicyError::Malformed(too_long(POLICY_BYTES_MAX))));
    let head = PolicyHead::verify(&bytes(POLICY_HEAD_BYTES_MAX), &realm_key());
    assert_eq!(head, Err(PolicyError::Malformed(too_long(POLICY_HEAD_BYTES_MAX))));
    let message = SignedMessage::parse(&bytes(MESSAGE_BYTES_MAX)).map(|message| message.id());
    assert_eq!(message, Err(Refused::Malformed(too_long(MESSAGE_BYTES_MAX))));
    let presence = SignedPresence::verify(&bytes(4_096), ticket_of);
    assert!(matches!(presence, Err(Refused::Malformed(DecodeError::TooLong { .. }))));
    let gate = bytes(GATE_FRAME_BYTES_MAX);
    assert_eq!(Hello::parse(&gate), Err(too_long(GATE_FRAME_BYTES_MAX)));
    assert_eq!(Verdict::parse(&gate), Err(too_long(GATE_FRAME_BYTES_MAX)));
    let request = Request::parse(&bytes(LOGIN_REQUEST_BYTES_MAX));
    assert_eq!(request, Err(too_long(LOGIN_REQUEST_BYTES_MAX)));
    let reply = Reply::parse(&bytes(LOGIN_REPLY_BYTES_MAX));
    assert_eq!(reply, Err(too_long(LOGIN_REPLY_BYTES_MAX)));
    assert_eq!("x".repeat(1_025).parse::<JoinLink>(), Err(LinkError::TooLong));
}

#[test]
fn r3_no_decoder_accepts_trailing_bytes() {
    let body = |name| golden(name).split_off(HEAD_LEN);
    let longer = |mut bytes: Vec<u8>| {
        bytes.push(0);
        bytes
    };
    assert!(Hello::parse(&body("hello")).is_ok());
    assert!(Hello::parse(&longer(body("hello"))).is_err());
    assert!(Verdict::parse(&longer(body("verdict-superseded"))).is_err());
    assert!(Request::parse(&longer(golden("login-request"))).is_err());
    assert!(Reply::parse(&longer(golden("login-granted"))).is_err());
    assert!(Reply::parse(&longer(golden("login-denied"))).is_err());
    assert!(SignedPolicy::verify(&longer(golden("policy")), &realm_key()).is_err());
    assert!(PolicyHead::verify(&longer(golden("policy-head")), &realm_key()).is_err());
    assert!(SignedPresence::verify(&longer(golden("presence")), ticket_of).is_err());
}

#[test]
fn r3_fields_of_later_versions_are_ignored() {
    // {"code": 0, "later": [1]}
    let verdict = b"\xa2\x64code\x00\x65later\x81\x01";
    assert_eq!(Verdict::parse(verdict), Ok(Verdict::plain(VerdictCode::Accepted)));
}

#[test]
fn r2_a_key_is_written_as_a_peer_id() {
    // Computed here: the prefix and the key in base58.
    let key = realm_key();
    let bytes = [&[0x00, 0x24, 0x08, 0x01, 0x12, 0x20][..], &key.0].concat();
    assert_eq!(key.peer_id(), bs58::encode(bytes).into_string());
    assert_eq!(key.peer_id(), "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5");
    assert_eq!(key.peer_id().parse(), Ok(key));
    assert!("1".repeat(65).parse::<PeerKey>().is_err());
    assert!(
        bs58::encode([&[0x12, 0x20][..], &key.0].concat())
            .into_string()
            .parse::<PeerKey>()
            .is_err()
    );
}

#[test]
fn r4_an_id_has_one_text_form() {
    let id = AccountId([0xab; 16]);
    assert_eq!(id.to_string(), "ab".repeat(16));
    assert_eq!(id.to_string().parse(), Ok(id));
    assert!("AB".repeat(16).parse::<AccountId>().is_err());
    assert!("ab".repeat(15).parse::<AccountId>().is_err());
}
