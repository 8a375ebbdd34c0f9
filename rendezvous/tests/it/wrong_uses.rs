//! Every wrong use of every act is refused with its reason, and changes no row of the database.

use std::collections::BTreeMap;

use lanyard_protocol::ids::{PeerKey, Role};
use lanyard_protocol::moderation::ModerationKind;
use lanyard_protocol::policy::SettlementVerdict;
use lanyard_rendezvous::policy::moderations::{self, ReceivedModeration};
use lanyard_rendezvous::store::moderations::ModerationRow;
use lanyard_rendezvous::store::{self, Db, Store, StoreError, devices};
use lanyard_rendezvous::{accounts, acts, clock};

use crate::harness::{Realm, Said};

const OPEN: &str = "01010101010101010101010101010101";
const SETTLED: &str = "02020202020202020202020202020202";
const AGAINST_ROOT: &str = "03030303030303030303030303030303";

/// A name that is one character too long.
const LONG_NAME: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
/// A text that is too long for a reason or a topic.
const LONG_WORDS: &str = concat!(
    "a reason that goes on and on, a reason that goes on and on, a reason that goes on and on, ",
    "a reason that goes on and on, a reason that goes on and on, a reason that goes on and on, ",
    "a reason that goes on and on"
);

/// What becomes of a wrong use.
#[derive(Debug, Clone, Copy)]
enum Comes {
    /// It is refused: exit 1, with this code.
    To(&'static str),
    /// It succeeds and changes nothing.
    ToNothing,
    /// It is misuse: exit 2, with a hint about the usage.
    ToMisuse,
}

use Comes::{To, ToMisuse, ToNothing};

/// A realm that contains every state an account, room or device can have.
fn lived_in() -> Realm {
    let realm = Realm::initialised();
    let root = realm.with_password(&["user", "add", "root", "--role", "admin"], b"password\n");
    assert_eq!(root.code, 0);
    for name in ["bob", "banned", "muted", "disabled"] {
        realm.add(name);
    }
    for args in [
        &["ban", "banned", "--reason", "spam"][..],
        &["mute", "muted", "--for", "24h"],
        &["user", "disable", "disabled"],
        &["user", "role", "muted", "moderator"],
        &["room", "add", "news", "--topic", "weather"],
        &["room", "add", "old"],
        &["room", "archive", "old"],
        &["policy", "set", "per-minute", "7"],
    ] {
        assert_eq!(realm.json(args).code, 0, "{args:?}");
    }
    sign_in_and_moderate(&realm);
    realm
}

/// Gives bob two devices, of which the second is logged out, and registers three moderations, of which the second is
/// overturned.
fn sign_in_and_moderate(realm: &Realm) {
    let mut store = Store::open(realm.path()).unwrap();
    let now = clock::unix_ms();
    let id = |name| accounts::find(store.reader(), name).unwrap().id;
    let (bob, root) = (id("bob"), id("root"));
    let moderation = |byte: u8, account| ReceivedModeration {
        row: ModerationRow {
            id: [byte; 16],
            kind: ModerationKind::Ban,
            account,
            from: now,
            until: now + 86_400_000,
            reason: "loud".to_owned(),
            by: "muted".to_owned(),
            verdict: None,
        },
        role: Role::Moderator,
    };
    let all = [moderation(1, bob), moderation(2, bob), moderation(3, root)];
    store
        .write(|tx| {
            for byte in [7, 8] {
                devices::sign_in(tx, bob, PeerKey([byte; 32]), "", now, now + 86_400_000)?;
            }
            all.into_iter().try_for_each(|moderation| {
                moderations::receive(tx, moderation, now).map(|_kept| ())
            })
        })
        .map_err(|error: StoreError| error)
        .unwrap();
    let overturn =
        |tx: Db<'_>, now| moderations::settle(tx, SETTLED, SettlementVerdict::Refused, now);
    acts::perform(&mut store, now, overturn).unwrap();
    assert_eq!(realm.json(&["device", "logout", "bob", "2"]).code, 0);
}

/// Every row of every table, except the mark of the clock, which advances at every look.
fn rows(realm: &Realm) -> BTreeMap<String, Vec<String>> {
    let conn = rusqlite::Connection::open(realm.file(store::FILE_NAME)).unwrap();
    let mut tables =
        conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let names: Vec<String> =
        tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut all = BTreeMap::new();
    for name in names {
        let mut statement = conn.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let columns = statement.column_count();
        let read = |row: &rusqlite::Row<'_>| {
            let cells: Result<Vec<rusqlite::types::Value>, _> =
                (0..columns).map(|column| row.get(column)).collect();
            cells.map(|cells| format!("{cells:?}"))
        };
        let rows = statement.query_map([], read).unwrap().map(Result::unwrap);
        let rows = rows.filter(|row| !row.contains("time_mark")).collect();
        all.insert(name, rows);
    }
    assert!(all.contains_key("audit") && all.len() > 8, "{:?}", all.keys());
    all
}

