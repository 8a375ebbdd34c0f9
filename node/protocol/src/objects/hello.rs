//! The frames that two peers exchange at the gate, between Noise and yamux (PROTOCOL.md ).
//!
//! A frame is `LNYD`, a version byte, a big-endian u16 length, and that many bytes of CBOR. The head is checked before
//! the body is read, so an outsider cannot make us buffer more than 4 KiB.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::ids::PeerKey;
use crate::limits::GATE_FRAME_BYTES_MAX;
use crate::wire::{self, DecodeError};

/// The name of the upgrade, negotiated inside Noise.
pub const GATE_PROTOCOL: &str = "/lanyard/gate/1";
/// The length of the head of a frame.
pub const HEAD_LEN: usize = 7;
const MAGIC: &[u8; 4] = b"LNYD";
const VERSION: u8 = 1;

/// How a peer introduces itself. The dialler speaks first; the listener answers only after accepting it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The realm that the peer belongs to.
    pub realm: PeerKey,
    /// Its realm time in unix milliseconds. Three accounts that agree can correct a clock.
    pub time: u64,
    /// The number of its program start; larger is newer.
    pub boot: u64,
    /// The number of the policy it holds.
    pub policy: u64,
    /// The exact bytes of its ticket.
    #[serde(with = "serde_bytes")]
    pub ticket: Vec<u8>,
}

/// The answer to a Hello. A refusal ends this attempt, and proves nothing to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The decision of the gate.
    pub code: VerdictCode,
    /// For [`VerdictCode::Superseded`], the newest presence signed by the refused key.
    pub proof: Option<Vec<u8>>,
}

/// A decision at the gate. It travels as a number, so that a code of a later version still reads as a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictCode {
    /// The link is accepted.
    Accepted,
    /// The frame or the Hello could not be read.
    Malformed,
    /// The frame is of another version of the gate.
    Version,
    /// The Hello or the ticket is of another realm.
    WrongRealm,
    /// The ticket cannot be read, or the realm did not sign it.
    BadTicket,
    /// The ticket belongs to a key other than the one that Noise proved.
    NotYours,
    /// The ticket has expired.
    Expired,
    /// The ticket is not valid yet: one of the clocks is wrong.
    NotYetValid,
    /// The account is banned.
    Banned,
    /// The ticket was revoked.
    Revocation,
    /// An older link of this key is being closed. Retry at once.
    Busy,
    /// A newer start of the program with this key is known.
    Superseded,
    /// The peer violated the protocol too often lately.
    Denied,
    /// A code of a later version.
    Other(u16),
}

impl VerdictCode {
    /// Every code of this version with its number on the wire.
    const NUMBERS: [(Self, u16); 13] = [
        (Self::Accepted, 0),
        (Self::Malformed, 1),
        (Self::Version, 2),
        (Self::WrongRealm, 3),
        (Self::BadTicket, 4),
        (Self::NotYours, 5),
        (Self::Expired, 6),
        (Self::NotYetValid, 7),
        (Self::Banned, 8),
        (Self::Revocation, 9),
        (Self::Busy, 10),
        (Self::Superseded, 11),
        (Self::Denied, 12),
    ];

    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u16 {
        if let Self::Other(number) = self {
            return number;
        }
        let entry = Self::NUMBERS.iter().find(|(code, _number)| *code == self);
        entry.map_or(u16::MAX, |(_code, number)| *number)
    }

    /// The code with this number.
    #[must_use]
    pub fn from_number(number: u16) -> Self {
        let entry = Self::NUMBERS.iter().find(|(_code, known)| *known == number);
        entry.map_or(Self::Other(number), |(code, _number)| *code)
    }

