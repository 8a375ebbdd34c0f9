//! Forgeries made from valid objects: flipped bits, swapped parts, other encodings. None may be accepted.

use std::collections::BTreeSet;
use std::time::Duration;

use ed25519_dalek::Signer as _;
use lanyard_protocol::cose::{self, Kind, public_key};
use lanyard_protocol::engine::{Config, Engine, Output, StoredIndex, Topic};
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::message::SignedMessage;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::testing::{self, T0};
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::time::{Now, RealmClock};
use lanyard_protocol::verdict::{Acceptance, Refused};
use lanyard_protocol::wire::DecodeError;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::objects::{realm, realm_key};

/// Forgeries of each of the four kinds below: 10^5 in all, or 10^6 in the soak test, which needs a release build.
fn rounds() -> usize {
    if std::env::var_os("LANYARD_SOAK").is_some() { 250_000 } else { 25_000 }
}

const NOW: Now = Now { mono: Duration::ZERO, wall_ms: T0 };

fn random() -> ChaCha8Rng {
    ChaCha8Rng::from_seed([42; 32])
}

fn below(random: &mut ChaCha8Rng, bound: usize) -> usize {
    usize::try_from(random.next_u64() % bound as u64).unwrap()
}

/// An engine that has received nothing yet. Whatever forgery it accepts is a breach.
struct Judge {
    engine: Engine,
    heard: usize,
}

impl Judge {
    fn new() -> Self {
        Self { engine: Self::engine(), heard: 0 }
    }

    fn engine() -> Engine {
        let config = Config {
            key: testing::key(200),
            ticket: testing::ticket(&realm(), &testing::key(200), "judge"),
            policy: SignedPolicy::sign(testing::policy(&realm()), &realm()).unwrap(),
            boot: 1,
            session: 1,
            clock: RealmClock::restored(0, 0),
            stored: StoredIndex::default(),
            oldest: None,
            moderations: Vec::new(),
            unsent: Vec::new(),
            seed: [0; 32],
        };
        let mut engine = Engine::new(config, NOW);
        while engine.poll_output().is_some() {}
        engine
    }

    /// Whether the engine accepts, stores or reports these bytes.
    fn takes(&mut self, topic: Topic, bytes: &[u8]) -> bool {
        self.heard += 1;
        if self.heard.is_multiple_of(100) {
            // A real link would be closed after three rejects; here they would only accumulate.
            self.engine = Self::engine();
        }
        let verdict = self.engine.handle_gossip(PeerKey([7; 32]), topic, bytes, NOW);
        let mut taken = verdict == Acceptance::Accept;
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Store { .. } | Output::StorePeer(_) | Output::Event(_) => taken = true,
                _view_or_close => {}
            }
        }
        taken
    }
}

fn tickets() -> Vec<Vec<u8>> {
    let ticket = |n: u8| testing::ticket(&realm(), &testing::key(n), &format!("user{n}"));
    (2..18).map(|n| ticket(n).as_bytes().to_vec()).collect()
}

fn messages() -> Vec<Vec<u8>> {
    let message = |n: u8| {
        let text = "x".repeat(usize::from(n));
        testing::message(&realm(), &testing::key(n), &format!("user{n}"), &text, T0).to_gossip()
    };
    (2..18).map(message).collect()
}

fn presences() -> Vec<Vec<u8>> {
    let presence = |n: u8| {
        testing::presence(&realm(), &testing::key(n), &format!("user{n}"), 5, 0, T0).pair.to_vec()
    };
    (2..18).map(presence).collect()
}

#[test]
fn the_judge_accepts_the_originals() {
    let mut judge = Judge::new();
    assert!(messages().iter().all(|message| judge.takes(Topic::Mesh, message)));
    assert!(presences().iter().all(|presence| judge.takes(Topic::Control, presence)));
    assert!(tickets().iter().all(|ticket| Ticket::verify(ticket, &realm_key()).is_ok()));
}

