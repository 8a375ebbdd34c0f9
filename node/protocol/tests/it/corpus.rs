//! Runs the fuzz targets without a fuzzer, on the committed corpus and on damaged copies of it.
//!
//! `UPDATE_GOLDEN=1 cargo test -p lanyard-protocol --test it corpus` rewrites the files that are generated here, and
//! keeps the inputs that a fuzzer found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lanyard_protocol::cose::Envelope;
use lanyard_protocol::ids::MessageId;
use lanyard_protocol::login::{DevicesReply, ListDevices, LogOutDevice, Request};
use lanyard_protocol::reconcile::{
    BatchBuilder, ItemSet, SetName, SyncReply, SyncRequest, Window, frames_to_bytes,
    policy_number_reply,
};
use lanyard_protocol::testing::{self, T0};
use lanyard_protocol::wire::Pair;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use crate::{objects, targets};

type Body = fn(&[u8]);

/// The name and body of every target.
const TARGETS: [(&str, Body); 8] = [
    ("ticket", targets::ticket),
    ("message", targets::message),
    ("policy", targets::policy),
    ("sync", targets::sync),
    ("hello", targets::hello),
    ("login", targets::login),
    ("moderation", targets::moderation),
    ("link", targets::link),
];
/// How many damaged copies of all files to try, which takes a few seconds.
const DAMAGED: usize = 20_000;
/// The first byte of an input: bytes from the network, or the content of an object with a good signature.
const RAW: u8 = 0;
const SIGNED: u8 = 1;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn led(first: u8, rest: &[u8]) -> Vec<u8> {
    [&[first], rest].concat()
}

fn payload(object: &[u8]) -> Vec<u8> {
    Envelope::parse(object, usize::MAX).unwrap().payload.to_vec()
}

fn payload_in(pair: &[u8]) -> Vec<u8> {
    payload(Pair::parse(pair, usize::MAX).unwrap().object)
}

fn id(n: u64) -> MessageId {
    MessageId([n.to_be_bytes(); 4].concat().try_into().unwrap())
}

fn requests() -> Vec<(&'static str, SyncRequest)> {
    let window = |since, until, frame: &[u8]| Window { since, until, frame: frame.to_vec() };
    let set = ItemSet::new((0..40).map(|n| (T0 + n, id(n))));
    let (set_name, other) = (SetName::Messages, SetName::Moderations);
    let fingerprint = window(T0, T0 + 1_000, &set.fingerprint_frame());
    // Asks for everything: the initiator has an empty list.
    let all = window(0, u64::MAX, &[0x61, 0, 0, 2, 0]);
    let narrowed = set.respond(&ItemSet::new([]).fingerprint_frame(), 60_000).unwrap();
    let narrowed = window(T0, T0 + 7, &narrowed);
    let both = vec![fingerprint.clone(), all.clone(), narrowed.clone()];
    vec![
        ("policy-get", SyncRequest::PolicyGet(T0)),
        ("policy-number", SyncRequest::PolicyNumber(u64::MAX)),
        ("reconcile", SyncRequest::Reconcile { set: set_name, windows: both }),
        ("reconcile-all", SyncRequest::Reconcile { set: other, windows: vec![all] }),
        ("reconcile-ranges", SyncRequest::Reconcile { set: set_name, windows: vec![narrowed] }),
        ("get", SyncRequest::Get { set: set_name, ids: (0..20).map(id).collect() }),
        ("held", SyncRequest::Held { session: 7, ranges: vec![(0, 3), (5, 5), (900, u64::MAX)] }),
        ("later-version", SyncRequest::Unknown(77)),
    ]
}

/// A frame with an id that the fuzz targets hold, in the range of the first millisecond, where it does not belong.
fn misplaced() -> Vec<u8> {
    let held: [u8; 32] = Sha256::digest(0u64.to_be_bytes()).into();
    [&[0x61, 2, 0, 2, 1][..], &held].concat()
}

fn sync_seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds: Vec<(String, Vec<u8>)> = requests()
        .into_iter()
        .map(|(name, request)| (name.to_owned(), led(0, &request.to_bytes())))
        .collect();
    let mut batch = BatchBuilder::default();
    let pair = objects::message().to_gossip();
    let pair = Pair::parse(&pair, usize::MAX).unwrap();
    assert!(batch.push(pair.ticket, pair.object) && batch.push(pair.ticket, &[1, 2, 3]));
    let batch = batch.finish().to_bytes();
    let set = ItemSet::new((0..40).map(|n| (T0 + n, id(n))));
    let lists = set.respond(&[0x61, 0, 0, 2, 0], 60_000).unwrap();
    let ranges = set.respond(&ItemSet::new([]).fingerprint_frame(), 60_000).unwrap();
    for (name, answer) in [
        ("reply", SyncReply::Ok(batch.clone()).to_bytes()),
        ("reply-later", SyncReply::Later.to_bytes()),
        ("reply-number", policy_number_reply(T0).to_bytes()),
        ("batch", batch),
        ("frames", frames_to_bytes(&[lists.clone(), vec![0x61], Vec::new()])),
        ("frame-lists", lists.clone()),
        ("frame-ranges", ranges.clone()),
        ("frame-misplaced", misplaced()),
    ] {
        seeds.push((name.to_owned(), led(1, &answer)));
    }
    let piece =
        |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let lies = [piece(&ranges), piece(&lists), piece(&[]), piece(&[9])].concat();
    seeds.push(("liar".to_owned(), led(2, &lies)));
    seeds.push(("liar-of-ids".to_owned(), led(2, &piece(&lists))));
    seeds.push(("liar-misplaced".to_owned(), led(2, &piece(&misplaced()))));
    let numbers = [100u64, 1_000, 10, 2_000, 990, 1, u64::MAX, 5].map(u64::to_be_bytes).concat();
    seeds.push(("numbers".to_owned(), led(3, &numbers)));
    seeds
}

