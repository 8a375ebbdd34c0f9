//! Every object has exactly the bytes of its golden file, and is read back from it.
//!
//! `UPDATE_GOLDEN=1 cargo test -p lanyard-protocol --test it r13` rewrites the files. A difference in them is a change
//! of the wire format, which peers of the previous version do not understand.

use std::sync::Arc;

use lanyard_protocol::cose::public_key;
use lanyard_protocol::hello::{HEAD_LEN, Hello, Verdict, VerdictCode, parse_head};
use lanyard_protocol::history::History;
use lanyard_protocol::login::{Reply, Request};
use lanyard_protocol::message::{Arrival, SignedMessage};
use lanyard_protocol::policy::{PolicyHead, SignedPolicy};
use lanyard_protocol::presence::SignedPresence;
use lanyard_protocol::testing;
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::verdict::Refused;

use crate::objects::{self, golden, realm_key};

fn hex_file(comment: &str, bytes: &[u8]) -> String {
    let lines: Vec<String> = bytes.chunks(32).map(hex::encode).collect();
    format!("# {comment}\n{}\n", lines.join("\n"))
}

#[test]
fn r13_every_object_has_exactly_its_golden_bytes() {
    for (name, comment, bytes) in objects::all() {
        let file = std::fs::read_to_string(objects::golden_path(name)).unwrap_or_default();
        let fresh = hex_file(comment, &bytes);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(objects::golden_path(name), fresh).unwrap();
        } else {
            assert_eq!(file, fresh, "{name}");
        }
    }
}

#[test]
fn r20_the_golden_ticket_says_what_was_issued() {
    let ticket = Ticket::verify(&golden("ticket"), &realm_key()).unwrap();
    assert_eq!(*ticket.claims(), objects::claims());
}

#[test]
fn r50_the_golden_policy_says_what_was_signed() {
    let signed = SignedPolicy::verify(&golden("policy"), &realm_key()).unwrap();
    assert_eq!(*signed.policy(), objects::policy());
}

#[test]
fn r55_the_golden_head_names_the_golden_policy() {
    use sha2::Digest as _;
    let head = PolicyHead::verify(&golden("policy-head"), &realm_key()).unwrap();
    let document = golden("policy");
    assert_eq!(head.realm, realm_key());
    assert_eq!(head.number, objects::policy().number);
    assert_eq!(head.sha256, <[u8; 32]>::from(sha2::Sha256::digest(&document)));
    assert_eq!(head.length, document.len() as u64);
}

#[test]
fn r40_the_golden_message_passes_all_stages() {
    let bytes = golden("message");
    let signed = SignedMessage::parse(&bytes).unwrap();
    let ticket = Ticket::verify(signed.ticket_bytes(), &realm_key()).unwrap();
    let verified = signed.verify(Arc::new(ticket)).unwrap();
    assert_eq!(verified.check_arrival(Arrival::Gossip, testing::T0), Ok(()));
    let mut history = History::new(Arc::new(objects::policy()));
    let taken = history.take(verified).unwrap();
    assert_eq!(taken.message, objects::message());
}

#[test]
fn r40_the_id_is_the_hash_of_domain_and_signed_bytes() {
    use coset::CborSerializable as _;
    use sha2::Digest as _;
    let message = objects::message();
    let sign1 = coset::CoseSign1::from_slice(message.as_bytes()).unwrap();
    let mut hasher = sha2::Sha256::new();
    hasher.update(b"lanyard-message-1");
    hasher.update(sign1.tbs_data(&[]));
    assert_eq!(message.id().0, <[u8; 32]>::from(hasher.finalize()));
}

#[test]
fn r70_the_golden_presence_says_what_was_signed() {
    let ticket_of =
        |bytes: &[u8]| Ticket::verify(bytes, &realm_key()).map(Arc::new).map_err(Refused::Ticket);
    let signed = SignedPresence::verify(&golden("presence"), ticket_of).unwrap();
    assert_eq!(signed, objects::presence());
    assert_eq!(signed.ticket.claims().peer, public_key(&objects::alice()));
}

fn body(name: &str) -> Vec<u8> {
    let frame = golden(name);
    let (head, body) = frame.split_at(HEAD_LEN);
    assert_eq!(parse_head(head.try_into().unwrap()), Ok(body.len()));
    body.to_vec()
}

#[test]
fn r80_the_golden_frames_are_read_back() {
    assert_eq!(Hello::parse(&body("hello")), Ok(objects::hello()));
    let accepted = Verdict::plain(VerdictCode::Accepted);
    assert_eq!(Verdict::parse(&body("verdict-accepted")), Ok(accepted));
    assert_eq!(Verdict::parse(&body("verdict-superseded")), Ok(objects::superseded()));
}

#[test]
fn r60_the_golden_login_is_read_back() {
    assert_eq!(Request::parse(&golden("login-request")), Ok(objects::login()));
    assert_eq!(Request::parse(&golden("renew-request")), Ok(objects::renewal()));
    assert_eq!(Request::parse(&golden("password-request")), Ok(objects::change_password()));
    assert_eq!(Reply::parse(&golden("login-granted")), Ok(objects::granted()));
    assert_eq!(Reply::parse(&golden("login-denied")), Ok(objects::denied()));
}