fn flip(bytes: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    let bit = below(random, bytes.len() * 8);
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

#[test]
fn r12_no_flipped_bit_of_a_ticket_is_accepted() {
    let (tickets, mut random) = (tickets(), random());
    for round in 0..rounds() {
        let flipped = flip(&tickets[round % tickets.len()], &mut random);
        assert!(Ticket::verify(&flipped, &realm_key()).is_err(), "{}", hex::encode(flipped));
    }
}

#[test]
fn r12_no_flipped_bit_of_a_message_is_accepted() {
    let (messages, mut random, mut judge) = (messages(), random(), Judge::new());
    for round in 0..rounds() {
        let flipped = flip(&messages[round % messages.len()], &mut random);
        assert!(!judge.takes(Topic::Mesh, &flipped), "{}", hex::encode(flipped));
    }
}

/// The parts of a COSE_Sign1, which can be recombined.
#[derive(Debug, Clone)]
struct Parts {
    tag: Vec<u8>,
    protected: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        use coset::{CborSerializable as _, TaggedCborSerializable as _};
        let (tag, sign1) = match bytes.first() {
            Some(0xd2) => (vec![0xd2], coset::CoseSign1::from_tagged_slice(bytes)),
            _untagged => (Vec::new(), coset::CoseSign1::from_slice(bytes)),
        };
        let sign1 = sign1.unwrap();
        Self {
            tag,
            protected: sign1.protected.original_data.unwrap(),
            payload: sign1.payload.unwrap(),
            signature: sign1.signature,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let parts = [&self.protected, &self.payload, &self.signature].map(|part| byte_string(part));
        let [protected, payload, signature] = parts;
        [&self.tag[..], &[0x84], &protected, &[0xa0], &payload, &signature].concat()
    }

    /// Takes each part from a random one of `from`.
    fn mixed(from: &[Self], random: &mut ChaCha8Rng) -> Self {
        let mut pick = || &from[below(random, from.len())];
        Self {
            tag: pick().tag.clone(),
            protected: pick().protected.clone(),
            payload: pick().payload.clone(),
            signature: pick().signature.clone(),
        }
    }
}

/// A byte string with the shortest head.
fn byte_string(bytes: &[u8]) -> Vec<u8> {
    serde_cbor::to_vec(&serde_bytes::Bytes::new(bytes)).unwrap()
}

fn split_pair(pair: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (ticket, object): (serde_bytes::ByteBuf, serde_bytes::ByteBuf) =
        serde_cbor::from_slice(pair).unwrap();
    (ticket.into_vec(), object.into_vec())
}

fn pair(ticket: &[u8], object: &[u8]) -> Vec<u8> {
    [&[0x82][..], &byte_string(ticket), &byte_string(object)].concat()
}

/// The parts of tickets of this realm and another, and of objects of all kinds.
fn all_parts() -> Vec<Parts> {
    let foreign = testing::key(99);
    let policy = SignedPolicy::sign(testing::policy(&realm()), &realm()).unwrap();
    let mut objects = tickets();
    objects.push(testing::ticket(&foreign, &testing::key(2), "user2").as_bytes().to_vec());
    objects.extend(messages().iter().chain(&presences()).map(|pair| split_pair(pair).1));
    objects.push(policy.as_bytes().to_vec());
    objects.push(policy.sign_head(&realm()));
    objects.iter().map(|object| Parts::of(object)).collect()
}

#[test]
fn r11_no_ticket_recombined_from_others_is_accepted() {
    let (parts, mut random) = (all_parts(), random());
    let originals: BTreeSet<_> = tickets().into_iter().collect();
    let mut forged = 0;
    while forged < rounds() {
        let mixed = Parts::mixed(&parts, &mut random).to_bytes();
        if !originals.contains(&mixed) {
            forged += 1;
            assert!(Ticket::verify(&mixed, &realm_key()).is_err(), "{}", hex::encode(mixed));
        }
    }
}

#[test]
fn r41_no_message_recombined_from_others_is_accepted() {
    let (parts, mut random, mut judge) = (all_parts(), random(), Judge::new());
    let originals: BTreeSet<_> = messages().into_iter().collect();
    let tickets: Vec<_> = parts.iter().map(Parts::to_bytes).collect();
    // Half of them keep the message or the ticket whole, so that only one part is swapped.
    let whole: Vec<_> = messages().iter().map(|pair| Parts::of(&split_pair(pair).1)).collect();
    let mut forged = 0;
    while forged < rounds() {
        let object = match below(&mut random, 2) {
            0 => Parts::mixed(&parts, &mut random),
            _one => Parts::mixed(&whole, &mut random),
        };
        let mixed = pair(&tickets[below(&mut random, tickets.len())], &object.to_bytes());
        if !originals.contains(&mixed) {
            forged += 1;
            assert!(!judge.takes(Topic::Mesh, &mixed), "{}", hex::encode(mixed));
        }
    }
}

/// Longer heads for the same length, and an indefinite length in two chunks.
fn longer_spellings(bytes: &[u8]) -> Vec<Vec<u8>> {
    let length = bytes.len() as u64;
    let mut heads = Vec::new();
    if length < 24 {
        heads.push(vec![0x58, u8::try_from(length).unwrap()]);
    }
    if let Ok(short) = u16::try_from(length)
        && length < 256
    {
        heads.push([&[0x59][..], &short.to_be_bytes()].concat());
    }
    heads.push([&[0x5a][..], &u32::try_from(length).unwrap().to_be_bytes()].concat());
    heads.push([&[0x5b][..], &length.to_be_bytes()].concat());
    let mut spelled: Vec<_> = heads.into_iter().map(|head| [&head[..], bytes].concat()).collect();
    let (left, right) = bytes.split_at(bytes.len() / 2);
    spelled.push([&[0x5f][..], &byte_string(left), &byte_string(right), &[0xff]].concat());
    spelled
}

/// Every other encoding of an envelope that some CBOR decoder would consider equal.
fn respelled(bytes: &[u8]) -> Vec<Vec<u8>> {
    let parts = Parts::of(bytes);
    let strings =
        [&parts.protected, &parts.payload, &parts.signature].map(|part| byte_string(part));
    let array = |strings: &[Vec<u8>; 3]| {
        [&[0x84][..], &strings[0], &[0xa0], &strings[1], &strings[2]].concat()
    };
    let mut out = Vec::new();
    for (index, part) in [&parts.protected, &parts.payload, &parts.signature].iter().enumerate() {
        for longer in longer_spellings(part) {
            let mut strings = strings.clone();
            strings[index] = longer;
            out.push([&parts.tag[..], &array(&strings)].concat());
        }
    }
    let [protected, payload, signature] = &strings;
    let whole = array(&strings);
    for unprotected in [&[0xb8, 0][..], &[0xbf, 0xff], &[0xa1, 0x04, 0x41, 0x01], &[0x80], &[0xf6]]
    {
        let middle = [&[0x84][..], protected, unprotected, payload, signature].concat();
        out.push([&parts.tag[..], &middle].concat());
    }
    let body = &whole[1..];
    for (open, close) in [(&[0x98, 4][..], &[][..]), (&[0x99, 0, 4], &[]), (&[0x9f], &[0xff])] {
        out.push([&parts.tag[..], open, body, close].concat());
    }
    // A tag that is missing, doubled, longer or wrong.
    let other_tag = if parts.tag.is_empty() { &[0xd2][..] } else { &[] };
    out.push([other_tag, &whole].concat());
    for tag in [&[0xd2, 0xd2][..], &[0xd8, 0x12], &[0xd8, 0x3d], &[0xd9, 0xd9, 0xf7], &[0xd3]] {
        out.push([tag, &whole].concat());
    }
    out.extend([0x00, 0xf6, 0xff].map(|trailing| [bytes, &[trailing]].concat()));
    out.push([bytes, bytes].concat());
    out.extend((0..bytes.len()).map(|end| bytes[..end].to_vec()));
    out
}

#[test]
fn r12_no_other_encoding_of_a_ticket_is_accepted() {
    let ticket = tickets().remove(0);
    for spelling in respelled(&ticket) {
        assert_ne!(spelling, ticket, "the test must change something");
        assert!(Ticket::verify(&spelling, &realm_key()).is_err(), "{}", hex::encode(spelling));
    }
}

#[test]
fn r12_no_other_encoding_of_a_message_is_accepted() {
    let mut judge = Judge::new();
    let (ticket, message) = split_pair(&messages()[0]);
    for spelling in respelled(&message) {
        assert!(!judge.takes(Topic::Mesh, &pair(&ticket, &spelling)), "{}", hex::encode(spelling));
    }
    for spelling in respelled(&ticket) {
        assert!(!judge.takes(Topic::Mesh, &pair(&spelling, &message)), "{}", hex::encode(spelling));
    }
}

#[test]
fn r30_no_other_encoding_of_the_pair_is_accepted() {
    let mut judge = Judge::new();
    for (topic, original) in [(Topic::Mesh, &messages()[0]), (Topic::Control, &presences()[0])] {
        let (ticket, object) = split_pair(original);
        let (first, second) = (byte_string(&ticket), byte_string(&object));
        let mut spellings = vec![
            [&[0x98, 2][..], &first, &second].concat(),
            [&[0x9f][..], &first, &second, &[0xff]].concat(),
            [&[0x83][..], &first, &second, &[0xf6]].concat(),
            [&[0xd9, 0xd9, 0xf7, 0x82][..], &first, &second].concat(),
            [&[0x82][..], &second, &first].concat(),
            [&original[..], &[0]].concat(),
        ];
        let longer = longer_spellings(&ticket).into_iter();
        spellings.extend(longer.map(|longer| [&[0x82][..], &longer, &second].concat()));
        let longer = longer_spellings(&object).into_iter();
        spellings.extend(longer.map(|longer| [&[0x82][..], &first, &longer].concat()));
        spellings.extend((0..original.len()).map(|end| original[..end].to_vec()));
        for spelling in spellings {
            assert!(!judge.takes(topic, &spelling), "{}", hex::encode(spelling));
        }
    }
}

/// The order of the Ed25519 group, in little-endian bytes.
const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[test]
fn r13_the_other_s_of_a_signature_is_refused() {
    let (ticket, message) = split_pair(&messages()[0]);
    let mut parts = Parts::of(&message);
    let mut carry = 0u16;
    for (byte, addend) in parts.signature[32..].iter_mut().zip(GROUP_ORDER) {
        let sum = u16::from(*byte) + u16::from(addend) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert!(!Judge::new().takes(Topic::Mesh, &pair(&ticket, &parts.to_bytes())));
}

#[test]
fn r13_a_small_order_key_signs_for_nobody() {
    // The identity point: with it as key and as R, and S = 0, plain verification accepts any message.
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut claims = testing::claims(&realm(), &testing::key(2), "user2");
    claims.peer = PeerKey(identity);
    let ticket = Ticket::issue(claims, &realm());
    let (_ticket, message) = split_pair(&messages()[0]);
    let mut parts = Parts::of(&message);
    let old_hash = lanyard_protocol::ticket::hash(&split_pair(&messages()[0]).0).0;
    let at = parts.payload.windows(32).position(|window| window == old_hash).unwrap();
    parts.payload[at..at + 32].copy_from_slice(&ticket.hash().0);
    parts.signature = [identity, [0; 32]].concat();
    assert!(!Judge::new().takes(Topic::Mesh, &pair(ticket.as_bytes(), &parts.to_bytes())));
}

#[test]
fn r11_a_known_kind_has_one_header_even_for_its_own_author() {
    use coset::CborSerializable as _;
    let (ticket, message) = split_pair(&messages()[0]);
    let mut parts = Parts::of(&message);
    let (algorithm, typ) = (&parts.protected[1..3], &parts.protected[3..]);
    let swapped = [&[0xa2][..], typ, algorithm].concat();
    let wider = [&[0xa3][..], algorithm, &[0x04, 0x41, 0x01], typ].concat();
    for header in [swapped, wider] {
        parts.protected = header;
        let unsigned = coset::CoseSign1::from_slice(&parts.to_bytes()).unwrap();
        let signature = testing::key(2).sign(&unsigned.tbs_data(&[]));
        parts.signature = signature.to_bytes().to_vec();
        let respelled = pair(&ticket, &parts.to_bytes());
        let refused = SignedMessage::parse(&respelled).map(|message| message.id());
        assert_eq!(refused, Err(Refused::Malformed(DecodeError::NotCanonical)));
    }
}

#[test]
fn r11_a_signature_over_one_kind_is_invalid_for_another() {
    let mut judge = Judge::new();
    let (ticket, message) = split_pair(&messages()[0]);
    let payload = Parts::of(&message).payload;
    for kind in [Kind::Ticket, Kind::Policy, Kind::PolicyHead, Kind::Presence, Kind::Moderation] {
        let signed = Parts::of(&cose::sign(kind, &testing::key(2), &payload));
        let mut disguised = Parts::of(&message);
        disguised.signature = signed.signature;
        assert!(!judge.takes(Topic::Mesh, &pair(&ticket, &disguised.to_bytes())), "{kind:?}");
    }
    let signed = cose::sign(Kind::Message, &testing::key(2), &payload);
    assert!(judge.takes(Topic::Mesh, &pair(&ticket, &signed)), "an honest one is accepted");
    assert_ne!(public_key(&testing::key(2)), realm_key());
}
