//! What the gate says: three small frames between Noise and yamux (PROTOCOL.md ).
//!
//! A frame is `LNYD`, a version byte, a big-endian u16 length, and that many bytes of CBOR. The head is judged
//! before the body is read, so an outsider cannot make us hold more than 4 KiB.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::ids::PeerKey;
use crate::limits::GATE_FRAME_BYTES_MAX;
use crate::wire::{self, DecodeError};

/// Name of the upgrade, negotiated inside Noise.
pub const GATE_PROTOCOL: &str = "/lanyard/gate/1";
/// Length of the head of a frame.
pub const HEAD_LEN: usize = 7;
const MAGIC: &[u8; 4] = b"LNYD";
const VERSION: u8 = 1;

/// What each side shows of itself. The dialler speaks first; the listener only after accepting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The realm it believes to be in.
    pub realm: PeerKey,
    /// Its realm time, unix milliseconds. Three accounts that agree can correct a clock.
    pub time: u64,
    /// Its program start; larger is newer.
    pub boot: u64,
    /// The number of the policy it holds.
    pub policy: u64,
    /// The exact bytes of its ticket.
    #[serde(with = "serde_bytes")]
    pub ticket: Vec<u8>,
}

/// The answer to a Hello. It ends this attempt only; it proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What was decided.
    pub code: VerdictCode,
    /// For [`VerdictCode::Superseded`]: the newest presence signed by the refused key.
    pub proof: Option<Vec<u8>>,
}

/// What a gate can say. Numbers, so that a later version's code is readable as "refused".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictCode {
    /// Come in.
    Accepted,
    /// The frame or the Hello could not be read.
    Malformed,
    /// Another version of the gate.
    Version,
    /// Another realm, or a ticket of another realm.
    WrongRealm,
    /// No ticket, or one that the realm has not signed.
    BadTicket,
    /// The ticket belongs to another key than the one that Noise has proved.
    NotYours,
    /// The ticket is over.
    Expired,
    /// The ticket begins later than now: one of the clocks is off.
    NotYetValid,
    /// The account is banned.
    Banned,
    /// The ticket was withdrawn.
    Revocation,
    /// An older link of this key is being closed: try again at once.
    Busy,
    /// A newer start of this key is known.
    Superseded,
    /// Too many violations lately.
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

    /// The code of a number.
    #[must_use]
    pub fn from_number(number: u16) -> Self {
        let entry = Self::NUMBERS.iter().find(|(_code, known)| *known == number);
        entry.map_or(Self::Other(number), |(code, _number)| *code)
    }

    /// What a person is told who is refused with this.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Accepted => "it let us in",
            Self::Malformed => "it could not read our greeting",
            Self::Version => "it speaks another version of Lanyard; update one of the two",
            Self::WrongRealm => "it belongs to another realm",
            Self::BadTicket => "it does not recognise our pass; sign in again",
            Self::NotYours => "our pass belongs to another device; sign in again on this one",
            Self::Expired => "our pass has expired there; sign in again",
            Self::NotYetValid => {
                "our pass is not valid yet there; check the clocks of both computers"
            }
            Self::Banned => "it says that this account is banned",
            Self::Revocation => "it says that our pass was withdrawn; sign in again",
            Self::Busy => "it is still closing our previous link; trying again",
            Self::Superseded => "it knows a newer start of this profile",
            Self::Denied => "it does not talk to us for a while",
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
    /// [`DecodeError`] if it is no Hello.
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
    /// [`DecodeError`] if it is no verdict.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let wire: VerdictWire = wire::decode(body, GATE_FRAME_BYTES_MAX)?;
        let code = VerdictCode::from_number(wire.code);
        Ok(Self { code, proof: wire.proof.map(ByteBuf::into_vec) })
    }
}

/// The length of the body that a head announces.
///
/// # Errors
/// The verdict to answer with: not our magic, another version, or too long.
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
    // Ours are bounded by the limits; an impossible length is refused by every reader.
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
    fn r81_a_head_is_judged_before_its_body() {
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
