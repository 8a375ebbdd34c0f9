//! The bodies of the fuzz targets: each feeds hostile bytes to the protocol and asserts what must hold for any input.
//!
//! `scripts/fuzz.sh` runs them with libFuzzer, and the protocol's own tests run them on the corpus. A panic is a
//! finding, either in the protocol or in the assertions here.
//!
//! In some targets the first byte selects how to use the rest: as bytes from the network, or as the content of an
//! object with a good signature, because no fuzzer finds a signature.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use coset::{CborSerializable as _, TaggedCborSerializable as _};
use ed25519_dalek::SigningKey;
use lanyard_protocol::admission;
use lanyard_protocol::cose::{self, Envelope, Kind, public_key};
use lanyard_protocol::hello::{HEAD_LEN, Hello, Verdict, parse_head};
use lanyard_protocol::history::{History, NoEffect};
use lanyard_protocol::ids::{MessageId, PeerKey};
use lanyard_protocol::limits::{
    BATCH_BYTES_MAX, FRAME_BYTES_MAX, FRAMES_BYTES_MAX, GATE_FRAME_BYTES_MAX, GET_IDS_MAX,
    HELD_RANGES_MAX, LOGIN_REPLY_BYTES_MAX, LOGIN_REQUEST_BYTES_MAX, MESSAGE_BYTES_MAX,
    MODERATION_MS_MAX, MODERATION_REASON_BYTES_MAX, ROOM_BYTES_MAX, SYNC_REPLY_BYTES_MAX,
    SYNC_REQUEST_BYTES_MAX, WINDOWS_MAX,
};
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::{DevicesReply, Reply, Request};
use lanyard_protocol::message::{SignedMessage, VerifiedMessage};
use lanyard_protocol::moderation::{ModerationKind, SignedModeration};
use lanyard_protocol::policy::{Policy, PolicyHead, SignedPolicy};
use lanyard_protocol::presence::SignedPresence;
use lanyard_protocol::reconcile::{
    Ask, Batch, ItemSet, Round, SeqRanges, SetName, Source, Span, SyncReply, SyncRequest,
    TokenBucket, answer_windows, frames_to_bytes, parse_frames,
};
use lanyard_protocol::testing::{self, T0};
use lanyard_protocol::ticket::{self as tickets, Ticket};
use lanyard_protocol::time::Now;
use lanyard_protocol::wire::Pair;
use sha2::{Digest as _, Sha256};

/// A round with a lying peer has to end within this many answers.
const ANSWERS_MAX: usize = 4_096;
/// The time at which everything here happens.
const NOW: Now = Now { mono: Duration::ZERO, wall_ms: T0 };

/// A realm, a member of it, and what is held there.
struct Cast {
    realm_key: SigningKey,
    realm: PeerKey,
    member_key: SigningKey,
    ticket: Arc<Ticket>,
    moderator: Arc<Ticket>,
    /// Five messages by two accounts within an hour.
    messages: Vec<VerifiedMessage>,
    items: Arc<ItemSet>,
    held: BTreeSet<MessageId>,
}

static CAST: LazyLock<Cast> = LazyLock::new(|| {
    let (realm_key, member_key) = (testing::key(1), testing::key(2));
    let ticket = Arc::new(testing::ticket(&realm_key, &member_key, "alice"));
    let moderator =
        Arc::clone(testing::moderation(ModerationKind::Ban, "bob", T0, T0 + 1).ticket());
    let text = |n: u8, at: u64| {
        let message = testing::message(&realm_key, &testing::key(n), &format!("user{n}"), "hi", at);
        VerifiedMessage::clone(&message)
    };
    let messages = (0u8..5).map(|n| text(2 + n % 2, T0 + u64::from(n) * 600_000)).collect();
    let id = |n: u64| MessageId(Sha256::digest(n.to_be_bytes()).into());
    let items: Vec<_> = (0..500).map(|n| (T0 + n / 3, id(n))).collect();
    let held = items.iter().map(|(_sent_at, id)| *id).collect();
    let realm = public_key(&realm_key);
    let items = Arc::new(ItemSet::new(items));
    Cast { realm_key, realm, member_key, ticket, moderator, messages, items, held }
});

/// Splits off the first byte, which says whether to sign the rest.
fn signed_or_raw(bytes: &[u8]) -> Option<(bool, &[u8])> {
    bytes.split_first().map(|(first, rest)| (first % 2 == 1, rest))
}

