//! What owners do with their devices.

use lanyard_protocol::limits::LINK_GRACE_MS;
use lanyard_protocol::login::{DeviceInfo, DevicesReply, ListDevices, LogOutDevice};
use lanyard_protocol::policy::Policy;
use lanyard_protocol::time::DAY_MS;

use super::*;
use crate::acts::perform;
use crate::policy::{rooms, rules, sanctions as sanctioning};
use crate::server::login::devices::log_out_others;
use crate::store::{devices, policies};

impl LoginServer {
    async fn devices(&self, account: AccountId, peer: PeerKey, now: u64) -> DevicesReply {
        self.about_devices(Request::ListDevices(ListDevices { account }), peer, now).await
    }

    async fn log_out(
        &self,
        account: AccountId,
        device: u64,
        peer: PeerKey,
        now: u64,
    ) -> DevicesReply {
        self.about_devices(Request::LogOutDevice(LogOutDevice { account, device }), peer, now).await
    }

    async fn about_devices(&self, request: Request, peer: PeerKey, now: u64) -> DevicesReply {
        let from = "192.0.2.1:50000".parse().unwrap();
        match self.office.answer(peer, from, request, || at(now)).await {
            Answer::Devices(reply) => reply,
            // A denial has the same bytes in every kind of reply.
            Answer::Ticket(reply) => DevicesReply::parse(&reply.to_bytes()).unwrap(),
        }
    }

    /// The newest signed policy.
    async fn policy(&self) -> Policy {
        let row = self.office.store.run(|store| policies::newest(store.reader())).await.unwrap();
        SignedPolicy::verify(&row.unwrap().document, &self.realm).unwrap().policy().clone()
    }
}

fn rows(reply: DevicesReply) -> Vec<DeviceInfo> {
    match reply {
        DevicesReply::Devices(rows) => rows,
        other => panic!("no list: {other:?}"),
    }
}

fn denial(reply: DevicesReply) -> Denial {
    match reply {
        DevicesReply::Denied(denial) => denial,
        other => panic!("not denied: {other:?}"),
    }
}

#[tokio::test]
async fn r69_owners_see_only_their_own_devices() {
    let login_server = LoginServer::open();
    let account = login_server.alice(LAPTOP).await.claims().account;
    login_server.ticket(login_server.try_in("alice", "alice-password", PHONE, NOW + 1_000).await);
    let bobs = PeerKey([20; 32]);
    login_server.ticket(login_server.try_in("bob", "bob-password", bobs, NOW).await);
    let calls = login_server.office.argon2_calls();
    let entries = login_server.audit().await.len();
    let seen = rows(login_server.devices(account, LAPTOP, NOW + 2_000).await);
    assert_eq!(
        (login_server.office.argon2_calls(), login_server.audit().await.len()),
        (calls, entries)
    );
    let both: Vec<(u64, PeerKey)> = seen.iter().map(|row| (row.device, row.peer)).collect();
    assert_eq!(both, [(1, LAPTOP), (2, PHONE)]);
    assert_eq!((seen[1].first_seen, seen[1].last_login), (NOW + 1_000, NOW + 1_000));
    assert_eq!(seen[1].expires_at / 1_000, (NOW + 1_000 + 7 * DAY_MS) / 1_000);
    assert!(seen.iter().all(|row| !row.logged_out));
}

