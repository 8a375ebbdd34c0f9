//! COSE_Sign1 in its one canonical encoding (RFC 9052 §4.2; PROTOCOL.md ).
//!
//! A signature covers the protected header and the payload, not the bytes around them. If the outer array had two valid
//! encodings, one signed message could travel in two envelopes, under two gossip ids. The parser therefore accepts
//! exactly one: `84`, protected, `a0`, payload, `58 40` and 64 bytes.

use std::sync::LazyLock;

use coset::{CborSerializable as _, HeaderBuilder, SignatureContext, iana, sig_structure_data};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::ids::PeerKey;
use crate::limits::PROTECTED_BYTES_MAX;
use crate::wire::{DecodeError, push_byte_string, take_byte_string};

/// The header label of `typ` (RFC 9596).
const TYP: i64 = 16;
/// The tag of COSE_Sign1. Only tickets carry it, because CWTs do.
const SIGN1_TAG: u8 = 0xd2;
const ARRAY_OF_FOUR: u8 = 0x84;
const EMPTY_MAP: u8 = 0xa0;

/// The kinds of signed objects. The protected `typ` prevents a signature over one kind from being used for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A membership ticket, a CWT.
    Ticket,
    /// The realm's limits, rooms and sanctions.
    Policy,
    /// The number and hash of a policy, small enough for gossip.
    PolicyHead,
    /// A chat message.
    Message,
    /// A peer's "I am here, at these addresses".
    Presence,
    /// A moderator's ban, mute or lift.
    Moderation,
    /// What seals a backup of the login node; it never travels.
    Backup,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Ticket,
        Self::Policy,
        Self::PolicyHead,
        Self::Message,
        Self::Presence,
        Self::Moderation,
        Self::Backup,
    ];

    /// The value of the protected `typ` header.
    #[must_use]
    pub fn typ(self) -> &'static str {
        match self {
            Self::Ticket => "application/lanyard-ticket+cwt",
            Self::Policy => "application/lanyard-policy+cose",
            Self::PolicyHead => "application/lanyard-policy-head+cose",
            Self::Message => "application/lanyard-message+cose",
            Self::Presence => "application/lanyard-presence+cose",
            Self::Moderation => "application/lanyard-order+cose",
            Self::Backup => "application/lanyard-backup+cose",
        }
    }

    /// The only valid protected header of this kind: `{1: -8 (EdDSA), 16: typ}`.
    fn protected(self) -> &'static [u8] {
        static HEADERS: LazyLock<[(Kind, Vec<u8>); 7]> =
            LazyLock::new(|| Kind::ALL.map(|kind| (kind, kind.encode_protected())));
        HEADERS.iter().find(|(kind, _bytes)| *kind == self).map_or(&[], |(_kind, bytes)| bytes)
    }

    fn encode_protected(self) -> Vec<u8> {
        let header = HeaderBuilder::new()
            .algorithm(iana::Algorithm::EdDSA)
            .value(TYP, self.typ().into())
            .build();
        // Encoding two small values cannot fail, and an empty header would match no envelope.
        header.to_vec().unwrap_or_default()
    }
}

/// A parsed COSE_Sign1. Nothing in it is verified yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The kind it claims to be, or `None` for a `typ` of a later version.
    pub kind: Option<Kind>,
    /// The content that the signature covers.
    pub payload: &'a [u8],
    protected: &'a [u8],
    signature: &'a [u8; 64],
}

/// This key did not sign these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid")]
pub struct BadSignature;

