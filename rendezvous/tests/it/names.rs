//! Names that attackers might try, and names of honest people: with `user add`, and as nicknames requested when signing
//! in.
//!
//! The lists are data/hostile-names.txt and data/honest-names.txt, which explain their lines.

use ed25519_dalek::SigningKey;
use lanyard_node::login::ask;
use lanyard_protocol::ids::Role;
use lanyard_protocol::limits::NAME_BYTES_MAX;
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::{Login, Reply, Request};
use lanyard_protocol::ticket::Ticket;
use lanyard_rendezvous::accounts::{create, parse_nickname, parse_username};
use lanyard_rendezvous::acts::ActError;
use lanyard_rendezvous::store::{Store, StoreError};

use crate::harness::{Realm, Serving};

const NOW: u64 = 1_800_000_000_000;
/// The least number of hostile names in the list.
const HOSTILE: usize = 500;
/// The least number of honest names in the list, of which two in a hundred may be refused.
const HONEST: usize = 200;

/// Undoes the `\u{…}` and `{*N}` in the list.
fn unescape(text: &str) -> String {
    let (text, times) = match text.strip_suffix('}').and_then(|text| text.rsplit_once("{*")) {
        Some((text, times)) => (text, times.parse().unwrap()),
        None => (text, 1),
    };
    let mut parts = text.split("\\u{");
    let mut plain = parts.next().unwrap().replace("\\\\", "\\");
    for part in parts {
        let (digits, rest) = part.split_once('}').unwrap();
        plain.push(char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap());
        plain.push_str(&rest.replace("\\\\", "\\"));
    }
    plain.repeat(times)
}

/// The lines of a list: where to use the name, the name, its harmless form.
fn list(text: &str) -> Vec<(&str, String, Option<String>)> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    lines
        .map(|line| {
            let mut fields = line.split('\t');
            let (at, name) = (fields.next().unwrap(), unescape(fields.next().unwrap()));
            assert!(matches!(at, "u" | "n" | "b"), "{line:?}");
            (at, name, fields.next().map(unescape))
        })
        .collect()
}

fn hostile() -> Vec<(&'static str, String, Option<String>)> {
    let list = list(include_str!("../data/hostile-names.txt"));
    assert!(list.len() >= HOSTILE, "{}", list.len());
    list
}

fn honest() -> Vec<(&'static str, String, Option<String>)> {
    let list = list(include_str!("../data/honest-names.txt"));
    assert!(list.len() >= HONEST, "{}", list.len());
    list
}

/// Does what `user add` does after hashing the password.
fn add(store: &mut Store, name: &str, nickname: Option<&str>) -> Result<String, ActError> {
    store.write(|tx| {
        let username = parse_username(name)?;
        let nickname = nickname.map(parse_nickname).transpose()?;
        create(tx, &username, nickname.as_ref(), Role::Member, "phc", NOW)?;
        Ok(nickname.map_or(username.as_str().to_owned(), |name| name.as_str().to_owned()))
    })
}

/// Does the same and rolls it back; returns the name that the account would get.
fn attempt(store: &mut Store, at: &str, name: &str) -> Result<String, ActError> {
    let mut got = None;
    let undone = store.write(|tx| {
        let username = parse_username(if at == "u" { name } else { "zz-top" })?;
        let nickname = if at == "n" { Some(parse_nickname(name)?) } else { None };
        create(tx, &username, nickname.as_ref(), Role::Member, "phc", NOW)?;
        got = Some(nickname.map_or(username.as_str().to_owned(), |n| n.as_str().to_owned()));
        Err::<(), ActError>(StoreError::Closed.into())
    });
    got.ok_or_else(|| undone.unwrap_err())
}

const PEOPLE: [(&str, Option<&str>); 6] = [
    ("alice", Some("The Queen")),
    ("bob", None),
    ("scope", None),
    ("paypal", None),
    ("maria", None),
    ("octavia", None),
];