#[tokio::test]
async fn r69_a_device_that_may_not_renew_learns_nothing() {
    let login_server = LoginServer::open();
    let ticket = login_server.alice(LAPTOP).await;
    let (account, end) = (ticket.claims().account, ticket.claims().expires_at_ms());
    let unknown = login_server.devices(AccountId([0; 16]), LAPTOP, NOW).await;
    for reply in [
        login_server.devices(account, PHONE, NOW).await,
        login_server.log_out(account, 1, PHONE, NOW).await,
        login_server.log_out(AccountId([0; 16]), 1, LAPTOP, NOW).await,
        login_server.devices(account, LAPTOP, end + 30 * DAY_MS + 1).await,
    ] {
        assert_eq!(reply.to_bytes(), unknown.to_bytes());
    }
    assert_eq!(denial(unknown).code, DenialCode::BadCredentials);
    rows(login_server.devices(account, LAPTOP, end + 30 * DAY_MS).await);
    login_server.act(|tx| sanctioning::ban(tx, "alice", 0, "spam", NOW)).await;
    let banned = denial(login_server.log_out(account, 1, LAPTOP, NOW).await);
    assert_eq!((banned.code, banned.reason.as_str()), (DenialCode::Banned, "spam"));
    login_server.act(|tx| sanctioning::lift(tx, "alice", sanctioning::Lifting::Ban, NOW)).await;
    login_server.act(|tx| acts::set_state(tx, "alice", State::Disabled, NOW)).await;
    assert_eq!(denial(login_server.devices(account, LAPTOP, NOW).await).code, DenialCode::Disabled);
}

#[tokio::test]
async fn r75_logging_a_device_out_revokes_its_ticket_at_once() {
    let login_server = LoginServer::open();
    let (own, other) = (login_server.alice(LAPTOP).await, login_server.alice(PHONE).await);
    let account = own.claims().account;
    let before = login_server.policy().await.number;
    let seen = rows(login_server.log_out(account, 2, LAPTOP, NOW + 1).await);
    let out: Vec<bool> = seen.iter().map(|row| row.logged_out).collect();
    assert_eq!(out, [false, true]);
    let policy = login_server.policy().await;
    assert!(policy.number > before, "signed before the answer");
    let is_revoked = |ticket: &Ticket| {
        let claims = ticket.claims();
        policy.revocation_of(account, claims.peer, claims.issued_at_ms()).is_some()
    };
    assert!(is_revoked(&other) && !is_revoked(&own));
    assert_eq!(login_server.audit().await.last().unwrap(), "alice device-logout device 2");
    assert_eq!(
        code(&login_server.renew(account, PHONE, NOW + 5_000).await),
        Some(DenialCode::BadCredentials)
    );
    let asked = denial(login_server.devices(account, PHONE, NOW + 5_000).await);
    assert_eq!(asked.code, DenialCode::BadCredentials);
    login_server.ticket(login_server.renew(account, LAPTOP, NOW + 5_000).await);
    let back = login_server
        .ticket(login_server.try_in("alice", "alice-password", PHONE, NOW + 5_000).await);
    assert_eq!(back.claims().device, 2);
    assert!(!is_revoked(&back), "the password brings it back");
}

#[tokio::test]
async fn r75_a_device_may_log_itself_out() {
    let login_server = LoginServer::open();
    let account = login_server.alice(LAPTOP).await.claims().account;
    assert!(rows(login_server.log_out(account, 1, LAPTOP, NOW + 1).await)[0].logged_out);
    let again = denial(login_server.log_out(account, 1, LAPTOP, NOW + 2).await);
    assert_eq!(again.code, DenialCode::BadCredentials);
}

#[tokio::test]
async fn r75_a_device_without_a_ticket_needs_no_revocation() {
    let login_server = LoginServer::open();
    let ticket = login_server.alice(PHONE).await;
    let (account, end) = (ticket.claims().account, ticket.claims().expires_at_ms());
    let gone = end + LINK_GRACE_MS;
    login_server.ticket(login_server.try_in("alice", "alice-password", LAPTOP, gone).await);
    assert!(rows(login_server.log_out(account, 1, LAPTOP, gone).await)[0].logged_out);
    assert!(login_server.policy().await.sanctions.is_empty(), "nobody keeps a link to it");
    let (number, entries) = (login_server.policy().await.number, login_server.audit().await.len());
    assert!(rows(login_server.log_out(account, 1, LAPTOP, gone + 1).await)[0].logged_out);
    assert_eq!(
        (login_server.policy().await.number, login_server.audit().await.len()),
        (number, entries)
    );
}

