//! Tickets: CWTs (RFC 8392) signed by the realm key and bound to a device key by `cnf` (RFC 8747).
//!
//! A ticket says that an account is in the realm, under which names and with which role. It is not secret: its bearer
//! has to prove the key in `cnf`, with the Noise handshake of a link or the signature of a message (PROTOCOL.md R-20 to
//!

use coset::cbor::value::Value;
use coset::cwt::{ClaimName, ClaimsSet, ClaimsSetBuilder, Timestamp};
use coset::{CborSerializable as _, iana};
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::cose::{self, BadSignature, Envelope, Kind};
use crate::ids::{AccountId, PeerKey, Role, TicketHash};
use crate::limits::{NAME_BYTES_MAX, NOT_BEFORE_LEEWAY_MS, TICKET_BYTES_MAX};
use crate::wire::DecodeError;

/// COSE_Key parameters of an Ed25519 public key (RFC 9053 §7.2).
const KEY_TYPE: i64 = 1;
const KEY_TYPE_OKP: i64 = 1;
const CURVE: i64 = -1;
const CURVE_ED25519: i64 = 6;
const COORDINATE_X: i64 = -2;
/// The entry of `cnf` that holds a COSE_Key (RFC 8747 §3.1).
const CNF_COSE_KEY: i64 = 1;

/// The content of a ticket. Times are whole seconds of realm time, as in any CWT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `iss`: the realm.
    pub realm: PeerKey,
    /// `sub`: the account.
    pub account: AccountId,
    /// `cti`: random, so that no two tickets are equal.
    pub id: [u8; 16],
    /// `iat`, unix seconds. Revocations compare it with their date.
    pub issued_at_s: u64,
    /// `exp`, unix seconds: the first second at which the ticket is no longer valid.
    pub expires_at_s: u64,
    /// `cnf`: the device key that the bearer has to prove.
    pub peer: PeerKey,
    /// The unique name of the account.
    pub username: String,
    /// The display name, which need not be unique.
    pub nickname: String,
    /// What the account may do.
    pub role: Role,
    /// The number of the device within the account.
    pub device: u64,
    /// The number of the policy in force when the ticket was issued.
    pub policy: u64,
}

/// Why bytes are not a ticket of this realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It is too long, or not a CWT in the canonical encoding.
    #[error("not a ticket: {0}")]
    Malformed(#[from] DecodeError),
    /// It lacks this claim, or the value is impossible.
    #[error("the claim {0} is missing or impossible")]
    Claim(&'static str),
    /// Another realm issued it.
    #[error("issued by another realm")]
    OtherRealm,
    /// The realm key did not sign it.
    #[error("not signed by the realm")]
    BadSignature,
}

/// A ticket that the realm key signed. The caller has to check its times and its bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    bytes: Vec<u8>,
    hash: TicketHash,
    claims: Claims,
    /// The bearer's key, decoded once. `None` if it is not a point of the curve.
    bearer: Option<VerifyingKey>,
}

impl Ticket {
    /// Signs the claims with the realm key.
    #[must_use]
    pub fn issue(claims: Claims, realm_key: &SigningKey) -> Self {
        let bytes = cose::sign(Kind::Ticket, realm_key, &encode_claims(&claims));
        Self::of(bytes, claims)
    }

    /// Checks that `bytes` are a ticket of `realm`, in order of the cost of the checks.
    ///
    /// # Errors
    /// [`TicketError`] if they are not; none of the content may be used then.
    pub fn verify(bytes: &[u8], realm: &PeerKey) -> Result<Self, TicketError> {
        let envelope = Envelope::parse(bytes, TICKET_BYTES_MAX)?;
        if envelope.kind != Some(Kind::Ticket) {
            return Err(TicketError::Malformed(DecodeError::Malformed));
        }
        let claims = decode_claims(envelope.payload)?;
        if claims.realm != *realm {
            return Err(TicketError::OtherRealm);
        }
        envelope.verify(realm).map_err(|_bad| TicketError::BadSignature)?;
        Ok(Self::of(bytes.to_vec(), claims))
    }

    fn of(bytes: Vec<u8>, claims: Claims) -> Self {
        let bearer = VerifyingKey::from_bytes(&claims.peer.0).ok();
        Self { hash: hash(&bytes), bytes, claims, bearer }
    }

    /// Checks the bearer's signature of an object, given the bytes that the signature covers.
    ///
    /// # Errors
    /// [`BadSignature`], also if the bearer's key is not a point of the curve.
    pub(crate) fn verify_signed(
        &self,
        object: &Envelope<'_>,
        to_be_signed: &[u8],
    ) -> Result<(), BadSignature> {
        object.verify_over(to_be_signed, self.bearer.as_ref().ok_or(BadSignature)?)
    }