/// Checks that another COSE library reads the same parts and writes the same bytes.
fn one_encoding(bytes: &[u8]) {
    let Ok(envelope) = Envelope::parse(bytes, usize::MAX) else { return };
    let foreign = match bytes.first() {
        Some(0xd2) => coset::CoseSign1::from_tagged_slice(bytes),
        _untagged => coset::CoseSign1::from_slice(bytes),
    };
    // coset may be unable to read a header of a later version.
    let Some(foreign) = foreign.ok().filter(|_foreign| envelope.kind.is_some()) else { return };
    assert_eq!(foreign.payload.as_deref(), Some(envelope.payload));
    assert_eq!(foreign.tbs_data(&[]), envelope.to_be_signed());
    let again = match envelope.kind {
        Some(Kind::Ticket) => foreign.to_tagged_vec(),
        _untagged => foreign.to_vec(),
    };
    assert_eq!(again.ok().as_deref(), Some(bytes));
}

/// Checks that the pair and the envelopes in it have one encoding.
fn one_pair(bytes: &[u8]) {
    if let Ok(pair) = Pair::parse(bytes, usize::MAX) {
        assert_eq!(pair.to_bytes(), bytes);
        one_encoding(pair.object);
        one_encoding(pair.ticket);
    }
}

fn signed_by_member(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let object = cose::sign(kind, &CAST.member_key, payload);
    Pair { ticket: CAST.ticket.as_bytes(), object: &object }.to_bytes()
}

/// Tickets: [`Ticket::verify`].
pub fn ticket(bytes: &[u8]) {
    let Some((sign, rest)) = signed_or_raw(bytes) else { return };
    let bytes = if sign { cose::sign(Kind::Ticket, &CAST.realm_key, rest) } else { rest.to_vec() };
    one_encoding(&bytes);
    let Ok(ticket) = Ticket::verify(&bytes, &CAST.realm) else { return };
    assert_eq!(ticket.as_bytes(), bytes);
    assert_eq!(ticket.hash(), tickets::hash(&bytes));
    let claims = ticket.claims();
    assert_eq!(claims.realm, CAST.realm);
    assert!(claims.not_before_ms() <= claims.issued_at_ms());
    assert!(claims.issued_at_ms() < claims.expires_at_ms());
    assert!(claims.covers(claims.issued_at_ms()) && !claims.covers(claims.expires_at_ms()));
    // The same claims can be issued again.
    let again = Ticket::issue(claims.clone(), &CAST.realm_key);
    let again = Ticket::verify(again.as_bytes(), &CAST.realm).expect("a ticket of ours is read");
    assert_eq!(again.claims(), claims);
}

/// Messages: [`SignedMessage::parse`] and the history.
pub fn message(bytes: &[u8]) {
    let Some((sign, rest)) = signed_or_raw(bytes) else { return };
    let bytes = if sign { signed_by_member(Kind::Message, rest) } else { rest.to_vec() };
    one_pair(&bytes);
    let Ok(signed) = SignedMessage::parse(&bytes) else { return };
    assert!(bytes.len() <= MESSAGE_BYTES_MAX);
    let (id, content) = (signed.id(), signed.content().clone());
    assert!(!content.room.is_empty() && content.room.len() <= ROOM_BYTES_MAX);
    assert!(i64::try_from(content.sent_at).is_ok());
    let object = Pair::parse(&bytes, usize::MAX).expect("it was read as a pair").object;
    let sign1 = coset::CoseSign1::from_slice(object).expect("coset reads what we read");
    let named = [b"lanyard-message-1".as_slice(), &sign1.tbs_data(&[])].concat();
    assert_eq!(id.0, <[u8; 32]>::from(Sha256::digest(named)), "the id it claims");
    let Ok(ticket) = Ticket::verify(signed.ticket_bytes(), &CAST.realm) else { return };
    let Ok(verified) = signed.verify(Arc::new(ticket)) else { return };
    assert_eq!((verified.id(), verified.content()), (id, &content));
    assert_eq!(verified.to_gossip(), bytes);
    let mut history = History::new(Arc::new(testing::policy(&CAST.realm_key)));
    let taken = history.take(verified.clone()).is_ok();
    assert_eq!(history.set().contains(content.sent_at, id), taken);
    assert_eq!(history.set().len(), u64::from(taken));
    assert!(history.take(verified).is_err(), "a held or refused message is not admitted again");
}