/// Every act, with everything that can be wrong about it.
#[rustfmt::skip]
const WRONG_USES: &[(&[&str], Comes)] = &[
    (&["ban", "nobody"], To("not-found")),
    (&["ban", ""], To("not-found")),
    (&["ban", "two words"], To("not-found")),
    (&["ban", "bob", "--since", "yesterday"], To("bad-field")),
    (&["ban", "bob", "--since", "0s"], To("bad-field")),
    (&["ban", "bob", "--since", "-2h"], To("bad-field")),
    (&["ban", "bob", "--since", "367d"], To("bad-field")),
    (&["ban", "bob", "--since", ""], To("bad-field")),
    (&["ban", "bob", "--reason", "two\nlines"], To("bad-field")),
    (&["ban", "bob", "--reason", "a\u{202e}b"], To("bad-field")),
    (&["ban", "bob", "--reason", LONG_WORDS], To("bad-field")),
    (&["ban", "root"], To("would-lock-out")),
    (&["ban", "banned"], ToNothing),
    (&["ban", "banned", "--reason", "spam"], ToNothing),
    (&["ban"], ToMisuse),
    (&["ban", "bob", "--for", "1h"], ToMisuse),
    (&["unban", "nobody"], To("not-found")),
    (&["unban", "bob"], To("not-found")),
    (&["unban"], ToMisuse),
    (&["mute", "nobody", "--for", "1h"], To("not-found")),
    (&["mute", "bob", "--for", "0s"], To("bad-field")),
    (&["mute", "bob", "--for", "1w"], To("bad-field")),
    (&["mute", "bob", "--for", "1.5h"], To("bad-field")),
    (&["mute", "bob", "--for", "367d"], To("bad-field")),
    (&["mute", "bob", "--for", "99999999999999999999d"], To("bad-field")),
    (&["mute", "bob", "--for", "1h", "--reason", "\u{1b}[2J"], To("bad-field")),
    (&["mute", "bob"], ToMisuse),
    (&["mute", "bob", "--until", "1h"], ToMisuse),
    (&["unmute", "nobody"], To("not-found")),
    (&["unmute", "bob"], To("not-found")),
    (&["unmute", "bob", "alice"], ToMisuse),
    (&["policy", "set", "colour", "red"], To("bad-field")),
    (&["policy", "set", "", "1"], To("bad-field")),
    (&["policy", "set", "max-text-bytes", "0"], To("bad-field")),
    (&["policy", "set", "max-text-bytes", "12289"], To("bad-field")),
    (&["policy", "set", "max-text-bytes", "4096 "], To("bad-field")),
    (&["policy", "set", "per-minute", "-1"], To("bad-field")),
    (&["policy", "set", "per-minute", "1000001"], To("bad-field")),
    (&["policy", "set", "guest-per-minute", "many"], To("bad-field")),
    (&["policy", "set", "per-day", ""], To("bad-field")),
    (&["policy", "set", "per-day", "18446744073709551616"], To("bad-field")),
    (&["policy", "set", "ticket-lifetime", "59s"], To("bad-field")),
    (&["policy", "set", "ticket-lifetime", "367d"], To("bad-field")),
    (&["policy", "set", "ticket-lifetime", "7"], To("bad-field")),
    (&["policy", "set", "retention-days", "0"], To("bad-field")),
    (&["policy", "set", "retention-days", "3661"], To("bad-field")),
    (&["policy", "set", "retention-days", "90d"], To("bad-field")),
    (&["policy", "set", "registration", "open"], To("bad-field")),
    (&["policy", "set", "per-minute", "7"], ToNothing),
    (&["policy", "set", "registration", "closed"], ToNothing),
    (&["policy", "set", "per-minute"], ToMisuse),
    (&["policy", "show", "per-minute"], ToMisuse),
    (&["policy"], ToMisuse),
    (&["room", "add", "lobby"], To("exists")),
    (&["room", "add", "NEWS"], To("exists")),
    (&["room", "add", "old"], To("exists")),
    (&["room", "add", ""], To("bad-name")),
    (&["room", "add", "two words"], To("bad-name")),
    (&["room", "add", "../x"], To("bad-name")),
    (&["room", "add", LONG_NAME], To("bad-name")),
    (&["room", "add", "fresh", "--topic", "a\nb"], To("bad-field")),
    (&["room", "add", "fresh", "--topic", LONG_WORDS], To("bad-field")),
    (&["room", "topic", "nowhere", "x"], To("not-found")),
    (&["room", "topic", "old", "x"], To("not-found")),
    (&["room", "topic", "news", "a\u{2066}b"], To("bad-field")),
    (&["room", "topic", "news", "weather"], ToNothing),
    (&["room", "topic", "news"], ToMisuse),
    (&["room", "post", "nowhere", "member"], To("not-found")),
    (&["room", "post", "old", "member"], To("not-found")),
    (&["room", "post", "news", "king"], To("bad-field")),
    (&["room", "post", "news", "authority"], To("bad-field")),
    (&["room", "post", "news", "guest"], ToNothing),
    (&["room", "post", "news"], ToMisuse),
    (&["room", "archive", "lobby"], To("would-lock-out")),
    (&["room", "archive", "nowhere"], To("not-found")),
    (&["room", "archive", "old"], ToNothing),
    (&["room", "archive"], ToMisuse),
    (&["user", "disable", "nobody"], To("not-found")),
    (&["user", "disable", "root"], To("would-lock-out")),
    (&["user", "disable", "disabled"], ToNothing),
    (&["user", "disable"], ToMisuse),
    (&["user", "enable", "nobody"], To("not-found")),
    (&["user", "enable", "bob"], ToNothing),
    (&["user", "enable", "bob", "alice"], ToMisuse),
    (&["user", "role", "nobody", "member"], To("not-found")),
    (&["user", "role", "bob", "king"], To("bad-field")),
    (&["user", "role", "bob", "authority"], To("bad-field")),
    (&["user", "role", "bob", ""], To("bad-field")),
    (&["user", "role", "root", "member"], To("would-lock-out")),
    (&["user", "role", "bob", "member"], ToNothing),
    (&["user", "role", "bob"], ToMisuse),
    (&["user", "passwd", "bob"], ToMisuse),
    (&["user", "passwd", "bob", "secret"], ToMisuse),
    (&["user", "add", "fresh"], ToMisuse),
    (&["user", "add", "fresh", "--password", "secret"], ToMisuse),
    (&["user", "remove", "bob"], ToMisuse),
    (&["device", "list", "nobody"], To("not-found")),
    (&["device", "logout", "nobody", "1"], To("not-found")),
    (&["device", "logout", "bob", "0"], To("not-found")),
    (&["device", "logout", "bob", "2"], To("not-found")),
    (&["device", "logout", "bob", "3"], To("not-found")),
    (&["device", "logout", "bob", "one"], ToMisuse),
    (&["device", "logout", "bob", "-1"], ToMisuse),
    (&["device", "logout", "bob"], ToMisuse),
    (&["sessions", "bob"], ToMisuse),
    (&["audit", "bob"], ToMisuse),
    (&["audit", "--last", "-1"], ToMisuse),
    (&["orders", "bob"], ToMisuse),
    (&["moderation", "list", "bob"], ToMisuse),
    (&["moderation"], ToMisuse),
    (&["order", "ratify", ""], To("not-found")),
    (&["moderation", "confirm", "01"], To("not-found")),
    (&["order", "ratify", "00000000000000000000000000000000"], To("not-found")),
    (&["moderation", "confirm", SETTLED], To("exists")),
    (&["moderation", "confirm", AGAINST_ROOT], To("would-lock-out")),
    (&["moderation", "overturn", SETTLED], ToNothing),
    (&["order", "refuse", SETTLED], ToNothing),
    (&["moderation", "overturn", "nonsense"], To("not-found")),
    (&["moderation", "confirm"], ToMisuse),
    (&["moderation", "forget", OPEN], ToMisuse),
    (&["backup"], ToMisuse),
    (&["restore"], ToMisuse),
    (&["dance"], ToMisuse),
];

