//! `PROTOCOL.md` and the code agree on rules, examples and limits.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

/// All constants of the code with their expressions: `const NAME: Type = expression;`.
fn constants() -> BTreeMap<String, BTreeSet<String>> {
    let mut text = String::new();
    sources(&root().join("node/protocol/src"), &mut text);
    sources(&root().join("node/src"), &mut text);
    let mut constants: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for declared in text.split("const ").skip(1) {
        let expression = declared
            .split_once(": ")
            .and_then(|(name, rest)| Some((name, rest.split_once(';')?.0.split_once(" = ")?.1)));
        if let Some((name, expression)) = expression {
            constants.entry(name.to_owned()).or_default().insert(expression.to_owned());
        }
    }
    constants
}

/// The value of an expression: bytes, milliseconds or a count.
fn value(expression: &str, constants: &BTreeMap<String, BTreeSet<String>>) -> u64 {
    let units = [("millis", 1), ("secs", 1_000), ("mins", 60_000), ("hours", 3_600_000)];
    for (unit, factor) in units {
        let inner = expression.strip_prefix(&format!("Duration::from_{unit}("));
        if let Some(inner) = inner.and_then(|inner| inner.strip_suffix(')')) {
            return factor * value(inner, constants);
        }
    }
    let term =
        |term: &str| term.split(" * ").map(|factor| number(factor, constants)).product::<u64>();
    expression.split(" + ").map(term).sum()
}

fn number(factor: &str, constants: &BTreeMap<String, BTreeSet<String>>) -> u64 {
    factor.replace('_', "").parse().unwrap_or_else(|_name| {
        let expressions = constants.get(factor).unwrap_or_else(|| panic!("no constant {factor}"));
        let values: BTreeSet<u64> = expressions.iter().map(|it| value(it, constants)).collect();
        assert_eq!(values.len(), 1, "{factor} has one value: {values:?}");
        values.into_iter().next().unwrap()
    })
}

/// The rows "`NAME` | value" of the tables in a document.
fn rows(page: &str) -> BTreeMap<String, u64> {
    page.lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "))
        .filter_map(|(name, value)| Some((name.to_owned(), value.replace(',', "").parse().ok()?)))
        .collect()
}

#[test]
fn the_tables_of_constants_have_the_values_of_the_code() {
    let (page, constants) = (protocol(), constants());
    let behaviour = std::fs::read_to_string(root().join("docs/behaviour.md")).unwrap();
    let (wire, local) = (rows(&page), rows(&behaviour));
    for (name, shown) in wire.iter().chain(&local) {
        assert_eq!(*shown, number(name, &constants), "{name}");
    }
    let limits = std::fs::read_to_string(root().join("node/protocol/src/encoding/limits.rs"));
    let shared = limits.unwrap().matches("\npub const ").count();
    assert_eq!(wire.len(), shared, "a limit that peers share is in PROTOCOL.md");
    let spoken = page.split('`').skip(1).step_by(2).filter(|word| constants.contains_key(*word));
    let unexplained: Vec<_> =
        spoken.filter(|word| !wire.contains_key(*word) && !local.contains_key(*word)).collect();
    assert!(unexplained.is_empty(), "in PROTOCOL.md without a value: {unexplained:?}");
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