fn login_seeds() -> Vec<(String, Vec<u8>)> {
    let account = testing::account("alice");
    let mut seeds: Vec<(String, Vec<u8>)> =
        ["login-request", "renew-request", "password-request", "login-granted", "login-denied"]
            .map(|name| (name.to_owned(), objects::golden(name)))
            .into();
    let list = Request::ListDevices(ListDevices { account });
    let out = Request::LogOutDevice(LogOutDevice { account, device: 2 });
    seeds.push(("list-devices".to_owned(), list.to_bytes().to_vec()));
    seeds.push(("log-out".to_owned(), out.to_bytes().to_vec()));
    seeds.push(("no-device".to_owned(), DevicesReply::NoSuchDevice(3).to_bytes()));
    seeds
}

/// The generated part of the corpus: every golden object, and its content alone.
fn seeds() -> BTreeMap<&'static str, Vec<(String, Vec<u8>)>> {
    let named = |name: &str, bytes: Vec<u8>| (name.to_owned(), bytes);
    let (policy, head) = (objects::golden("policy"), objects::golden("policy-head"));
    let (message, moderation) = (objects::golden("message"), objects::golden("order"));
    let (ticket, presence) = (objects::golden("ticket"), objects::golden("presence"));
    let frames = ["hello", "verdict-accepted", "verdict-superseded"];
    let realm = objects::realm_key();
    let links = [
        ("plain", format!("lanyard://192.168.1.2:4001/{realm}")),
        ("named", format!("lanyard://[fd00::1]:4001/{realm}?name=Caf%C3%A9+%26&invite=a%2Bb&x=y")),
    ];
    BTreeMap::from([
        (
            "ticket",
            vec![
                named("golden", led(RAW, &ticket)),
                named("claims", led(SIGNED, &payload(&ticket))),
            ],
        ),
        (
            "message",
            vec![
                named("golden", led(RAW, &message)),
                named("content", led(SIGNED, &payload_in(&message))),
            ],
        ),
        (
            "policy",
            vec![
                named("golden", led(RAW, &policy)),
                named("content", led(SIGNED, &payload(&policy))),
                named("head", led(RAW, &head)),
                named("head-content", led(SIGNED, &payload(&head))),
            ],
        ),
        ("sync", sync_seeds()),
        ("hello", frames.map(|name| named(name, objects::golden(name))).into()),
        ("login", login_seeds()),
        (
            "moderation",
            vec![
                named("golden", led(RAW, &moderation)),
                named("content", led(SIGNED, &payload_in(&moderation))),
                named("presence", led(RAW, &presence)),
                named("presence-content", led(SIGNED, &payload_in(&presence))),
            ],
        ),
        ("link", links.map(|(name, link)| named(name, link.into_bytes())).into()),
    ])
}

/// Every file of a target's corpus.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(folder(target)).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn the_corpus_has_the_current_objects() {
    for (target, seeds) in seeds() {
        for (name, bytes) in seeds {
            let path = folder(target).join(name);
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::create_dir_all(folder(target)).unwrap();
                std::fs::write(path, bytes).unwrap();
            } else {
                let file = std::fs::read(&path).unwrap_or_default();
                assert!(file == bytes, "{} is out of date", path.display());
            }
        }
    }
}

#[test]
fn the_targets_hold_for_the_corpus() {
    for (target, run) in TARGETS {
        let files = corpus(target);
        assert!(!files.is_empty(), "{target} has no corpus");
        for (path, bytes) in files {
            // Shown if the target panics.
            println!("{}", path.display());
            run(&bytes);
        }
    }
}

/// A copy with a piece removed, doubled or inserted, or with bits flipped.
fn damaged(bytes: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut draw = |bound: usize| usize::try_from(random.next_u64() % (bound as u64 + 1)).unwrap();
    let mut damaged = bytes.to_vec();
    for _time in 0..=draw(2) {
        let (from, to) = (draw(damaged.len()), draw(damaged.len()));
        let piece = from.min(to)..from.max(to);
        match draw(4) {
            0 => drop(damaged.drain(piece)),
            1 => damaged.extend_from_within(piece),
            2 => damaged.insert(from, [0, 1, 0x7f, 0xff][draw(3)]),
            _bits if from < damaged.len() => damaged[from] ^= 1 << draw(7),
            _end => damaged.push(0),
        }
    }
    damaged
}

#[test]
fn the_targets_hold_for_damaged_copies_of_the_corpus() {
    let mut random = ChaCha8Rng::from_seed([7; 32]);
    let files: Vec<_> = TARGETS
        .iter()
        .flat_map(|(target, run)| corpus(target).into_iter().map(move |(_path, b)| (run, b)))
        .collect();
    for (run, bytes) in files.iter().cycle().take(DAMAGED) {
        run(&damaged(bytes, &mut random));
    }
}