#[tokio::test]
async fn r77_an_unknown_device_number_changes_nothing() {
    let login_server = LoginServer::open();
    let account = login_server.alice(LAPTOP).await.claims().account;
    let (number, entries) = (login_server.policy().await.number, login_server.audit().await.len());
    for device in [0, 2, u64::MAX] {
        let reply = login_server.log_out(account, device, LAPTOP, NOW).await;
        assert_eq!(reply, DevicesReply::NoSuchDevice(device));
    }
    assert_eq!(
        (login_server.policy().await.number, login_server.audit().await.len()),
        (number, entries)
    );
}

#[tokio::test]
async fn r75_logouts_and_new_passwords_share_a_daily_limit() {
    let login_server = LoginServer::open();
    let account = login_server.alice(LAPTOP).await.claims().account;
    let other = |n: u8| PeerKey([100 + n; 32]);
    login_server.act(|tx| rules::set(tx, "devices-max", "18", NOW)).await;
    login_server.alice(other(0)).await;
    let changed = login_server.change("alice-password", "alice-password", true, LAPTOP).await;
    assert!(matches!(changed, Reply::Granted(_)), "the first revocation: {changed:?}");
    for n in 1..=16 {
        login_server.alice(other(n)).await;
    }
    for device in 3..=17 {
        rows(login_server.log_out(account, device, LAPTOP, NOW).await);
    }
    let locked = denial(login_server.log_out(account, 18, LAPTOP, NOW).await);
    assert_eq!(locked.code, DenialCode::Locked);
    assert!(locked.retry_after_s.is_some_and(|wait| (1..=86_400).contains(&wait)));
    let left = rows(login_server.devices(account, LAPTOP, NOW).await);
    assert!(!left[17].logged_out, "a refusal changes nothing");
    rows(login_server.log_out(account, 18, LAPTOP, NOW + DAY_MS + 1_000).await);
}

#[tokio::test]
async fn r76_a_long_list_keeps_the_devices_in_use() {
    let login_server = LoginServer::open();
    let account = login_server.alice(LAPTOP).await.claims().account;
    let sign_in_all = move |store: &mut Store| {
        store.write(|tx| {
            for n in 0..300_u16 {
                let mut peer = PeerKey([0; 32]);
                peer.0[..2].copy_from_slice(&n.to_be_bytes());
                let number = devices::sign_in(tx, account, peer, "", NOW, NOW + DAY_MS)?;
                if n < 100 {
                    devices::log_out(tx, account, number)?;
                }
            }
            Ok::<_, StoreError>(())
        })
    };
    login_server.office.store.run(sign_in_all).await.unwrap();
    let seen = rows(login_server.devices(account, LAPTOP, NOW).await);
    assert_eq!(seen.len(), 256);
    assert_eq!(seen.iter().filter(|row| !row.logged_out).count(), 201);
    assert!(seen.is_sorted_by_key(|row| row.device) && seen[0].peer == LAPTOP);
    DevicesReply::parse(&DevicesReply::Devices(seen).to_bytes()).unwrap();
}

/// Device `n` of alice.
fn device(n: u8) -> PeerKey {
    PeerKey([100 + n; 32])
}

/// The denial of one device too many.
fn too_many(reply: Reply) -> Denial {
    match reply {
        Reply::Denied(denial) if denial.code == DenialCode::TooManyDevices => denial,
        other => panic!("not too many: {other:?}"),
    }
}

#[tokio::test]
async fn r78_the_17th_device_is_refused_until_one_is_logged_out() {
    let login_server = LoginServer::open();
    let account = login_server.alice(LAPTOP).await.claims().account;
    for n in 2..=16 {
        login_server.ticket(
            login_server.try_in("alice", "alice-password", device(n), NOW + u64::from(n)).await,
        );
    }
    let entries = login_server.audit().await.len();
    let one_more = || login_server.try_in("alice", "alice-password", PHONE, NOW + 20);
    let denied = too_many(one_more().await);
    assert_eq!(denied.reason, "unused for the longest: 1, 2, 3, 4, 5");
    let changed = login_server.change("alice-password", "another-password", false, PHONE).await;
    too_many(changed);
    let guessed = login_server.try_in("alice", "guess", PHONE, NOW + 20).await;
    assert_eq!(code(&guessed), Some(DenialCode::BadCredentials), "only the owner learns of it");
    assert_eq!(login_server.audit().await.len(), entries, "a refusal changes nothing");
    login_server.ticket(login_server.renew(account, LAPTOP, NOW + 20).await);
    login_server.ticket(login_server.try_in("alice", "alice-password", LAPTOP, NOW + 20).await);
    login_server.ticket(login_server.try_in("bob", "bob-password", PHONE, NOW + 20).await);
    rows(login_server.log_out(account, 2, LAPTOP, NOW + 20).await);
    login_server.ticket(one_more().await);
    too_many(login_server.try_in("alice", "alice-password", device(2), NOW + 20).await);
}

