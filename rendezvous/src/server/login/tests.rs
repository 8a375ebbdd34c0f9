//! Logins against a real store and pool, with invented times.

mod devices;
mod guessing;
mod nicknames;
mod tickets;

use std::num::NonZeroUsize;
use std::time::Duration;

use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::Role;
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::policy::{Sanction, SanctionKind, SignedPolicy};
use lanyard_protocol::ticket::Ticket;

use super::*;
use crate::accounts as acts;
use crate::authority::StandIn;
use crate::folder::config::Argon2Config;
use crate::policy;
use crate::server::password::Hasher;
use crate::store::Db;
use crate::store::accounts::State;
use crate::store::sanctions;

const NOW: u64 = 1_800_000_000_700;
const LAPTOP: PeerKey = PeerKey([7; 32]);
const PHONE: PeerKey = PeerKey([8; 32]);
/// The cost of the accounts' hashes.
const COST: Argon2Config = Argon2Config { memory_kib: 8, passes: 1 };

/// Both clocks at this unix time.
fn at(ms: u64) -> Now {
    Now { mono: Duration::from_millis(ms - NOW), wall_ms: ms }
}

struct LoginServer {
    dir: tempfile::TempDir,
    office: Office,
    realm: PeerKey,
}

impl LoginServer {
    /// A realm with alice, bob and the passwords "alice-password" and "bob-password".
    fn open() -> Self {
        Self::open_at(COST)
    }

    /// The same after the operator has changed the cost of new hashes.
    fn open_at(cost: Argon2Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open_or_create(dir.path()).unwrap();
        let hasher = Hasher::new(COST).unwrap();
        for name in ["alice", "bob"] {
            let password = Password::new(format!("{name}-password")).unwrap();
            let phc = hasher.hash(&password).unwrap();
            let name = Username::parse(name).unwrap();
            store.write(|tx| acts::create(tx, &name, None, Role::Member, &phc, NOW)).unwrap();
        }
        let realm_key = SigningKey::from_bytes(&[3; 32]);
        let realm = public_key(&realm_key);
        store.write(|tx| policy::publish(tx, &realm_key, NOW)).unwrap();
        let addresses = vec!["/ip4/127.0.0.1/tcp/1".to_owned()];
        let authority = StandIn(PeerAddresses { peer: PeerKey([9; 32]), addresses });
        let (store, _thread) = StoreHandle::start(store).unwrap();
        let hasher = Arc::new(Hasher::new(cost).unwrap());
        let pool = Pool::start(hasher, NonZeroUsize::MIN).unwrap();
        let office = Office::new(store, pool, Arc::new(realm_key), Arc::new(authority));
        Self { dir, office, realm }
    }

    async fn try_in(&self, name: &str, password: &str, peer: PeerKey, now: u64) -> Reply {
        self.wish(name, password, peer, None, now).await
    }

    async fn wish(
        &self,
        name: &str,
        password: &str,
        peer: PeerKey,
        nickname: Option<&str>,
        now: u64,
    ) -> Reply {
        let request = Request::Login(Login {
            username: name.to_owned(),
            password: Zeroizing::new(password.to_owned()),
            nickname: nickname.map(str::to_owned),
            device_label: None,
        });
        reply_of(
            self.office.answer(peer, "192.0.2.1:50000".parse().unwrap(), request, || at(now)).await,
        )
    }