    /// The exact bytes, as issued.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the exact bytes.
    #[must_use]
    pub fn hash(&self) -> TicketHash {
        self.hash
    }

    /// The content of the ticket.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

impl Claims {
    /// `nbf` in realm milliseconds: five minutes before issue, for peers whose clock is a little slow.
    #[must_use]
    pub fn not_before_ms(&self) -> u64 {
        self.issued_at_ms().saturating_sub(NOT_BEFORE_LEEWAY_MS)
    }

    /// `iat` in realm milliseconds.
    #[must_use]
    pub fn issued_at_ms(&self) -> u64 {
        self.issued_at_s.saturating_mul(1_000)
    }

    /// `exp` in realm milliseconds.
    #[must_use]
    pub fn expires_at_ms(&self) -> u64 {
        self.expires_at_s.saturating_mul(1_000)
    }

    /// Whether the ticket is valid at this realm time: in `[nbf, exp)`, without leeway.
    #[must_use]
    pub fn covers(&self, realm_ms: u64) -> bool {
        (self.not_before_ms()..self.expires_at_ms()).contains(&realm_ms)
    }
}

/// SHA-256 of the exact bytes of a ticket, by which messages refer to it.
#[must_use]
pub fn hash(bytes: &[u8]) -> TicketHash {
    TicketHash(Sha256::digest(bytes).into())
}

fn encode_claims(claims: &Claims) -> Vec<u8> {
    let int = |value: i64| Value::Integer(value.into());
    let cose_key = Value::Map(vec![
        (int(KEY_TYPE), int(KEY_TYPE_OKP)),
        (int(CURVE), int(CURVE_ED25519)),
        (int(COORDINATE_X), Value::Bytes(claims.peer.0.to_vec())),
    ]);
    let set = ClaimsSetBuilder::new()
        .issuer(claims.realm.to_string())
        .subject(claims.account.to_string())
        .expiration_time(timestamp(claims.expires_at_s))
        .not_before(timestamp(claims.not_before_ms() / 1_000))
        .issued_at(timestamp(claims.issued_at_s))
        .cwt_id(claims.id.to_vec())
        .claim(iana::CwtClaimName::Cnf, Value::Map(vec![(int(CNF_COSE_KEY), cose_key)]))
        .text_claim("username".into(), claims.username.clone().into())
        .text_claim("nickname".into(), claims.nickname.clone().into())
        .text_claim("role".into(), claims.role.as_str().into())
        .text_claim("device".into(), claims.device.into())
        .text_claim("policy".into(), claims.policy.into())
        .build();
    // A map of our own values always encodes, and no peer accepts empty bytes.
    set.to_vec().unwrap_or_default()
}

fn decode_claims(payload: &[u8]) -> Result<Claims, TicketError> {
    let set = ClaimsSet::from_slice(payload)
        .map_err(|_coset_says_little| TicketError::Malformed(DecodeError::Malformed))?;
    let issued_at_s = seconds(set.issued_at.as_ref(), "iat")?;
    let claims = Claims {
        realm: parse(set.issuer.as_deref(), "iss")?,
        account: parse(set.subject.as_deref(), "sub")?,
        id: set
            .cwt_id
            .as_deref()
            .and_then(|id| id.try_into().ok())
            .ok_or(TicketError::Claim("cti"))?,
        issued_at_s,
        expires_at_s: seconds(set.expiration_time.as_ref(), "exp")?,
        peer: confirmation_key(&set).ok_or(TicketError::Claim("cnf"))?,
        username: name(&set, "username")?,
        nickname: name(&set, "nickname")?,
        role: parse(text_claim(&set, "role").and_then(Value::as_text), "role")?,
        device: number(&set, "device")?,
        policy: number(&set, "policy")?,
    };
    let not_before_s = seconds(set.not_before.as_ref(), "nbf")?;
    if not_before_s != claims.not_before_ms() / 1_000 {
        return Err(TicketError::Claim("nbf"));
    }
    if claims.expires_at_s <= issued_at_s {
        return Err(TicketError::Claim("exp"));
    }
    Ok(claims)
}

fn timestamp(seconds: u64) -> Timestamp {
    Timestamp::WholeSeconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}

fn seconds(timestamp: Option<&Timestamp>, claim: &'static str) -> Result<u64, TicketError> {
    match timestamp {
        // Times beyond the year 9999 are nonsense, and without them no later arithmetic overflows.
        Some(Timestamp::WholeSeconds(s @ 0..=253_402_300_799)) => Ok(s.unsigned_abs()),
        _missing_or_impossible => Err(TicketError::Claim(claim)),
    }
}

fn parse<T: std::str::FromStr>(text: Option<&str>, claim: &'static str) -> Result<T, TicketError> {
    text.and_then(|text| text.parse().ok()).ok_or(TicketError::Claim(claim))
}

fn text_claim<'a>(set: &'a ClaimsSet, claim: &str) -> Option<&'a Value> {
    set.rest.iter().find_map(|(name, value)| match name {
        ClaimName::Text(text) if text == claim => Some(value),
        _other_claim => None,
    })
}