impl<'a> Envelope<'a> {
    /// Parses an envelope of at most `max` bytes.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the canonical encoding.
    pub fn parse(bytes: &'a [u8], max: usize) -> Result<Self, DecodeError> {
        if bytes.len() > max {
            return Err(DecodeError::TooLong { max });
        }
        let (tagged, array) = match bytes.strip_prefix(&[SIGN1_TAG]) {
            Some(array) => (true, array),
            None => (false, bytes),
        };
        let rest = array.strip_prefix(&[ARRAY_OF_FOUR]).ok_or(DecodeError::Malformed)?;
        let (protected, rest) = take_byte_string(rest)?;
        let rest = rest.strip_prefix(&[EMPTY_MAP]).ok_or(DecodeError::NotCanonical)?;
        let (payload, rest) = take_byte_string(rest)?;
        let (signature, rest) = take_byte_string(rest)?;
        let signature = signature.try_into().map_err(|_not_64| DecodeError::Malformed)?;
        if !rest.is_empty() {
            return Err(DecodeError::Malformed);
        }
        let kind = kind_of(protected)?;
        if kind.is_some() && tagged != (kind == Some(Kind::Ticket)) {
            return Err(DecodeError::NotCanonical);
        }
        Ok(Self { kind, payload, protected, signature })
    }

    /// The bytes that the signature covers: `["Signature1", protected, h'', payload]` (RFC 9052 §4.4).
    #[must_use]
    pub fn to_be_signed(self) -> Vec<u8> {
        to_be_signed(self.protected, self.payload)
    }

    /// Checks the signature with `verify_strict`, because a weak key can have a signature that fits any message.
    ///
    /// # Errors
    /// [`BadSignature`], also if `key` is not a point of the curve.
    pub fn verify(&self, key: &PeerKey) -> Result<(), BadSignature> {
        let key = VerifyingKey::from_bytes(&key.0).map_err(|_no_point| BadSignature)?;
        self.verify_over(&self.to_be_signed(), &key)
    }

    /// [`Self::verify`] for callers that already have the signed bytes and the decoded key.
    ///
    /// # Errors
    /// [`BadSignature`] if the key did not sign these bytes.
    pub fn verify_over(&self, to_be_signed: &[u8], key: &VerifyingKey) -> Result<(), BadSignature> {
        let signature = Signature::from_bytes(self.signature);
        key.verify_strict(to_be_signed, &signature).map_err(|_dalek_says_no_more| BadSignature)
    }
}

/// Signs a payload and returns the exact bytes to store and send.
#[must_use]
pub fn sign(kind: Kind, key: &SigningKey, payload: &[u8]) -> Vec<u8> {
    let protected = kind.protected();
    let signature = key.sign(&to_be_signed(protected, payload));
    let mut out = Vec::with_capacity(protected.len() + payload.len() + 80);
    if kind == Kind::Ticket {
        out.push(SIGN1_TAG);
    }
    out.push(ARRAY_OF_FOUR);
    push_byte_string(&mut out, protected);
    out.push(EMPTY_MAP);
    push_byte_string(&mut out, payload);
    push_byte_string(&mut out, &signature.to_bytes());
    out
}

/// The public half of a key.
#[must_use]
pub fn public_key(key: &SigningKey) -> PeerKey {
    PeerKey(key.verifying_key().to_bytes())
}

fn to_be_signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let protected = coset::ProtectedHeader {
        original_data: Some(protected.to_vec()),
        header: coset::Header::default(),
    };
    sig_structure_data(SignatureContext::CoseSign1, protected, None, &[], payload)
}

