//! Renewals and new passwords.

use lanyard_protocol::login::Renew;
use lanyard_protocol::time::DAY_MS;

use super::*;
use crate::policy::sanctions as sanctioning;
use crate::store::{audit, devices};

const WEEK: u64 = 7 * DAY_MS;

impl LoginServer {
    pub(super) async fn renew(&self, account: AccountId, peer: PeerKey, now: u64) -> Reply {
        let request = Request::Renew(Renew { account });
        reply_of(
            self.office.answer(peer, "192.0.2.9:50000".parse().unwrap(), request, || at(now)).await,
        )
    }

    pub(super) async fn change(
        &self,
        old: &str,
        new: &str,
        revoke_others: bool,
        peer: PeerKey,
    ) -> Reply {
        let request = Request::ChangePassword(ChangePassword {
            username: "Alice".to_owned(),
            old: Zeroizing::new(old.to_owned()),
            new: Zeroizing::new(new.to_owned()),
            revoke_others,
        });
        reply_of(
            self.office.answer(peer, "192.0.2.1:50000".parse().unwrap(), request, || at(NOW)).await,
        )
    }

    /// Signs alice in on a device.
    pub(super) async fn alice(&self, peer: PeerKey) -> Ticket {
        self.ticket(self.try_in("alice", "alice-password", peer, NOW).await)
    }

    pub(super) async fn audit(&self) -> Vec<String> {
        let entries = self.office.store.run(|store| audit::last(store.reader(), 100));
        let all = entries.await.unwrap().into_iter();
        all.map(|entry| format!("{} {} {}", entry.who, entry.what, entry.detail)).collect()
    }
}

fn policy_of(login_server: &LoginServer, reply: &Reply) -> lanyard_protocol::policy::Policy {
    let Reply::Granted(grant) = reply else { panic!("{reply:?}") };
    SignedPolicy::verify(&grant.policy, &login_server.realm).unwrap().policy().clone()
}

#[tokio::test]
async fn r67_a_renewal_has_the_present_role_and_names() {
    let login_server = LoginServer::open();
    let old = login_server.alice(LAPTOP).await;
    let account = old.claims().account;
    login_server.act(|tx| acts::set_role(tx, "alice", Role::Moderator, NOW)).await;
    let calls = login_server.office.argon2_calls();
    let reply = login_server.renew(account, LAPTOP, NOW + DAY_MS).await;
    let policy = policy_of(&login_server, &reply);
    let new = login_server.ticket(reply);
    assert_eq!(login_server.office.argon2_calls(), calls);
    let (before, after) = (old.claims(), new.claims());
    assert_eq!((after.account, after.peer, after.device), (account, LAPTOP, before.device));
    assert_eq!((after.role, after.username.as_str()), (Role::Moderator, "alice"));
    assert_eq!(after.issued_at_s, (NOW + DAY_MS) / 1_000);
    assert_ne!(after.id, before.id);
    let is_revoked = |ticket: &Ticket| {
        policy.revocation_of(account, LAPTOP, ticket.claims().issued_at_ms()).is_some()
    };
    assert!(is_revoked(&old) && !is_revoked(&new));
    assert_eq!(login_server.audit().await.last().unwrap(), "alice renew device 1");
}

#[tokio::test]
async fn r67_a_ticket_can_be_renewed_for_thirty_days() {
    let login_server = LoginServer::open();
    let ticket = login_server.alice(LAPTOP).await;
    let (account, end) = (ticket.claims().account, ticket.claims().expires_at_ms());
    assert_eq!(end / 1_000, (NOW + WEEK) / 1_000);
    let late = login_server.renew(account, LAPTOP, end + 30 * DAY_MS + 1).await;
    assert_eq!(code(&late), Some(DenialCode::BadCredentials));
    login_server.ticket(login_server.renew(account, LAPTOP, end + 30 * DAY_MS).await);
}