    /// Why the other peer refused us, for people.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Accepted => "it let us in",
            Self::Malformed => "it could not read our greeting",
            Self::Version => "it speaks another version of Lanyard; update one of the two",
            Self::WrongRealm => "it belongs to another realm",
            Self::BadTicket => "it does not recognise our sign-in; sign in again",
            Self::NotYours => "our sign-in belongs to another device; sign in again on this one",
            Self::Expired => "our sign-in has expired there; sign in again",
            Self::NotYetValid => {
                "our sign-in is not valid yet there; check the clocks of both computers"
            }
            Self::Banned => "it says that this account is banned",
            Self::Revocation => "it says that we were signed out; sign in again",
            Self::Busy => "it is still closing our previous link; trying again",
            Self::Superseded => "this profile was started again elsewhere",
            Self::Denied => "it has blocked us for a while",
            Self::Other(_number) => "it refused us for a reason that this version does not know",
        }
    }
}

impl Hello {
    /// The frame on the wire.
    #[must_use]
    pub fn to_frame(&self) -> Vec<u8> {
        frame(&wire::encode(self))
    }

    /// Reads the body of a frame.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not a Hello.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        wire::decode(body, GATE_FRAME_BYTES_MAX)
    }
}

#[derive(Serialize, Deserialize)]
struct VerdictWire {
    code: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<ByteBuf>,
}

impl Verdict {
    /// A verdict without proof.
    #[must_use]
    pub fn plain(code: VerdictCode) -> Self {
        Self { code, proof: None }
    }

    /// The frame on the wire.
    #[must_use]
    pub fn to_frame(&self) -> Vec<u8> {
        let proof = self.proof.clone().map(ByteBuf::from);
        frame(&wire::encode(&VerdictWire { code: self.code.number(), proof }))
    }

    /// Reads the body of a frame.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not a verdict.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let wire: VerdictWire = wire::decode(body, GATE_FRAME_BYTES_MAX)?;
        let code = VerdictCode::from_number(wire.code);
        Ok(Self { code, proof: wire.proof.map(ByteBuf::into_vec) })
    }
}

/// The length of the body that a head announces.
///
/// # Errors
/// The verdict to answer with, if the magic or the version is wrong or the body too long.
pub fn parse_head(head: [u8; HEAD_LEN]) -> Result<usize, VerdictCode> {
    let [a, b, c, d, version, high, low] = head;
    if [a, b, c, d] != *MAGIC {
        return Err(VerdictCode::Malformed);
    }
    if version != VERSION {
        return Err(VerdictCode::Version);
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > GATE_FRAME_BYTES_MAX { Err(VerdictCode::Malformed) } else { Ok(length) }
}

fn frame(body: &[u8]) -> Vec<u8> {
    // Our bodies are within the limits, and every reader refuses a larger length.
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let mut out = Vec::with_capacity(HEAD_LEN + body.len());
    out.extend_from_slice(MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(frame: &[u8]) -> &[u8] {
        let length = parse_head(frame[..HEAD_LEN].try_into().unwrap()).unwrap();
        assert_eq!(frame.len(), HEAD_LEN + length);
        &frame[HEAD_LEN..]
    }

    #[test]
    fn r80_frames_are_read_back() {
        let hello =
            Hello { realm: PeerKey([1; 32]), time: 2, boot: 3, policy: 4, ticket: vec![5; 300] };
        assert_eq!(Hello::parse(split(&hello.to_frame())), Ok(hello));
        let verdict = Verdict { code: VerdictCode::Superseded, proof: Some(vec![6; 2_000]) };
        assert_eq!(Verdict::parse(split(&verdict.to_frame())), Ok(verdict));
    }

    #[test]
    fn r81_a_head_is_checked_before_its_body() {
        assert_eq!(parse_head(*b"GET / H"), Err(VerdictCode::Malformed));
        assert_eq!(parse_head(*b"LNYD\x02\x00\x01"), Err(VerdictCode::Version));
        assert_eq!(parse_head(*b"LNYD\x01\x10\x01"), Err(VerdictCode::Malformed));
        assert_eq!(parse_head(*b"LNYD\x01\x10\x00"), Ok(4_096));
    }

    #[test]
    fn r82_every_code_has_its_own_number() {
        for number in 0..20 {
            assert_eq!(VerdictCode::from_number(number).number(), number);
        }
        assert_eq!(VerdictCode::from_number(99), VerdictCode::Other(99));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoders_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            Hello::parse(&bytes).ok();
            Verdict::parse(&bytes).ok();
        }
    }
}