    async fn act(
        &self,
        act: impl FnOnce(Db<'_>) -> Result<(), crate::acts::ActError> + Send + 'static,
    ) {
        self.office.store.run(move |store| store.write(act)).await.unwrap();
    }

    fn ticket(&self, reply: Reply) -> Ticket {
        let Reply::Granted(grant) = reply else { panic!("denied: {reply:?}") };
        SignedPolicy::verify(&grant.policy, &self.realm).unwrap();
        Ticket::verify(&grant.ticket, &self.realm).unwrap()
    }
}

fn reply_of(answer: Answer) -> Reply {
    let Answer::Ticket(reply) = answer else { panic!("{answer:?}") };
    reply
}

fn code(reply: &Reply) -> Option<DenialCode> {
    match reply {
        Reply::Granted(_) => None,
        Reply::Denied(denial) => Some(denial.code),
    }
}

#[tokio::test]
async fn the_right_password_gives_a_ticket_bound_to_the_device() {
    let login_server = LoginServer::open();
    let reply = login_server.try_in("ALICE", "alice-password", LAPTOP, NOW).await;
    let ticket = login_server.ticket(reply);
    let claims = ticket.claims();
    assert_eq!((claims.peer, claims.device), (LAPTOP, 1));
    assert_eq!((claims.username.as_str(), claims.role), ("alice", Role::Member));
    assert_eq!(claims.issued_at_s, NOW / 1_000);
    assert_eq!(claims.expires_at_s - claims.issued_at_s, 7 * 86_400);
    let second =
        login_server.ticket(login_server.try_in("alice", "alice-password", PHONE, NOW).await);
    assert_eq!(second.claims().device, 2);
    assert_ne!(second.claims().id, claims.id);
}

#[tokio::test]
async fn wrong_and_unknown_are_one_reply_at_one_cost() {
    let login_server = LoginServer::open();
    let before = login_server.office.argon2_calls();
    let wrong = login_server.try_in("alice", "no", LAPTOP, NOW).await;
    let cost = login_server.office.argon2_calls() - before;
    assert_eq!(code(&wrong), Some(DenialCode::BadCredentials));
    for name in ["nobody", "two words", "-", "\u{202e}x"] {
        let before = login_server.office.argon2_calls();
        let unknown = login_server.try_in(name, "no", LAPTOP, NOW).await;
        assert_eq!(unknown.to_bytes(), wrong.to_bytes());
        assert_eq!(login_server.office.argon2_calls() - before, cost, "{name}");
    }
}

#[tokio::test]
async fn five_failures_delay_all_but_the_known_device() {
    let login_server = LoginServer::open();
    login_server.ticket(login_server.try_in("alice", "alice-password", LAPTOP, NOW).await);
    for name in ["alice", "nobody"] {
        for spelling in [name, name, name, name, &name.to_uppercase()] {
            let reply = login_server.try_in(spelling, "guess", PHONE, NOW).await;
            assert_eq!(code(&reply), Some(DenialCode::BadCredentials));
        }
        let calls = login_server.office.argon2_calls();
        let reply = login_server.try_in(name, "alice-password", PHONE, NOW).await;
        let Reply::Denied(denial) = &reply else { panic!("{reply:?}") };
        assert_eq!((denial.code, denial.retry_after_s), (DenialCode::Locked, Some(15)));
        assert_eq!(login_server.office.argon2_calls(), calls, "no check while locked");
    }
    let wrong = login_server.try_in("alice", "guess", LAPTOP, NOW).await;
    assert_eq!(code(&wrong), Some(DenialCode::Locked));
    login_server.ticket(login_server.try_in("alice", "alice-password", LAPTOP, NOW).await);
    let still = login_server.try_in("alice", "alice-password", PHONE, NOW).await;
    assert_eq!(code(&still), Some(DenialCode::Locked), "the owner's login frees no guesser");
    login_server.ticket(login_server.try_in("alice", "alice-password", PHONE, NOW + 30_000).await);
}

#[tokio::test]
async fn only_the_right_password_tells_of_a_ban() {
    let login_server = LoginServer::open();
    login_server.act(|tx| acts::set_state(tx, "alice", State::Disabled, NOW)).await;
    login_server
        .act(|tx| {
            let ban = Sanction {
                id: 0,
                kind: SanctionKind::Ban,
                sub: acts::find(tx, "bob")?.id,
                peer: None,
                from: NOW,
                until: Some(NOW + 60_000),
                reason: "spam".to_owned(),
                by: "operator".to_owned(),
            };
            Ok(sanctions::insert(tx, &ban, NOW)?)
        })
        .await;
    for name in ["alice", "bob"] {
        let wrong = login_server.try_in(name, "guess", LAPTOP, NOW).await;
        assert_eq!(code(&wrong), Some(DenialCode::BadCredentials));
    }
    let disabled = login_server.try_in("alice", "alice-password", LAPTOP, NOW).await;
    assert_eq!(code(&disabled), Some(DenialCode::Disabled));
    let banned = login_server.try_in("bob", "bob-password", LAPTOP, NOW).await;
    let Reply::Denied(denial) = &banned else { panic!("{banned:?}") };
    assert_eq!((denial.code, denial.reason.as_str()), (DenialCode::Banned, "spam"));
    assert_eq!(denial.retry_after_s, Some(60), "with its end");
    login_server.ticket(login_server.try_in("bob", "bob-password", LAPTOP, NOW + 60_000).await);
}

#[tokio::test]
async fn a_ticket_issued_after_a_revocation_is_valid() {
    let login_server = LoginServer::open();
    let old =
        login_server.ticket(login_server.try_in("alice", "alice-password", LAPTOP, NOW).await);
    login_server.act(|tx| acts::set_role(tx, "alice", Role::Moderator, NOW)).await;
    let reply = login_server.try_in("alice", "alice-password", LAPTOP, NOW).await;
    let Reply::Granted(grant) = &reply else { panic!("{reply:?}") };
    let signed = SignedPolicy::verify(&grant.policy, &login_server.realm).unwrap();
    let new = login_server.ticket(reply.clone());
    assert_eq!(new.claims().role, Role::Moderator);
    let revocation_of = |ticket: &Ticket| {
        let claims = ticket.claims();
        signed.policy().revocation_of(claims.account, claims.peer, claims.issued_at_ms()).is_some()
    };
    assert!(revocation_of(&old) && !revocation_of(&new));
    assert_eq!(new.claims().policy, signed.policy().number);
}

#[tokio::test]
async fn revocations_and_tickets_of_one_second_alternate() {
    let login_server = LoginServer::open();
    let mut tickets = Vec::new();
    for role in [Role::Moderator, Role::Member, Role::Moderator] {
        let reply = login_server.try_in("alice", "alice-password", LAPTOP, NOW).await;
        let Reply::Granted(grant) = &reply else { panic!("{reply:?}") };
        assert_eq!(grant.realm_time, NOW, "whoever signs in now must not be ahead of the others");
        tickets.push(login_server.ticket(reply));
        login_server.act(move |tx| acts::set_role(tx, "alice", role, NOW)).await;
    }
    let reply = login_server.try_in("alice", "alice-password", LAPTOP, NOW).await;
    let Reply::Granted(grant) = &reply else { panic!("{reply:?}") };
    let policy = SignedPolicy::verify(&grant.policy, &login_server.realm).unwrap();
    let is_revoked = |ticket: &Ticket| {
        let claims = ticket.claims();
        policy.policy().revocation_of(claims.account, claims.peer, claims.issued_at_ms()).is_some()
    };
    assert!(tickets.iter().all(is_revoked), "each ticket is revoked by what came after it");
    let last = login_server.ticket(reply.clone());
    assert!(!is_revoked(&last));
    assert!(last.claims().issued_at_ms() <= NOW + 4_000);
}

#[tokio::test]
async fn a_requested_nickname_may_be_refused() {
    let login_server = LoginServer::open();
    let first =
        login_server.wish("alice", "alice-password", LAPTOP, Some("Al  the Great"), NOW).await;
    assert_eq!(login_server.ticket(first).claims().nickname, "Al the Great");
    for wish in ["BOB", "B0b", "a\u{202e}b", ""] {
        let reply = login_server.wish("alice", "alice-password", LAPTOP, Some(wish), NOW).await;
        let Reply::Granted(grant) = &reply else { panic!("{reply:?}") };
        assert!(grant.nickname_refused.is_some(), "{wish:?}");
        assert_eq!(login_server.ticket(reply.clone()).claims().nickname, "Al the Great");
    }
    let own = login_server.wish("alice", "alice-password", LAPTOP, Some("Alice"), NOW).await;
    assert_eq!(login_server.ticket(own).claims().nickname, "Alice");
}

#[tokio::test]
async fn a_password_changed_during_the_check_is_wrong() {
    let login_server = LoginServer::open();
    let found = login_server.office.find(Username::parse("alice").ok(), LAPTOP).await.unwrap();
    login_server.act(|tx| acts::set_password(tx, "alice", "other", acts::Tickets::Keep, NOW)).await;
    let visit = Visit {
        peer: LAPTOP,
        from: "192.0.2.1:1".parse().unwrap(),
        nickname: None,
        device_label: None,
        clock_ms: NOW,
    };
    let account = found.account.unwrap();
    let sign_in = SignIn { account, visit, act: Act::Login { rehash: None } };
    let reply = login_server.office.grant(sign_in).await.unwrap();
    assert_eq!(code(&reply), Some(DenialCode::BadCredentials));
}

#[tokio::test]
async fn realm_time_is_read_after_the_check() {
    let login_server = LoginServer::open();
    let times = std::cell::Cell::new(NOW);
    // Each time it is read, the clock is three seconds later, as if the queue were long.
    let clock = || at(times.replace(times.get() + 3_000));
    let request = Request::Login(Login {
        username: "alice".to_owned(),
        password: Zeroizing::new("alice-password".to_owned()),
        nickname: None,
        device_label: None,
    });
    let from = "192.0.2.1:1".parse().unwrap();
    let reply = reply_of(login_server.office.answer(LAPTOP, from, request, clock).await);
    let Reply::Granted(grant) = reply else {
        panic!("denied");
    };
    assert_eq!(grant.realm_time, times.get() - 3_000, "the last reading");
    assert!(grant.realm_time > NOW);
}

#[tokio::test]
async fn an_unknown_operation_is_answered() {
    let login_server = LoginServer::open();
    let from = "192.0.2.1:1".parse().unwrap();
    let reply = login_server.office.answer(LAPTOP, from, Request::Unknown(9), || at(NOW)).await;
    assert_eq!(code(&reply_of(reply)), Some(DenialCode::Unsupported));
}