/// Acts that read a password, with their standard input.
const WITH_PASSWORD: [(&[&str], &[u8], &str); 12] = [
    (&["user", "add", "bob"], b"password\n", "exists"),
    (&["user", "add", "BOB"], b"password\n", "exists"),
    (&["user", "add", "b\u{43e}b"], b"password\n", "bad-name"),
    (&["user", "add", "operator"], b"password\n", "bad-name"),
    (&["user", "add", "fresh", "--nickname", "Bob"], b"password\n", "bad-name"),
    (&["user", "add", "fresh", "--nickname", "Admin"], b"password\n", "bad-name"),
    (&["user", "add", "fresh", "--role", "king"], b"password\n", "bad-field"),
    (&["user", "add", "fresh"], b"\n", "weak-password"),
    (&["user", "add", "fresh"], b"", "weak-password"),
    (&["user", "passwd", "nobody"], b"password\n", "not-found"),
    (&["user", "passwd", "bob", "--cut"], b"\n", "weak-password"),
    (&["user", "passwd", "bob"], b"\xff\xfe\n", "bad-field"),
];

/// The tables that have changed.
fn changed(realm: &Realm, before: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut after = rows(realm);
    after.retain(|table, rows| before.get(table) != Some(rows));
    after.into_keys().collect()
}

