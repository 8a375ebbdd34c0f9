//! `PROTOCOL.md` and the code agree on rules, examples and limits.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lanyard_protocol::limits;
use lanyard_protocol::reconcile::{
    ItemSet, SetName, SyncReply, SyncRequest, Window, answer_windows, frames_to_bytes,
};

use crate::objects::{self, unhex};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn protocol() -> String {
    std::fs::read_to_string(root().join("PROTOCOL.md")).unwrap()
}

/// The text of all Rust files under a directory of the workspace.
fn sources(directory: &Path, text: &mut String) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

fn all_sources() -> String {
    let mut text = String::new();
    for directory in
        ["node/protocol", "node/src", "node/tests", "rendezvous/src", "rendezvous/tests"]
    {
        sources(&root().join(directory), &mut text);
    }
    text
}

/// The numbers that follow a mark such as `R-` in a text.
fn numbers_after(mark: &str, text: &str) -> BTreeSet<u32> {
    let number_of = |rest: &str| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    text.split(mark).skip(1).filter_map(number_of).collect()
}

fn defined() -> BTreeSet<u32> {
    numbers_after("\n**R-", &protocol())
}

#[test]
fn every_rule_is_cited_and_every_cited_rule_is_defined() {
    let defined = defined();
    assert!(defined.len() > 50, "the rules were found");
    let sources = all_sources();
    let mut cited = numbers_after("R-", &sources);
    cited.extend(numbers_after("fn r", &sources));
    let uncited: Vec<_> = defined.difference(&cited).collect();
    let undefined: Vec<_> = cited.difference(&defined).collect();
    assert!(uncited.is_empty(), "defined and cited nowhere: {uncited:?}");
    assert!(undefined.is_empty(), "cited and defined nowhere: {undefined:?}");
}

#[test]
fn the_page_defines_each_rule_once_and_cites_no_other() {
    let page = protocol();
    let undefined: Vec<_> = numbers_after("R-", &page).difference(&defined()).copied().collect();
    assert!(undefined.is_empty(), "{undefined:?}");
    assert_eq!(page.matches("\n**R-").count(), defined().len());
}