/// Policies and their heads: [`SignedPolicy::verify`], and a set under two policies, one after the other or at once.
pub fn policy(bytes: &[u8]) {
    let Some((sign, rest)) = signed_or_raw(bytes) else { return };
    let bytes = if sign { cose::sign(Kind::Policy, &CAST.realm_key, rest) } else { rest.to_vec() };
    one_encoding(&bytes);
    policy_head(rest, sign);
    let Ok(signed) = SignedPolicy::verify(&bytes, &CAST.realm) else { return };
    assert_eq!(signed.as_bytes(), bytes);
    let again = SignedPolicy::sign(signed.policy().clone(), &CAST.realm_key);
    if let Ok(again) = again {
        let again = SignedPolicy::verify(again.as_bytes(), &CAST.realm).expect("ours is read");
        assert_eq!(again.policy(), signed.policy());
    }
    let head = PolicyHead::verify(&signed.sign_head(&CAST.realm_key), &CAST.realm);
    let head = head.expect("a head of ours is read");
    assert_eq!((head.number, head.sha256), signed.rank());
    one_set_under(signed.policy());
}

fn policy_head(bytes: &[u8], sign: bool) {
    let bytes =
        if sign { cose::sign(Kind::PolicyHead, &CAST.realm_key, bytes) } else { bytes.to_vec() };
    if let Ok(head) = PolicyHead::verify(&bytes, &CAST.realm) {
        assert_eq!(head.realm, CAST.realm);
    }
}

/// A peer that learns a policy late holds the same as one that knew it from the start.
fn one_set_under(policy: &Policy) {
    let held = |history: &History| history.set().items(0, u64::MAX).collect::<Vec<_>>();
    let usual = Arc::new(testing::policy(&CAST.realm_key));
    let (mut late, mut early) =
        (History::new(Arc::clone(&usual)), History::new(Arc::new(policy.clone())));
    for message in &CAST.messages {
        late.take(message.clone()).expect("the usual policy takes it");
        // It may refuse what the other policy admits.
        early.take(message.clone()).ok();
    }
    late.adopt_policy(Arc::new(policy.clone()));
    assert_eq!(held(&late), held(&early));
    assert_eq!(late.set().len(), held(&late).len() as u64);
}

/// The gate: heads, Hellos, verdicts, and the admission of a Hello.
pub fn hello(bytes: &[u8]) {
    if let Some((head, body)) = bytes.split_first_chunk::<HEAD_LEN>()
        && let Ok(length) = parse_head(*head)
    {
        assert!(length <= GATE_FRAME_BYTES_MAX);
        greeting(body);
    }
    greeting(bytes);
}

fn greeting(body: &[u8]) {
    if let Ok(verdict) = Verdict::parse(body) {
        let frame = verdict.to_frame();
        assert_eq!(Verdict::parse(&frame[HEAD_LEN..]), Ok(verdict));
    }
    let Ok(hello) = Hello::parse(body) else { return };
    let frame = hello.to_frame();
    assert_eq!(Hello::parse(&frame[HEAD_LEN..]).as_ref(), Ok(&hello));
    let view = testing::view(&CAST.realm_key, &testing::key(9));
    for peer in [public_key(&CAST.member_key), view.own.peer] {
        if let Ok(admission) = admission::judge(&view, peer, hello.clone(), NOW) {
            assert_eq!(admission.ticket().claims().peer, peer, "only the bearer is let in");
            assert_ne!(peer, view.own.peer);
        }
    }
}

/// The login server: requests and replies.
pub fn login(bytes: &[u8]) {
    if let Ok(request) = Request::parse(bytes) {
        assert!(bytes.len() <= LOGIN_REQUEST_BYTES_MAX);
        assert_eq!(Request::parse(&request.to_bytes()), Ok(request));
    }
    if let Ok(reply) = Reply::parse(bytes) {
        assert!(bytes.len() <= LOGIN_REPLY_BYTES_MAX);
        assert_eq!(Reply::parse(&reply.to_bytes()), Ok(reply));
    }
    if let Ok(reply) = DevicesReply::parse(bytes) {
        assert_eq!(DevicesReply::parse(&reply.to_bytes()), Ok(reply));
    }
}

