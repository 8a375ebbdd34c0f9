//! Renewals and new passwords over the wire, by the client that peers use.

use std::time::Duration;

use ed25519_dalek::SigningKey;
use lanyard_node::login::{self, LoginError};
use lanyard_protocol::ids::{AccountId, Role};
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::{ChangePassword, DenialCode, Login, Renew, Reply, Request};
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::{Claims, Ticket};
use serde_json::json;

use crate::harness::{Realm, Serving, is_soak};

const LAPTOP: [u8; 32] = [71; 32];
const PHONE: [u8; 32] = [72; 32];

struct Device {
    link: JoinLink,
    key: SigningKey,
}

impl Device {
    fn new(serving: &Serving, seed: &[u8; 32]) -> Self {
        Self { link: serving.link().parse().unwrap(), key: SigningKey::from_bytes(seed) }
    }

    async fn login(&self, password: &str) -> Result<Reply, LoginError> {
        let login = Login {
            username: "alice".to_owned(),
            password: password.to_owned().into(),
            nickname: None,
            device_label: None,
        };
        login::ask(&self.link, &self.key, &Request::Login(login), || ()).await
    }

    async fn renew(&self, account: AccountId) -> Result<Reply, LoginError> {
        login::ask(&self.link, &self.key, &Request::Renew(Renew { account }), || ()).await
    }

    async fn change(&self, old: &str, new: &str, revoke_others: bool) -> Result<Reply, LoginError> {
        let change = ChangePassword {
            username: "alice".to_owned(),
            old: old.to_owned().into(),
            new: new.to_owned().into(),
            revoke_others,
        };
        login::ask(&self.link, &self.key, &Request::ChangePassword(change), || ()).await
    }

    fn claims(&self, reply: Result<Reply, LoginError>) -> Claims {
        let Ok(Reply::Granted(grant)) = reply else { panic!("not granted: {reply:?}") };
        Ticket::verify(&grant.ticket, &self.link.realm).unwrap().claims().clone()
    }
}

fn code(reply: Result<Reply, LoginError>) -> DenialCode {
    match reply {
        Ok(Reply::Denied(denial)) => denial.code,
        other => panic!("not denied: {other:?}"),
    }
}

#[tokio::test]
async fn a_ticket_is_renewed_until_the_device_is_logged_out() {
    let realm = Realm::fresh();
    let serving = realm.serve();
    realm.add("alice");
    let laptop = Device::new(&serving, &LAPTOP);
    let account = laptop.claims(laptop.login("alice-password").await).account;
    let since = realm.json(&["sessions"]).object()["since"].clone();
    realm.json(&["user", "role", "alice", "moderator"]);
    let renewed = laptop.claims(laptop.renew(account).await);
    assert_eq!((renewed.role, renewed.device), (Role::Moderator, 1));
    let session = realm.json(&["sessions"]).object();
    assert_eq!((&session["since"], &session["device"]), (&since, &json!(1)));
    assert_eq!(session["expires_at"], json!(renewed.expires_at_ms()));
    let device = realm.json(&["device", "list", "alice"]).object();
    assert_eq!((&device["peer"], &device["state"]), (&session["peer"], &json!("logged-in")));
    let number = realm.json(&["device", "logout", "alice", "1"]).object()["policy"].as_u64();
    assert!(number > Some(renewed.policy));
    assert_eq!(code(laptop.renew(account).await), DenialCode::BadCredentials);
    assert!(realm.json(&["sessions"]).lines().is_empty());
    assert_eq!(realm.json(&["device", "logout", "alice", "1"]).error(), "not-found");
    realm.json(&["ban", "alice"]);
    assert_eq!(code(laptop.login("alice-password").await), DenialCode::Banned);
    assert_eq!(code(laptop.login("guess").await), DenialCode::BadCredentials);
    realm.json(&["unban", "alice"]);
    let back = laptop.claims(laptop.login("alice-password").await);
    assert_eq!(back.device, 1, "it keeps its number");
    laptop.claims(laptop.renew(account).await);
}