fn name(set: &ClaimsSet, claim: &'static str) -> Result<String, TicketError> {
    text_claim(set, claim)
        .and_then(Value::as_text)
        .filter(|text| !text.is_empty() && text.len() <= NAME_BYTES_MAX)
        .map(str::to_owned)
        .ok_or(TicketError::Claim(claim))
}

fn number(set: &ClaimsSet, claim: &'static str) -> Result<u64, TicketError> {
    text_claim(set, claim)
        .and_then(Value::as_integer)
        .and_then(|number| u64::try_from(number).ok())
        .ok_or(TicketError::Claim(claim))
}

fn confirmation_key(set: &ClaimsSet) -> Option<PeerKey> {
    let cnf = ClaimName::Assigned(iana::CwtClaimName::Cnf);
    let (_name, value) = set.rest.iter().find(|(name, _value)| *name == cnf)?;
    let key = map_entry(value, CNF_COSE_KEY)?;
    let is_ed25519 = map_integer(key, KEY_TYPE) == Some(KEY_TYPE_OKP)
        && map_integer(key, CURVE) == Some(CURVE_ED25519);
    let x = map_entry(key, COORDINATE_X).and_then(Value::as_bytes)?;
    is_ed25519.then(|| PeerKey::from_slice(x)).flatten()
}

fn map_entry(map: &Value, key: i64) -> Option<&Value> {
    let wanted = Value::Integer(key.into());
    map.as_map()?.iter().find(|(name, _value)| *name == wanted).map(|(_name, value)| value)
}

fn map_integer(map: &Value, key: i64) -> Option<i64> {
    i64::try_from(map_entry(map, key)?.as_integer()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    #[test]
    fn r20_a_ticket_is_bound_to_its_realm() {
        let realm = testing::key(1);
        let ticket = testing::ticket(&realm, &testing::key(2), "alice");
        let read = Ticket::verify(ticket.as_bytes(), &cose::public_key(&realm)).unwrap();
        assert_eq!(read, ticket);
        let other = cose::public_key(&testing::key(9));
        assert_eq!(Ticket::verify(ticket.as_bytes(), &other), Err(TicketError::OtherRealm));
        assert!(ticket.as_bytes().len() < 400, "{} bytes", ticket.as_bytes().len());
    }

    #[test]
    fn r21_a_self_issued_ticket_is_refused() {
        let realm = cose::public_key(&testing::key(1));
        let mut claims = testing::claims(&testing::key(1), &testing::key(2), "alice");
        claims.realm = realm;
        let forged = Ticket::issue(claims, &testing::key(2));
        assert_eq!(Ticket::verify(forged.as_bytes(), &realm), Err(TicketError::BadSignature));
    }

    #[test]
    fn r22_a_ticket_is_valid_from_five_minutes_before_its_issue() {
        let claims = testing::claims(&testing::key(1), &testing::key(2), "alice");
        assert!(!claims.covers(claims.issued_at_ms() - NOT_BEFORE_LEEWAY_MS - 1));
        assert!(claims.covers(claims.issued_at_ms() - NOT_BEFORE_LEEWAY_MS));
        assert!(claims.covers(claims.expires_at_ms() - 1));
        assert!(!claims.covers(claims.expires_at_ms()));
    }

    proptest! {
        #[test]
        fn no_flipped_bit_survives(bit in 0usize..3_000) {
            let realm = testing::key(1);
            let ticket = testing::ticket(&realm, &testing::key(2), "alice");
            let mut bytes = ticket.as_bytes().to_vec();
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Ticket::verify(&bytes, &cose::public_key(&realm)).is_err());
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let realm = cose::public_key(&testing::key(1));
            prop_assert!(Ticket::verify(&bytes, &realm).is_err());
            decode_claims(&bytes).ok();
        }
    }
}