/// Moderations, and presences, which share their topic.
pub fn moderation(bytes: &[u8]) {
    let Some((sign, rest)) = signed_or_raw(bytes) else { return };
    let ticket_of = |bytes: &[u8]| {
        let ticket = Ticket::verify(bytes, &CAST.realm);
        ticket.map(Arc::new).map_err(lanyard_protocol::verdict::Refused::Ticket)
    };
    let presence = if sign { signed_by_member(Kind::Presence, rest) } else { rest.to_vec() };
    if let Ok(signed) = SignedPresence::verify(&presence, ticket_of) {
        assert_eq!(&*signed.pair, presence);
    }
    let bytes = if sign {
        let object = cose::sign(Kind::Moderation, &CAST.member_key, rest);
        Pair { ticket: CAST.moderator.as_bytes(), object: &object }.to_bytes()
    } else {
        rest.to_vec()
    };
    one_pair(&bytes);
    let Ok(signed) = SignedModeration::verify(&bytes, &CAST.realm, ticket_of) else { return };
    assert_eq!(signed.to_gossip(), bytes);
    let said = signed.content();
    assert!(said.from < said.until && said.until - said.from <= MODERATION_MS_MAX);
    assert!(said.reason.len() <= MODERATION_REASON_BYTES_MAX);
    one_set_after(signed);
}

/// A moderation leaves the same set whether it arrives before the messages or after them.
fn one_set_after(moderation: SignedModeration) {
    let held = |history: &History| history.set().items(0, u64::MAX).collect::<Vec<_>>();
    let usual = Arc::new(testing::policy(&CAST.realm_key));
    let (mut late, mut early) = (History::new(Arc::clone(&usual)), History::new(usual));
    let counts = early.take_moderation(moderation.clone());
    for message in &CAST.messages {
        late.take(message.clone()).expect("it is admitted without moderations");
        early.take(message.clone()).ok();
    }
    assert_eq!(late.take_moderation(moderation.clone()).is_ok(), counts.is_ok());
    assert_eq!(held(&late), held(&early));
    if counts.is_ok() {
        assert_eq!(late.take_moderation(moderation), Err(NoEffect::Known));
    }
}

/// Join links, which people paste from anywhere.
pub fn link(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(link) = text.parse::<JoinLink>() else { return };
    // Percent-encoding can make the text longer than a link may be.
    let again = link.to_string();
    if again.len() <= 1_024 {
        assert_eq!(again.parse(), Ok(link));
    }
}

/// Requests, replies, frames and batches between peers.
pub fn sync(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    match first % 4 {
        0 => sync_request(rest),
        1 => sync_answer(rest),
        2 => round_with_a_liar(rest),
        _three => numbers_and_buckets(rest),
    }
}

fn sync_request(bytes: &[u8]) {
    let Ok(request) = SyncRequest::parse(bytes) else { return };
    assert!(bytes.len() <= SYNC_REQUEST_BYTES_MAX);
    assert_eq!(SyncRequest::parse(&request.to_bytes()).as_ref(), Ok(&request));
    match request {
        SyncRequest::Reconcile { windows, .. } => {
            assert!((1..=WINDOWS_MAX).contains(&windows.len()));
            let Ok(frames) = answer_windows(&windows, |_window| Arc::clone(&CAST.items)) else {
                return;
            };
            assert_eq!(frames.len(), windows.len());
            assert!(frames.iter().all(|frame| frame.len() <= FRAME_BYTES_MAX));
            let body = frames_to_bytes(&frames);
            assert!(body.len() <= FRAMES_BYTES_MAX);
            assert_eq!(parse_frames(&body), Ok(frames));
        }
        SyncRequest::Get { ids, .. } => assert!((1..=GET_IDS_MAX).contains(&ids.len())),
        SyncRequest::Held { ranges, .. } => {
            assert!(ranges.len() <= HELD_RANGES_MAX);
            merged(&ranges, 1_000);
        }
        SyncRequest::PolicyGet(_)
        | SyncRequest::PolicyNumber(_)
        | SyncRequest::Part(_)
        | SyncRequest::Unknown(_) => {}
    }
}

fn sync_answer(bytes: &[u8]) {
    if let Ok(reply) = SyncReply::parse(bytes) {
        assert!(bytes.len() <= SYNC_REPLY_BYTES_MAX);
        assert_eq!(SyncReply::parse(&reply.to_bytes()), Ok(reply));
    }
    if let Ok(batch) = Batch::parse(bytes) {
        assert!(bytes.len() <= BATCH_BYTES_MAX && batch.len() <= GET_IDS_MAX);
        assert_eq!(batch.pairs().count(), batch.len());
        assert!(batch.pairs().all(|pair| pair.object.len() <= MESSAGE_BYTES_MAX));
        assert_eq!(Batch::parse(&batch.to_bytes()), Ok(batch));
    }
    if let Ok(step) = CAST.items.step(bytes) {
        assert!(step.next.is_none_or(|next| next.len() <= FRAME_BYTES_MAX));
        // Nothing about `need`: a lying peer can name an id that we hold in a range where it does not belong, and the
        // round drops it.
    }
}

