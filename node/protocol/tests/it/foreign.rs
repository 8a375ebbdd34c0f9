//! A ticket as any CWT library sees it: decoded without this crate, with the numbers of the RFCs.

use coset::cbor::value::Value;
use coset::{AsCborValue as _, CborSerializable as _, TaggedCborSerializable as _, iana};
use ed25519_dalek::{Signature, VerifyingKey};
use lanyard_protocol::cose::{self, Kind};
use lanyard_protocol::testing::{T0, WEEK_S};
use lanyard_protocol::ticket::Ticket;

use crate::objects::{self, golden};

/// The golden ticket with changed claims, signed again by the realm.
fn reissued(change: impl FnOnce(&mut Vec<(Value, Value)>)) -> Vec<u8> {
    let mut claims = Value::from_slice(sign1().payload.as_deref().unwrap()).unwrap();
    change(claims.as_map_mut().unwrap());
    cose::sign(Kind::Ticket, &objects::realm(), &claims.to_vec().unwrap())
}

#[test]
fn r24_unknown_claims_are_ignored_and_missing_ones_refused() {
    let realm = objects::realm_key();
    let more = reissued(|claims| claims.push((Value::Text("colour".into()), Value::from(7))));
    assert_eq!(Ticket::verify(&more, &realm).unwrap().claims(), &objects::claims());
    for index in 0..12 {
        let fewer = reissued(|claims| drop(claims.remove(index)));
        assert!(Ticket::verify(&fewer, &realm).is_err(), "claim {index}");
    }
}

#[test]
fn r22_impossible_times_are_refused_even_if_signed() {
    let realm = objects::realm_key();
    // The order is iss, sub, exp, nbf, iat: R-20.
    for (index, name) in [(2, "exp"), (3, "nbf"), (4, "iat")] {
        for time in [Value::from(-1), Value::from(1.5), Value::from(1u64 << 60), Value::from(5)] {
            let ticket = reissued(|claims| claims[index].1 = time.clone());
            assert!(Ticket::verify(&ticket, &realm).is_err(), "{name} {time:?}");
        }
    }
}

/// The value under an integer key of a CBOR map.
fn at(map: &Value, key: i64) -> &Value {
    let wanted = Value::Integer(key.into());
    let entries = map.as_map().unwrap();
    &entries.iter().find(|(name, _value)| *name == wanted).unwrap().1
}

fn text_at<'a>(map: &'a Value, key: &str) -> &'a Value {
    let wanted = Value::Text(key.to_owned());
    let entries = map.as_map().unwrap();
    &entries.iter().find(|(name, _value)| *name == wanted).unwrap().1
}

fn seconds(claims: &Value, key: i64) -> u64 {
    u64::try_from(at(claims, key).as_integer().unwrap()).unwrap()
}

/// The Ed25519 key of a PeerId, which follows a prefix of six bytes.
fn key_of(peer_id: &str) -> VerifyingKey {
    let bytes = bs58::decode(peer_id).into_vec().unwrap();
    assert_eq!(bytes[..6], [0x00, 0x24, 0x08, 0x01, 0x12, 0x20]);
    VerifyingKey::from_bytes(bytes[6..].try_into().unwrap()).unwrap()
}

fn sign1() -> coset::CoseSign1 {
    coset::CoseSign1::from_tagged_slice(&golden("ticket")).unwrap()
}

#[test]
fn r10_a_foreign_library_verifies_the_ticket_by_its_issuer() {
    let sign1 = sign1();
    let claims = Value::from_slice(sign1.payload.as_deref().unwrap()).unwrap();
    let issuer = key_of(at(&claims, 1).as_text().unwrap());
    let verify = |signature: &[u8], data: &[u8]| {
        issuer.verify_strict(data, &Signature::from_slice(signature).unwrap())
    };
    assert!(sign1.verify_signature(&[], verify).is_ok());
    assert!(sign1.verify_signature(b"external", verify).is_err(), "no external data is signed");
}

#[test]
fn r11_the_protected_header_says_algorithm_and_type() {
    let header = sign1().protected.header;
    let algorithm = coset::RegisteredLabelWithPrivate::Assigned(iana::Algorithm::EdDSA);
    assert_eq!(header.alg, Some(algorithm));
    let typ = (coset::Label::Int(16), Value::Text("application/lanyard-ticket+cwt".into()));
    assert_eq!(header.rest, [typ]);
    assert!(sign1().unprotected.is_empty());
}

#[test]
fn r20_the_claims_stand_under_their_registered_numbers() {
    let claims = Value::from_slice(sign1().payload.as_deref().unwrap()).unwrap();
    let expected = objects::claims();
    assert_eq!(at(&claims, 1).as_text(), Some(expected.realm.peer_id().as_str()));
    assert_eq!(at(&claims, 2).as_text(), Some(hex::encode(expected.account.0).as_str()));
    assert_eq!(seconds(&claims, 4), T0 / 1_000 + WEEK_S);
    assert_eq!(seconds(&claims, 5), T0 / 1_000 - 300);
    assert_eq!(seconds(&claims, 6), T0 / 1_000);
    assert_eq!(at(&claims, 7).as_bytes().map(Vec::as_slice), Some(&[1; 16][..]));
    assert_eq!(text_at(&claims, "username").as_text(), Some("alice"));
    assert_eq!(text_at(&claims, "nickname").as_text(), Some("Alice 🦊"));
    assert_eq!(text_at(&claims, "role").as_text(), Some("member"));
}

#[test]
fn r23_the_confirmation_is_a_cose_key() {
    let claims = Value::from_slice(sign1().payload.as_deref().unwrap()).unwrap();
    let confirmation = at(at(&claims, 8), 1).clone();
    let key = coset::CoseKey::from_cbor_value(confirmation).unwrap();
    assert_eq!(key.kty, coset::KeyType::Assigned(iana::KeyType::OKP));
    // RFC 9053 §7.1: Ed25519 is curve 6.
    let curve = Value::from(6);
    let x = Value::Bytes(objects::alice().verifying_key().to_bytes().to_vec());
    assert_eq!(key.params, [(coset::Label::Int(-1), curve), (coset::Label::Int(-2), x)]);
}