fn check(said: &Said, comes: Comes, what: &str) {
    match comes {
        To(code) => assert_eq!(said.error(), code, "{what}"),
        ToNothing => {
            assert_eq!(said.code, 0, "{what}: {said:?}");
            assert_eq!(said.object()["done"], true, "{what}");
        }
        ToMisuse => {
            assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{what}: {said:?}");
            assert!(!said.stderr.is_empty(), "{what}");
        }
    }
}

#[test]
fn every_wrong_use_is_refused_and_changes_nothing() {
    let realm = lived_in();
    let before = rows(&realm);
    for (args, comes) in WRONG_USES {
        let said = match comes {
            ToMisuse => realm.run(args),
            To(_) | ToNothing => realm.json(args),
        };
        check(&said, *comes, &format!("{args:?}"));
        assert!(changed(&realm, &before).is_empty(), "{args:?}: {:?}", changed(&realm, &before));
    }
    for (args, stdin, code) in WITH_PASSWORD {
        let said = realm.with_password(args, stdin);
        check(&said, To(code), &format!("{args:?}"));
        assert!(changed(&realm, &before).is_empty(), "{args:?}: {:?}", changed(&realm, &before));
    }
    let long = [b"x".repeat(1_025), b"\n".to_vec()].concat();
    let said = realm.with_password(&["user", "passwd", "bob"], &long);
    assert_eq!(said.error(), "weak-password");
    for (args, code) in [
        (["backup", realm.path().to_str().unwrap()], "exists"),
        (["restore", realm.path().to_str().unwrap()], "not-found"),
        (["restore", realm.file("realm.key").to_str().unwrap()], "bad-field"),
        (["restore", realm.file("nothing").to_str().unwrap()], "not-found"),
    ] {
        check(&realm.json(&args), To(code), &format!("{args:?}"));
    }
    assert!(changed(&realm, &before).is_empty(), "{:?}", changed(&realm, &before));
}

#[test]
fn wrong_uses_while_it_serves_sign_nothing() {
    let realm = lived_in();
    let _serving = realm.serve();
    let number = realm.json(&["status"]).object()["policy"].clone();
    assert!(number.is_u64());
    for (args, comes) in [
        (&["ban", "root"][..], To("would-lock-out")),
        (&["ban", "banned"], ToNothing),
        (&["mute", "bob", "--for", "0s"], To("bad-field")),
        (&["policy", "set", "per-minute", "7"], ToNothing),
        (&["policy", "set", "per-minute", "-7"], To("bad-field")),
        (&["room", "archive", "lobby"], To("would-lock-out")),
        (&["user", "disable", "disabled"], ToNothing),
        (&["device", "logout", "bob", "2"], To("not-found")),
        (&["moderation", "overturn", SETTLED], ToNothing),
        (&["moderation", "confirm", AGAINST_ROOT], To("would-lock-out")),
        (&["serve", "--listen", "127.0.0.1:0"], To("failed")),
        (&["restore", "copy.db"], To("not-found")),
    ] {
        let said = realm.json(args);
        check(&said, comes, &format!("{args:?}"));
        if matches!(comes, ToNothing) {
            assert_eq!(said.object()["policy"], number, "{args:?}");
        }
        assert_eq!(realm.json(&["status"]).object()["policy"], number, "{args:?}");
    }
}

#[test]
fn before_the_first_serve_no_act_does_anything() {
    let realm = Realm::fresh();
    for (args, comes) in WRONG_USES {
        if !matches!(comes, ToMisuse) {
            assert_eq!(realm.json(args).error(), "not-initialised", "{args:?}");
        }
    }
    for args in [
        &["user", "list"][..],
        &["policy", "show"],
        &["room", "list"],
        &["moderation", "list"],
        &["audit"],
        &["sessions"],
        &["status"],
        &["backup", "copy.db"],
    ] {
        assert_eq!(realm.json(args).error(), "not-initialised", "{args:?}");
    }
    for (args, stdin, _code) in WITH_PASSWORD {
        assert_eq!(realm.with_password(args, stdin).error(), "not-initialised", "{args:?}");
    }
    assert_eq!(realm.json(&["restore", realm.path().to_str().unwrap()]).error(), "not-found");
    let toml = realm.file("rendezvous.toml");
    assert_eq!(realm.json(&["restore", toml.to_str().unwrap()]).error(), "not-initialised");
    assert_eq!(std::fs::read_dir(realm.path()).unwrap().count(), 1, "only the configuration");
    assert!(!realm.file(store::FILE_NAME).exists());
}
