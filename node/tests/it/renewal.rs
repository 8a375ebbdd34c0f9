//! Passes are renewed in time and without a password; a login node that is away is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lanyard_node::store::{Membership, Reader, Store};
use lanyard_node::{LoginServerError, NodeEvent, Password, RefusalCode, SendError};
use lanyard_protocol::engine::SendRefused;
use lanyard_protocol::login::{DenialCode, DeviceInfo, DevicesReply, PeerAddresses, Request};
use lanyard_protocol::message::Draft;
use lanyard_protocol::policy::LOBBY;
use lanyard_protocol::testing::account;
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::time::RealmClock;

use crate::cast::{
    Honest, LOOPBACK, SOON, Setup, honest, in_company, now_ms, peer, policy, they_chat, within,
};
use crate::login_server::{
    OpenLoginServer, a_week_for, closed_address, denied, granted, link_to, ticket_for,
};

/// Long enough to see that nothing comes.
const QUIET: Duration = Duration::from_secs(2);

/// Somebody whose ticket was issued `ago_s` ago and lives for `life_s`.
fn with_ticket(name: &str, ago_s: u64, life_s: u64) -> Setup {
    let mut setup = Setup::of(name);
    setup.claims.issued_at_s = now_ms() / 1_000 - ago_s;
    setup.claims.expires_at_s = setup.claims.issued_at_s + life_s;
    setup
}