#[tokio::test]
async fn r67_strangers_and_logged_out_devices_need_a_password() {
    let login_server = LoginServer::open();
    let account = login_server.alice(LAPTOP).await.claims().account;
    let unknown = login_server.renew(AccountId([0; 16]), LAPTOP, NOW).await;
    let stranger = login_server.renew(account, PHONE, NOW).await;
    assert_eq!(code(&stranger), Some(DenialCode::BadCredentials));
    assert_eq!(unknown.to_bytes(), stranger.to_bytes());
    let entries = login_server.audit().await;
    login_server.act(|tx| crate::accounts::devices::log_out(tx, "alice", 1, NOW)).await;
    let out = login_server.renew(account, LAPTOP, NOW + 5_000).await;
    assert_eq!(out.to_bytes(), stranger.to_bytes());
    assert_eq!(login_server.audit().await.len(), entries.len() + 1, "only the operator's act");
    login_server.alice(LAPTOP).await;
    login_server.ticket(login_server.renew(account, LAPTOP, NOW + 5_000).await);
}

#[tokio::test]
async fn r67_disabled_and_banned_accounts_cannot_renew() {
    let login_server = LoginServer::open();
    let account = login_server.alice(LAPTOP).await.claims().account;
    login_server.act(|tx| sanctioning::ban(tx, "alice", 0, "spam", NOW)).await;
    let Reply::Denied(denial) = login_server.renew(account, LAPTOP, NOW).await else {
        panic!("granted")
    };
    assert_eq!((denial.code, denial.reason.as_str()), (DenialCode::Banned, "spam"));
    login_server.act(|tx| sanctioning::lift(tx, "alice", sanctioning::Lifting::Ban, NOW)).await;
    login_server.act(|tx| acts::set_state(tx, "alice", State::Disabled, NOW)).await;
    assert_eq!(code(&login_server.renew(account, LAPTOP, NOW).await), Some(DenialCode::Disabled));
    login_server.act(|tx| acts::set_state(tx, "alice", State::Enabled, NOW)).await;
    login_server.ticket(login_server.renew(account, LAPTOP, NOW).await);
}

#[tokio::test]
async fn a_new_password_that_revokes_ends_renewals() {
    let login_server = LoginServer::open();
    let account = login_server.alice(LAPTOP).await.claims().account;
    login_server.act(|tx| acts::set_password(tx, "alice", "phc", acts::Tickets::Keep, NOW)).await;
    login_server.ticket(login_server.renew(account, LAPTOP, NOW).await);
    login_server.act(|tx| acts::set_password(tx, "alice", "phc", acts::Tickets::Revoke, NOW)).await;
    let reply = login_server.renew(account, LAPTOP, NOW + 5_000).await;
    assert_eq!(code(&reply), Some(DenialCode::BadCredentials));
}

#[tokio::test]
async fn r68_a_new_password_leaves_the_other_devices_alone() {
    let login_server = LoginServer::open();
    let account = login_server.alice(PHONE).await.claims().account;
    let reply = login_server.change("alice-password", "another one", false, LAPTOP).await;
    assert!(policy_of(&login_server, &reply).sanctions.is_empty());
    assert_eq!(login_server.ticket(reply).claims().device, 2);
    let old = login_server.try_in("alice", "alice-password", LAPTOP, NOW).await;
    assert_eq!(code(&old), Some(DenialCode::BadCredentials));
    login_server.ticket(login_server.try_in("alice", "another one", LAPTOP, NOW).await);
    login_server.ticket(login_server.renew(account, PHONE, NOW).await);
    assert!(login_server.audit().await.contains(&"alice password device 2".to_owned()));
}