#[tokio::test]
async fn everybody_learns_that_a_new_password_revokes() {
    let realm = Realm::fresh();
    let mut serving = realm.serve();
    realm.add("alice");
    let (laptop, phone) = (Device::new(&serving, &LAPTOP), Device::new(&serving, &PHONE));
    laptop.claims(laptop.login("alice-password").await);
    let other = phone.claims(phone.login("alice-password").await);
    assert_eq!(
        code(laptop.change("wrong", "new password", true).await),
        DenialCode::BadCredentials
    );
    let reply = laptop.change("alice-password", "new password", true).await;
    let Ok(Reply::Granted(grant)) = &reply else { panic!("{reply:?}") };
    let policy = SignedPolicy::verify(&grant.policy, &laptop.link.realm).unwrap();
    let is_revoked = |claims: &Claims| {
        policy.policy().revocation_of(claims.account, claims.peer, claims.issued_at_ms()).is_some()
    };
    let own = laptop.claims(reply.clone());
    assert!(is_revoked(&other) && !is_revoked(&own));
    assert_eq!(code(phone.renew(other.account).await), DenialCode::BadCredentials);
    assert_eq!(code(phone.login("alice-password").await), DenialCode::BadCredentials);
    phone.claims(phone.login("new password").await);
    let number = policy.policy().number;
    assert_eq!(realm.json(&["status"]).object()["policy"], json!(number));
    let told = serving.wait_for_log(&format!("in force number={number}"));
    assert!(told, "the authority peer was not told of the policy that the login server signed");
}

#[tokio::test]
async fn a_kill_loses_no_acknowledged_password_or_renewal() {
    let realm = Realm::fresh();
    let rounds = if is_soak() { 200 } else { 20 };
    let serving = realm.serve();
    realm.add("alice");
    let device = Device::new(&serving, &LAPTOP);
    let first = device.claims(device.login("alice-password").await);
    drop(serving);
    let (mut password, mut highest) = ("alice-password".to_owned(), first.policy);
    for round in 0..rounds {
        let serving = realm.serve();
        let device = Device::new(&serving, &LAPTOP);
        // A new phone each time, so that the database knows of it by this sign-in only.
        let mut seed = PHONE;
        seed[..8].copy_from_slice(&u64::to_be_bytes(round));
        let phone = Device::new(&serving, &seed);
        let new = format!("password of round {round}");
        let change = device.change(&password, &new, false);
        let renew = device.renew(first.account);
        let login = phone.login(&password);
        let kill = async {
            // A different moment each time: while it connects, checks, commits, answers.
            tokio::time::sleep(Duration::from_millis(round % 20 * 5)).await;
            drop(serving);
        };
        let (changed, renewed, phoned, ()) = tokio::join!(change, renew, login, kill);
        for reply in [&changed, &renewed] {
            if let Ok(Reply::Granted(_)) = reply {
                highest = highest.max(device.claims(reply.clone()).policy);
            }
        }
        if let Ok(Reply::Granted(_)) = &phoned {
            let claims = phone.claims(phoned.clone());
            highest = highest.max(claims.policy);
            let devices = realm.json(&["device", "list", "alice"]).lines();
            let kept = devices.iter().any(|row| row["device"] == json!(claims.device));
            assert!(kept, "round {round}: the sign-in of device {} is lost", claims.device);
        }
        let serving = realm.serve();
        let device = Device::new(&serving, &LAPTOP);
        let login = device.login(&new).await;
        let acknowledged = matches!(changed, Ok(Reply::Granted(_)));
        if matches!(login, Ok(Reply::Granted(_))) {
            password = new;
        } else {
            assert!(!acknowledged, "round {round}: the new password is lost");
            device.claims(device.login(&password).await);
        }
        let now = device.claims(device.renew(first.account).await);
        assert!(now.policy >= highest, "round {round}: {} after {highest}", now.policy);
        assert_eq!(now.device, 1);
        highest = now.policy;
    }
}