async fn new_ticket(honest: &mut Honest) -> u64 {
    let pass = honest.event("a new pass", |event| match event {
        NodeEvent::Renewed { expires_at } => Some(*expires_at),
        _other => None,
    });
    pass.await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_is_renewed_at_half_its_life_and_shown_to_others() {
    let _lock = in_company();
    let newer = policy(|policy| policy.number = 7);
    let login_server = OpenLoginServer::open(LOOPBACK, move |_peer, _request| {
        granted(&ticket_for("alice", now_ms() / 1_000, 7 * 86_400), &newer)
    });
    let login_server = login_server.await;
    let mut bob = honest("bob").await;
    let mut setup = with_ticket("alice", 50, 100).knowing_node(&bob);
    setup.login_server = Some(link_to(login_server.address));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let membership = Membership {
        login_name: "alice".into(),
        ticket: Ticket::issue(setup.claims.clone(), &crate::cast::key("realm")).as_bytes().to_vec(),
        authority: PeerAddresses {
            peer: peer("member"),
            addresses: vec!["/ip4/10.0.0.1/tcp/1".into()],
        },
    };
    let clock = RealmClock::restored(0, 0);
    let mut opened = Store::open(&path, &peer("realm")).unwrap();
    opened.keep_membership(&membership, setup.policy.as_bytes(), &clock).unwrap();
    drop(opened);
    setup.dir = Some(dir);
    let mut alice = setup.start().await;
    assert!(new_ticket(&mut alice).await > now_ms() + 6 * 86_400_000);
    assert_eq!(
        login_server.so_far(),
        [Request::Renew(lanyard_protocol::login::Renew { account: account("alice") })]
    );
    alice.sees("the policy that came with it", |status| status.policy == 7).await;
    they_chat(&mut alice, &mut bob, "under the new pass").await;
    let said = bob.hears("under the new pass, there").await;
    assert_eq!(said.username, "alice");
    let ticket = alice.status().ticket;
    let dir = alice.leave().await;
    let reader = Reader::open(&dir.path().join("chat.db"), &peer("realm")).unwrap();
    let kept = reader.memberships().unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].ticket, ticket, "the next start begins with it");
    assert_eq!(
        kept[0].authority.addresses,
        Vec::<String>::new(),
        "the login node has said where it is now"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ticket_is_renewed_before_half_its_life() {
    let _lock = in_company();
    let login_server = OpenLoginServer::open(LOOPBACK, |_peer, _request| a_week_for("alice")).await;
    let mut setup = with_ticket("alice", 30, 100);
    setup.login_server = Some(link_to(login_server.address));
    let mut alice = setup.start().await;
    assert!(!alice.event_until(QUIET, |event| matches!(event, NodeEvent::Renewed { .. })).await);
    assert_eq!(login_server.so_far(), []);
}

/// Says things until the ticket is over.
async fn until_expired(honest: &Honest) {
    let mut patience = tokio::time::interval(Duration::from_millis(500));
    let expired = async {
        loop {
            patience.tick().await;
            match honest.node.send(Draft::new(LOBBY, "still here")).await {
                Ok(_) | Err(SendError::Refused(SendRefused::SlowDown { .. })) => {}
                Err(error) => return error,
            }
        }
    };
    assert_eq!(within(SOON, "the end of the ticket", expired).await, SendRefused::Expired.into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_ticket_is_renewed_when_the_login_node_is_back() {
    let _lock = in_company();
    let address = closed_address();
    let mut bob = honest("bob").await;
    let mut setup = with_ticket("alice", 10, 25).knowing_node(&bob);
    setup.login_server = Some(link_to(address));
    let mut alice = setup.start().await;
    alice.linked_with(peer("bob")).await;
    they_chat(&mut alice, &mut bob, "in time").await;
    until_expired(&alice).await;
    bob.says("alice can still read").await;
    assert!(alice.stored().await.contains(&"in time, there".to_owned()), "reading goes on");
    let _login_server = OpenLoginServer::open(address, |_peer, _request| a_week_for("alice")).await;
    new_ticket(&mut alice).await;
    alice.hears("alice can still read").await;
    they_chat(&mut alice, &mut bob, "again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_return_of_the_authority_peer_prompts_a_renewal() {
    let _lock = in_company();
    let (tell, mut asked) = tokio::sync::mpsc::channel(64);
    let is_back = Arc::new(AtomicBool::new(false));
    let login_server = OpenLoginServer::open(LOOPBACK, {
        let is_back = Arc::clone(&is_back);
        move |_peer, _request| {
            // Looked at before it is told, or the answer to the first try could be that of the next.
            let is_back = is_back.load(Ordering::SeqCst);
            tell.try_send(()).ok();
            if is_back { a_week_for("alice") } else { Vec::new() }
        }
    });
    let login_server = login_server.await;
    let address = closed_address();
    // Without the return, the next try would be minutes away.
    let mut setup = with_ticket("alice", 15_000, 20_000).knowing(peer("member"), address);
    setup.login_server = Some(link_to(login_server.address));
    let mut alice = setup.start().await;
    within(SOON, "the first try", asked.recv()).await.unwrap();
    is_back.store(true, Ordering::SeqCst);
    assert!(!alice.event_until(QUIET, |event| matches!(event, NodeEvent::Renewed { .. })).await);
    let mut member = Setup::of("member").authority();
    member.listen = address;
    let _member = member.start().await;
    new_ticket(&mut alice).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_told_once_and_ends_nothing_before_its_time() {
    let _lock = in_company();
    let login_server =
        OpenLoginServer::open(LOOPBACK, |_peer, _request| denied(DenialCode::BadCredentials)).await;
    let mut setup = with_ticket("alice", 15, 20);
    setup.login_server = Some(link_to(login_server.address));
    let mut alice = setup.start().await;
    let told = |event: &NodeEvent| match event {
        NodeEvent::Notice { code: "renewal-refused", text } => Some(text.clone()),
        _other => None,
    };
    let text = alice.event("the refusal", told).await;
    assert!(text.contains("sign in with your password"), "{text}");
    alice.says("still a member").await;
    let again = alice.event_until(QUIET, |event| told(event).is_some()).await;
    assert!(!again, "once is enough");
    assert!(login_server.so_far().len() > 1, "and it was asked again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_changes_the_password_and_logs_devices_out() {
    let _lock = in_company();
    let device = DeviceInfo {
        device: 1,
        peer: peer("alice"),
        label: "laptop".into(),
        first_seen: 1,
        last_login: 2,
        expires_at: 3,
        logged_out: false,
    };
    let list = vec![device.clone()];
    let login_server = OpenLoginServer::open(LOOPBACK, move |_peer, request| match request {
        Request::ChangePassword(change) if *change.old == "old horse" => a_week_for("alice"),
        Request::ListDevices(_) => DevicesReply::Devices(list.clone()).to_bytes(),
        Request::LogOutDevice(out) => DevicesReply::NoSuchDevice(out.device).to_bytes(),
        _other => denied(DenialCode::BadCredentials),
    });
    let login_server = login_server.await;
    let mut setup = Setup::of("alice");
    setup.login_server = Some(link_to(login_server.address));
    let mut alice = setup.start().await;
    let password = |text: &str| Password::new(text.to_owned());
    let wrong = alice.node.change_password(password("no horse"), password("new"), false).await;
    let Err(LoginServerError::Refused(refusal)) = wrong else { panic!("{wrong:?}") };
    assert_eq!(refusal.code, RefusalCode::BadCredentials);
    assert!(refusal.reason.contains("old password"), "{}", refusal.reason);
    alice.node.change_password(password("old horse"), password("new"), true).await.unwrap();
    new_ticket(&mut alice).await;
    let Some(Request::ChangePassword(change)) = login_server.so_far().pop() else {
        panic!("{:?}", login_server.so_far())
    };
    assert_eq!((change.username.as_str(), change.revoke_others), ("alice", true));
    assert_eq!(alice.node.devices().await, Ok(vec![device]));
    assert_eq!(alice.node.logout_device(9).await, Err(LoginServerError::NoSuchDevice(9)));
    assert_eq!(honest("bob").await.node.devices().await, Err(LoginServerError::NoLoginServer));
}