#[tokio::test]
async fn r68_a_new_password_logs_others_out_on_request() {
    let login_server = LoginServer::open();
    let (own, other) = (login_server.alice(LAPTOP).await, login_server.alice(PHONE).await);
    let account = own.claims().account;
    let reply = login_server.change("alice-password", "another one", true, LAPTOP).await;
    let policy = policy_of(&login_server, &reply);
    let is_revoked = |ticket: &Ticket| {
        let claims = ticket.claims();
        policy.revocation_of(account, claims.peer, claims.issued_at_ms()).is_some()
    };
    assert!(is_revoked(&other) && !is_revoked(&own) && !is_revoked(&login_server.ticket(reply)));
    assert_eq!(policy.sanctions[0].by, "alice");
    let phone = login_server.renew(account, PHONE, NOW + 5_000).await;
    assert_eq!(code(&phone), Some(DenialCode::BadCredentials));
    login_server.ticket(login_server.renew(account, LAPTOP, NOW + 5_000).await);
}

#[tokio::test]
async fn r68_a_wrong_old_password_counts_as_a_failed_login() {
    let login_server = LoginServer::open();
    for _ in 0..5 {
        let reply = login_server.change("guess", "mine", true, PHONE).await;
        assert_eq!(code(&reply), Some(DenialCode::BadCredentials));
    }
    let locked = login_server.change("alice-password", "mine", true, PHONE).await;
    assert_eq!(code(&locked), Some(DenialCode::Locked));
    let login = login_server.try_in("alice", "alice-password", PHONE, NOW).await;
    assert_eq!(code(&login), Some(DenialCode::Locked), "one throttle for both");
    login_server.ticket(login_server.try_in("alice", "alice-password", PHONE, NOW + 30_000).await);
    login_server.act(|tx| sanctioning::ban(tx, "alice", 0, "", NOW)).await;
    let banned = login_server.change("alice-password", "mine", true, PHONE).await;
    assert_eq!(code(&banned), Some(DenialCode::Banned));
    login_server.act(|tx| sanctioning::lift(tx, "alice", sanctioning::Lifting::Ban, NOW)).await;
    login_server.ticket(login_server.try_in("alice", "alice-password", PHONE, NOW + 30_000).await);
}

#[tokio::test]
async fn r68_an_owner_cannot_fill_the_policy_with_revocations() {
    let login_server = LoginServer::open();
    let mut password = "alice-password".to_owned();
    let mut rounds = 0_u8;
    let denial = loop {
        let other = PeerKey([100 + rounds; 32]);
        login_server.ticket(login_server.try_in("alice", &password, other, NOW).await);
        let new = format!("password {rounds}");
        match login_server.change(&password, &new, true, LAPTOP).await {
            Reply::Granted(_) => password = new,
            Reply::Denied(denial) => break denial,
        }
        rounds += 1;
        assert!(rounds < 50, "there is no limit");
    };
    assert_eq!((denial.code, rounds), (DenialCode::Locked, 16));
    assert!(denial.retry_after_s.is_some_and(|wait| (1..=86_400).contains(&wait)));
    login_server.ticket(login_server.try_in("alice", &password, LAPTOP, NOW).await);
    login_server.ticket(login_server.change(&password, "without revocations", false, LAPTOP).await);
}

#[tokio::test]
async fn r68_many_devices_are_revoked_at_once() {
    let login_server = LoginServer::open();
    let tickets = {
        let mut tickets = Vec::new();
        for n in 0..9 {
            tickets.push(login_server.alice(PeerKey([100 + n; 32])).await);
        }
        tickets
    };
    let account = tickets[0].claims().account;
    let reply = login_server.change("alice-password", "another one", true, LAPTOP).await;
    let policy = policy_of(&login_server, &reply);
    assert_eq!(policy.sanctions.len(), 1);
    let is_revoked = |ticket: &Ticket| {
        let claims = ticket.claims();
        policy.revocation_of(account, claims.peer, claims.issued_at_ms()).is_some()
    };
    assert!(tickets.iter().all(is_revoked) && !is_revoked(&login_server.ticket(reply)));
    let store = login_server.office.store.clone();
    let rows = store.run(move |store| devices::list(store.reader(), account)).await.unwrap();
    assert_eq!(rows.iter().filter(|row| !row.logged_out).count(), 1);
}