#[test]
fn hostile_names_are_refused_or_made_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open_or_create(dir.path()).unwrap();
    for (name, nickname) in PEOPLE {
        add(&mut store, name, nickname).unwrap();
    }
    let mut wrong = Vec::new();
    for (at, name, harmless) in hostile() {
        for at in ["u", "n"].into_iter().filter(|one| at == *one || at == "b") {
            match (attempt(&mut store, at, &name), &harmless) {
                (Err(error), _) => {
                    let code = error.code();
                    assert!(matches!(code, Some("bad-name" | "exists")), "{name:?}: {error}");
                }
                (Ok(got), Some(harmless)) if got == *harmless => {}
                (Ok(got), _) => wrong.push((at, name.clone(), got)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} were accepted: {wrong:#?}", wrong.len());
}

#[test]
fn honest_names_of_twelve_scripts_fit_in_one_realm() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open_or_create(dir.path()).unwrap();
    let (all, mut refused) = (honest(), Vec::new());
    for (number, (at, name, _harmless)) in all.iter().enumerate() {
        let username = format!("person{number}");
        let added = match *at {
            "u" => add(&mut store, name, None),
            _ => add(&mut store, &username, Some(name)),
        };
        if let Err(error) = added {
            refused.push(format!("{name}: {error}"));
        }
    }
    // With --nocapture, this shows what is refused.
    println!("refused of {}: {refused:#?}", all.len());
    assert!(refused.len() * 100 <= all.len() * 2, "{refused:#?} of {}", all.len());
}

/// Signs somebody in with a requested nickname; returns the nickname from then on, and why the request was refused.
async fn wish(
    serving: &Serving,
    username: &str,
    nickname: &str,
) -> Result<(String, Option<String>), String> {
    let link: JoinLink = serving.link().parse().unwrap();
    let request = Login {
        username: username.to_owned(),
        password: format!("{username}-password").into(),
        nickname: Some(nickname.to_owned()),
        device_label: None,
    };
    let reply =
        ask(&link, &SigningKey::from_bytes(&[75; 32]), &Request::Login(request), || ()).await;
    match reply.map_err(|error| error.to_string())? {
        Reply::Granted(grant) => {
            let ticket = Ticket::verify(&grant.ticket, &link.realm).unwrap();
            Ok((ticket.claims().nickname.clone(), grant.nickname_refused))
        }
        Reply::Denied(denial) => panic!("{denial:?}"),
    }
}

#[tokio::test]
async fn hostile_nicknames_are_refused_or_made_harmless() {
    let realm = Realm::fresh();
    let serving = realm.serve();
    for (name, nickname) in PEOPLE {
        let nickname = nickname.unwrap_or(name);
        let args = ["user", "add", name, "--nickname", nickname];
        assert_eq!(realm.with_password(&args, b"password\n").code, 0);
    }
    realm.add("eve0");
    let (mut wrong, mut eves, mut current) = (Vec::new(), 0, "eve0".to_owned());
    for (at, name, harmless) in hostile() {
        if at == "u" {
            continue;
        }
        let asked = wish(&serving, &format!("eve{eves}"), &name).await;
        let (nickname, refused) = match asked {
            // Only a few former nicknames are reserved for one account.
            Ok((_, Some(refused))) if refused.contains("too often") => {
                eves += 1;
                current = format!("eve{eves}");
                realm.add(&current);
                wish(&serving, &current, &name).await.unwrap()
            }
            Ok(got) => got,
            // The login server does not read a request that is too long.
            Err(_closed) if name.len() > NAME_BYTES_MAX => continue,
            Err(error) => panic!("{name:?}: {error}"),
        };
        let expected =
            if refused.is_some() { &current } else { harmless.as_ref().unwrap_or(&name) };
        if nickname != *expected || (refused.is_none() && harmless.is_none()) {
            wrong.push((name, nickname.clone()));
        }
        current = nickname;
    }
    assert!(wrong.is_empty(), "{} were accepted: {wrong:#?}", wrong.len());
    realm.add("mia");
    let (nickname, refused) = wish(&serving, "mia", "Eve the Honest").await.unwrap();
    assert_eq!((nickname.as_str(), refused), ("Eve the Honest", None));
}