#[test]
fn the_examples_are_the_golden_files() {
    let page = protocol();
    let mut shown = BTreeSet::new();
    for part in page.split("<!-- golden: ").skip(1) {
        let (name, rest) = part.split_once(" -->\n```text\n").unwrap();
        let (example, _after) = rest.split_once("```").unwrap();
        assert_eq!(hex::encode(unhex(example)), hex::encode(objects::golden(name)), "{name}");
        shown.insert(name);
    }
    let files: BTreeSet<_> = objects::all().into_iter().map(|(name, _, _)| name).collect();
    assert_eq!(shown, files);
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

/// Pairs of a name and a value, to compare with the table.
macro_rules! named {
    ($unit:expr; $($name:ident)*) => { vec![$((stringify!($name), $unit(limits::$name))),*] };
}

fn limits() -> Vec<(&'static str, u64)> {
    let size = |size: usize| size as u64;
    let mut all = named!(size;
        MESSAGE_BYTES_MAX TICKET_BYTES_MAX PRESENCE_BYTES_MAX POLICY_BYTES_MAX
        POLICY_HEAD_BYTES_MAX GATE_FRAME_BYTES_MAX LOGIN_REQUEST_BYTES_MAX LOGIN_REPLY_BYTES_MAX
        SYNC_REQUEST_BYTES_MAX SYNC_REPLY_BYTES_MAX WINDOWS_MAX FRAME_BYTES_MAX FRAME_BYTES_MIN
        FRAMES_BYTES_MAX GET_IDS_MAX BATCH_BYTES_MAX GETS_IN_FLIGHT_MAX HELD_RANGES_MAX
        SERVED_BYTES_PER_S NEEDED_MAX FRAMES_FREE ITEMS_PER_FRAME FRAMES_MAX GETS_IN_VAIN_MAX
        LATERS_MAX PASSWORD_BYTES_MAX NAME_BYTES_MAX
        PRESENCE_ADDRESSES_MAX ADDRESS_BYTES_MAX STATUS_BYTES_MAX ROOM_BYTES_MAX REJECTS_MAX
        DIALS_PENDING_MAX LINKS_PER_ACCOUNT LINKS_FULL_MAX LINKS_REFILL LINKS_THIN LINKS_THIN_MIN LINKS_THIN_MAX RING_EACH_SIDE
        PARTINGS_MAX ADDRESS_BOOK_MAX ADDRESSES_PER_PEER_MAX ROSTER_MAX
        TICKET_CACHE_MAX OUTBOX_MAX MODERATION_BYTES_MAX PROTECTED_BYTES_MAX MODERATION_REASON_BYTES_MAX
        MODERATIONS_PER_MINUTE MODERATIONS_PER_DAY REMEMBERED_IDS_MAX
        SERVED_BURST_BYTES ITEM_SETS_MAX ROUNDS_MAX DEAF_ROUNDS_MAX FULL_COUNT_MAX OWN_STATES_MAX
        ITEM_SETS_SPARE HEARD_RANGES_MAX);
    all.extend(named!(u64::from;
        NOT_BEFORE_LEEWAY_MS LINK_GRACE_MS AHEAD_MS_MAX GOSSIP_AGE_MS_MAX RECENT_MS SETTLE_MS
        RESEND_AGE_MS_MAX MODERATION_MS_MAX ORDER_AHEAD_MS_MAX LATE_MS CLOCK_OFF_MS RETAIN_STEP_MS PRESENCE_LEASE_REFRESHES
        BACKFILL_NOTICE_MIN OWN_MESSAGES_PER_S OWN_MESSAGES_BURST OWN_BYTES_PER_S
        SERVED_SHARES POLICIES_BYTES_PER_S BATCH_USE_MIN CROWDED_PER_S CROWDED_BURST PRESENCES_PER_S
        PRESENCES_BURST));
    all.extend(named!(ms;
        REJECT_WINDOW DENY_FOR LARGER_DIALS_AFTER BUSY_REDIAL DUPLICATE_CLOSE LINK_LASTS
        DIAL_IS_FRESH LINK_IS_OLD SUBSCRIBE_DEADLINE SUBSCRIBE_PER_LINK
        LOST_AFTER POLICY_DEADLINE POLICY_RETRY PRESENCE_REFRESH_MIN PRESENCE_REFRESH_PER_PEER REDIAL_MIN
        REDIAL_MAX LATER_RETRY ROUND_EVERY LARGER_ROUND_AFTER ROUND_GAP HOLE_WAIT RECEIPTS_EVERY STATES_EVERY
        RETAIN_STEP_EVERY ASK_TIME_EVERY ASK_TIME_SOON ASK_TIME_EVERY_MAX
        ROUND_STALL FETCH_ALONE CROWD_LASTS THIN_EVERY PART_RETRY PART_WITHIN STRANGER_EVERY));
    all
}

#[test]
fn the_table_of_limits_has_the_values_of_the_code() {
    let page = protocol();
    let (_before, table) = page.split_once("## 13. Limits").unwrap();
    let rows: BTreeSet<(String, u64)> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "))
        .map(|(name, value)| (name.to_owned(), value.replace(',', "").parse().unwrap()))
        .collect();
    let expected = limits().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(rows, expected);
    let declared =
        std::fs::read_to_string(root().join("node/protocol/src/encoding/limits.rs")).unwrap();
    assert_eq!(declared.matches("\npub const ").count(), rows.len(), "every limit is in the table");
}

#[test]
fn r97_the_examples_of_requests_are_what_the_codec_writes() {
    assert_eq!(hex::encode(SyncRequest::PolicyGet(5).to_bytes()), "82014105");
    assert_eq!(hex::encode(SyncReply::NotFound.to_bytes()), "820240");
    let page = protocol();
    assert!(page.contains("`82 01 41 05`") && page.contains("`82 02 40`"));
    assert_eq!(hex::encode(SyncRequest::Part(20).to_bytes()), "82064114");
    assert!(page.contains("`82 06 41 14`"));
}

#[test]
fn r100_and_r108_the_examples_are_what_the_codec_writes() {
    let page = protocol();
    let shown = |bytes: Vec<u8>| {
        let spaced: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(page.contains(&format!("`{}`", spaced.join(" "))), "{spaced:?}");
    };
    let none = Arc::new(ItemSet::new([]));
    let windows = vec![Window { since: 0, until: 1_000, frame: none.fingerprint_frame() }];
    let frames = answer_windows(&windows, |_window| Arc::clone(&none)).unwrap();
    shown(SyncRequest::Reconcile { set: SetName::Messages, windows }.to_bytes());
    shown(SyncReply::Ok(frames_to_bytes(&frames)).to_bytes());
    shown(SyncRequest::Held { session: 7, ranges: vec![(0, 4)] }.to_bytes());
}

#[test]
fn r96_requests_of_later_versions_are_told_apart_from_garbage() {
    let later = [0x82, 0x19, 0x27, 0x0f, 0x40];
    assert_eq!(SyncRequest::parse(&later), Ok(SyncRequest::Unknown(9_999)));
    assert_eq!(SyncReply::parse(&later), Ok(SyncReply::Unsupported));
    assert!(SyncRequest::parse(&[0x82, 0x01, 0x40]).is_err(), "a known op needs its body");
}