/// The kind that a protected header names, or `None` for a `typ` of a later version.
fn kind_of(protected: &[u8]) -> Result<Option<Kind>, DecodeError> {
    if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.protected() == protected) {
        return Ok(Some(kind));
    }
    // Headers can hold countersignatures that hold headers, and `coset` recurses into each. A short header cannot nest
    // deep enough to exhaust the stack.
    if protected.len() > PROTECTED_BYTES_MAX {
        return Err(DecodeError::TooLong { max: PROTECTED_BYTES_MAX });
    }
    let header = coset::Header::from_slice(protected).map_err(|_any| DecodeError::Malformed)?;
    let typ = header.rest.iter().find(|(label, _value)| *label == coset::Label::Int(TYP));
    let typ = typ.and_then(|(_label, value)| value.as_text()).ok_or(DecodeError::Malformed)?;
    // A known kind with another header would be a second envelope for the same payload.
    if Kind::ALL.into_iter().any(|kind| kind.typ() == typ) {
        return Err(DecodeError::NotCanonical);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[3; 32])
    }

    #[test]
    fn a_signed_object_verifies() {
        for kind in Kind::ALL {
            let bytes = sign(kind, &key(), b"payload");
            let envelope = Envelope::parse(&bytes, 999).unwrap();
            assert_eq!(envelope.kind, Some(kind));
            assert_eq!(envelope.verify(&public_key(&key())), Ok(()));
            assert_eq!(envelope.verify(&PeerKey([0; 32])), Err(BadSignature));
        }
    }

    #[test]
    fn coset_reads_what_we_write() {
        use coset::TaggedCborSerializable as _;
        let bytes = sign(Kind::Ticket, &key(), b"payload");
        let parsed = coset::CoseSign1::from_tagged_slice(&bytes).unwrap();
        let verifying = key().verifying_key();
        parsed
            .verify_signature(&[], |signature, data| {
                verifying.verify_strict(data, &Signature::from_slice(signature).unwrap())
            })
            .unwrap();
    }

    #[test]
    fn other_encodings_of_the_same_signature_are_refused() {
        let bytes = sign(Kind::Message, &key(), b"payload");
        let mut tagged = vec![SIGN1_TAG];
        tagged.extend_from_slice(&bytes);
        assert_eq!(Envelope::parse(&tagged, 999), Err(DecodeError::NotCanonical));
        let mut trailing = bytes.clone();
        trailing.push(0);
        assert_eq!(Envelope::parse(&trailing, 999), Err(DecodeError::Malformed));
        let ticket = sign(Kind::Ticket, &key(), b"payload");
        assert_eq!(Envelope::parse(&ticket[1..], 999), Err(DecodeError::NotCanonical));
        assert_eq!(Envelope::parse(&bytes, 9), Err(DecodeError::TooLong { max: 9 }));
    }

    /// Nested countersignatures (label 7 of RFC 9052), eight bytes per level.
    fn nested(levels: usize) -> Vec<u8> {
        (0..levels).fold(vec![EMPTY_MAP], |inner, _level| {
            let mut header = vec![0xa1, 7, 0x83];
            push_byte_string(&mut header, &inner);
            header.extend_from_slice(&[EMPTY_MAP, 0x40]);
            header
        })
    }

    #[test]
    fn r11_nested_headers_do_not_exhaust_the_stack() {
        for levels in [1, 15, 100, 10_000, 25_000] {
            let mut bytes = vec![ARRAY_OF_FOUR];
            push_byte_string(&mut bytes, &nested(levels));
            bytes.push(EMPTY_MAP);
            push_byte_string(&mut bytes, b"x");
            push_byte_string(&mut bytes, &[0; 64]);
            let parse = move || Envelope::parse(&bytes, 1_048_576).map(|envelope| envelope.kind);
            // Less than any of our threads has.
            let thread = std::thread::Builder::new().stack_size(512 * 1_024).spawn(parse).unwrap();
            assert!(thread.join().unwrap().is_err(), "{levels} levels");
        }
    }

    #[test]
    fn a_later_kind_is_told_apart_from_garbage() {
        let header = HeaderBuilder::new()
            .algorithm(iana::Algorithm::EdDSA)
            .value(TYP, "application/lanyard-poll+cose".into())
            .build()
            .to_vec()
            .unwrap();
        let mut bytes = vec![ARRAY_OF_FOUR];
        push_byte_string(&mut bytes, &header);
        bytes.push(EMPTY_MAP);
        push_byte_string(&mut bytes, b"x");
        push_byte_string(&mut bytes, &[0; 64]);
        assert_eq!(Envelope::parse(&bytes, 999).unwrap().kind, None);
    }
}
