//! The requests about the owner's devices over the wire, to the real program.

use lanyard_protocol::ids::AccountId;
use lanyard_protocol::login::{
    DeviceInfo, DevicesReply, LOGIN_PROTOCOL, ListDevices, LogOutDevice, Reply, Request,
};
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::{Claims, Ticket};
use serde_json::json;

use crate::harness::{Realm, Serving};
use crate::login::{Peer, realm_of};

async fn signed_in(peer: &mut Peer, serving: &Serving) -> Claims {
    let Reply::Granted(grant) = peer.login(serving, "alice", "alice-password").await else {
        panic!("denied");
    };
    let link: lanyard_protocol::link::JoinLink = serving.link().parse().unwrap();
    Ticket::verify(&grant.ticket, &link.realm).unwrap().claims().clone()
}

async fn ask(peer: &mut Peer, serving: &Serving, request: Request) -> DevicesReply {
    let bytes = peer.ask(realm_of(serving), request.to_bytes().to_vec()).await.unwrap();
    DevicesReply::parse(&bytes).unwrap()
}

async fn list(peer: &mut Peer, serving: &Serving, account: AccountId) -> Vec<DeviceInfo> {
    match ask(peer, serving, Request::ListDevices(ListDevices { account })).await {
        DevicesReply::Devices(devices) => devices,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn r75_everybody_learns_of_a_device_logged_out() {
    let realm = Realm::fresh();
    let mut serving = realm.serve();
    realm.add("alice");
    let (mut laptop, mut phone) = (Peer::new(LOGIN_PROTOCOL), Peer::new(LOGIN_PROTOCOL));
    let own = signed_in(&mut laptop, &serving).await;
    let other = signed_in(&mut phone, &serving).await;
    let account = own.account;
    let devices = list(&mut laptop, &serving, account).await;
    let keys: Vec<_> = devices.iter().map(|device| device.peer).collect();
    assert_eq!(keys, [laptop.key, phone.key]);
    assert_eq!((devices[1].device, devices[1].label.as_str()), (other.device, "test laptop"));
    assert_eq!(devices[1].expires_at, other.expires_at_ms());

    let before = realm.json(&["status"]).object()["policy"].as_u64();
    let out = Request::LogOutDevice(LogOutDevice { account, device: other.device });
    let reply = ask(&mut laptop, &serving, out).await;
    assert!(matches!(&reply, DevicesReply::Devices(rows) if rows[1].logged_out), "{reply:?}");
    let number = realm.json(&["status"]).object()["policy"].as_u64();
    assert!(number > before, "signed before the answer");
    let asked = ask(&mut phone, &serving, Request::ListDevices(ListDevices { account })).await;
    assert!(matches!(asked, DevicesReply::Denied(_)), "{asked:?}");
    let none = Request::LogOutDevice(LogOutDevice { account, device: 9 });
    assert_eq!(ask(&mut laptop, &serving, none).await, DevicesReply::NoSuchDevice(9));
    assert_eq!(realm.json(&["device", "logout", "alice", "2"]).error(), "not-found");
    let log = realm.json(&["audit", "--last", "1"]).object();
    assert_eq!((&log["who"], &log["what"]), (&json!("alice"), &json!("device-logout")));

    let Reply::Granted(grant) = phone.login(&serving, "alice", "alice-password").await else {
        panic!("the password does not bring it back");
    };
    let link: lanyard_protocol::link::JoinLink = serving.link().parse().unwrap();
    let policy = SignedPolicy::verify(&grant.policy, &link.realm).unwrap();
    let is_revoked = |claims: &Claims| {
        policy.policy().revocation_of(claims.account, claims.peer, claims.issued_at_ms()).is_some()
    };
    assert!(is_revoked(&other) && !is_revoked(&own));
    let told = serving.wait_for_log(&format!("in force number={}", number.unwrap()));
    assert!(told, "the authority peer was not told of the policy that the login server signed");
}