#[tokio::test]
async fn r78_devices_that_may_not_renew_do_not_count() {
    let login_server = LoginServer::open();
    login_server.act(|tx| rules::set(tx, "devices-max", "1", NOW)).await;
    let end = login_server.alice(LAPTOP).await.claims().expires_at_ms();
    let at = |now| login_server.try_in("alice", "alice-password", PHONE, now);
    too_many(at(end + 30 * DAY_MS).await);
    login_server.ticket(at(end + 30 * DAY_MS + 1).await);
}

#[tokio::test]
async fn r78_a_new_password_that_logs_the_others_out_makes_room() {
    let login_server = LoginServer::open();
    login_server.act(|tx| rules::set(tx, "devices-max", "1", NOW)).await;
    login_server.alice(LAPTOP).await;
    login_server
        .ticket(login_server.change("alice-password", "another-password", true, PHONE).await);
}

#[tokio::test]
async fn r78_of_two_devices_at_once_only_one_gets_the_last_place() {
    let login_server = LoginServer::open();
    login_server.act(|tx| rules::set(tx, "devices-max", "1", NOW)).await;
    let (one, other) = tokio::join!(
        login_server.try_in("alice", "alice-password", LAPTOP, NOW),
        login_server.try_in("alice", "alice-password", PHONE, NOW),
    );
    let codes = [code(&one), code(&other)];
    assert_eq!(codes.iter().filter(|code| code.is_none()).count(), 1, "{codes:?}");
    assert!(codes.contains(&Some(DenialCode::TooManyDevices)), "{codes:?}");
}

#[test]
fn r75_logouts_by_members_leave_the_operator_space() {
    const MEMBERS: usize = 80;
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open_or_create(dir.path()).unwrap();
    let members: Vec<AccountId> = (0..MEMBERS)
        .map(|n| {
            let name = Username::parse(&format!("member{n}")).unwrap();
            store.write(|tx| acts::create(tx, &name, None, Role::Member, "phc", NOW)).unwrap()
        })
        .collect();
    let mut refused = 0;
    for id in &members {
        for day in 0..5 {
            let now = NOW + day * DAY_MS;
            let logged_out = store.write(|tx| {
                for n in 0..8 {
                    devices::sign_in(tx, *id, device(n), "", now, now + DAY_MS)?;
                }
                let account = accounts::by_id(tx, *id)?.unwrap();
                log_out_others(tx, &account, LAPTOP, now)
            });
            refused += usize::from(logged_out.is_err());
        }
    }
    let rows = sanctions::list(store.reader()).unwrap();
    let of = |account| rows.iter().filter(|row| row.sanction.sub == account).count();
    assert_eq!(of(members[0]), 32, "the share of an account");
    assert!(refused > MEMBERS, "their share together");
    let now = NOW + 5 * DAY_MS;
    let reason = "x".repeat(200);
    perform(&mut store, now, |tx, now| sanctioning::ban(tx, "member1", 0, &reason, now)).unwrap();
    perform(&mut store, now, |tx, now| rooms::add(tx, "news", &reason, now)).unwrap();
    let key = SigningKey::from_bytes(&[3; 32]);
    let (signed, _new) = store.write(|tx| policy::publish(tx, &key, now)).unwrap();
    assert!(signed.policy().ban_at(members[1], now).is_some());
}