/// This side of a round.
struct Ours;

impl Source for Ours {
    fn items(&self, _set: SetName, _since: u64, _until: u64) -> Arc<ItemSet> {
        Arc::clone(&CAST.items)
    }

    fn wants(&self, _set: SetName, id: MessageId) -> bool {
        !CAST.held.contains(&id)
    }
}

/// Splits the input into answers, each after its length, and repeats them until the round ends.
fn round_with_a_liar(bytes: &[u8]) {
    let mut answers = Vec::new();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (answer, after) = after.split_at(length);
        answers.push(answer);
        rest = after;
    }
    let span = |n: u64| Span { since: T0 + n, until: T0 + n + 1 };
    let mut round = Round::new(SetName::Messages, (0..5).rev().map(span).collect());
    let mut lies = answers.iter().cycle();
    let mut open = Vec::new();
    for _answer in 0..ANSWERS_MAX {
        while let Some(Ask { tag, request }) = round.next_request(&Ours) {
            assert!(request.to_bytes().len() <= SYNC_REQUEST_BYTES_MAX);
            assert_eq!(SyncRequest::parse(&request.to_bytes()), Ok(request.clone()));
            open.push((tag, request));
        }
        let Some((tag, request)) = open.pop() else {
            assert!(round.outcome().is_some(), "a round that asks nothing is over");
            return;
        };
        let lie = lies.next().copied().unwrap_or_default();
        match request {
            // Bring some of the ids that were requested: the cheapest way to keep us asking.
            SyncRequest::Get { ids, .. } => {
                assert!(ids.iter().all(|id| !CAST.held.contains(id)), "we hold it already");
                let some = lie.first().map_or(0, |n| usize::from(*n)).min(ids.len());
                round.on_batch(tag, ids.get(..some).unwrap_or_default());
            }
            _frames if lie.is_empty() => round.on_later(tag),
            SyncRequest::Reconcile { windows, .. } => {
                round.on_frames(tag, vec![lie.to_vec(); windows.len()], &Ours);
            }
            _other => round.on_failure(tag),
        }
    }
    panic!("the round never ends");
}

/// Ranges and token buckets, from numbers of eight bytes each.
fn numbers_and_buckets(bytes: &[u8]) {
    let numbers: Vec<u64> =
        bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_be_bytes(*chunk)).collect();
    let ranges: Vec<(u64, u64)> =
        numbers.as_chunks::<2>().0.iter().map(|[a, b]| (*a.min(b), *a.max(b))).collect();
    merged(&ranges, 1_000);
    merged(&ranges, u64::MAX);
    let [rate, burst, ..] = numbers[..] else { return };
    let mut bucket = TokenBucket::new(rate, burst, Duration::ZERO);
    let (mut now, mut given) = (Duration::ZERO, 0u128);
    for n in numbers.iter().skip(2) {
        now = now.saturating_add(Duration::from_millis(n % 5_000));
        match bucket.take(*n, now) {
            Ok(()) => given += u128::from(*n),
            Err(at) => assert!(at > now, "a refusal names a later time"),
        }
        let limit = u128::from(burst) + u128::from(rate) * now.as_nanos() / 1_000_000_000;
        assert!(given <= limit, "{given} of {limit}");
    }
}

fn merged(ranges: &[(u64, u64)], end: u64) {
    let mut set = SeqRanges::default();
    let mut new = 0u128;
    for range in ranges {
        let added = set.merge(&[*range], end);
        new += added.iter().map(|(first, last)| u128::from(last - first) + 1).sum::<u128>();
    }
    let held = set.as_slice();
    let apart = |pair: &[(u64, u64)]| pair[0].1.saturating_add(1) < pair[1].0;
    assert!(held.windows(2).all(apart), "{held:?}");
    assert!(held.iter().all(|(first, last)| first <= last && *last < end));
    assert_eq!(held.iter().map(|(a, b)| u128::from(b - a) + 1).sum::<u128>(), new);
}
