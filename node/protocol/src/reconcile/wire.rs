//! Requests `[op, body]` and replies `[code, body]` (PROTOCOL.md ).

use std::collections::BTreeSet;

use serde_bytes::{ByteBuf, Bytes};

use crate::ids::MessageId;
use crate::limits::{
    FRAME_BYTES_MAX, GET_IDS_MAX, HELD_RANGES_MAX, SYNC_REPLY_BYTES_MAX, SYNC_REQUEST_BYTES_MAX,
    WINDOWS_MAX,
};
use crate::wire::{self, DecodeError};

use super::bounded::AtMost;

/// The name of the stream protocol.
pub const SYNC_PROTOCOL: &str = "/lanyard/sync/1";
const OP_POLICY_GET: u16 = 1;
const OP_RECONCILE: u16 = 2;
const OP_GET: u16 = 3;
const OP_HELD: u16 = 4;
const OP_POLICY_NUMBER: u16 = 5;
const OP_PART: u16 = 6;
const OK: u16 = 0;
const UNSUPPORTED: u16 = 1;
const NOT_FOUND: u16 = 2;
const LATER: u16 = 3;
const ID_BYTES: usize = 32;

/// The sets of a realm that peers reconcile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetName {
    /// The messages that are held.
    Messages,
    /// The moderations that count, settled or not.
    Moderations,
}

impl SetName {
    fn number(self) -> u8 {
        match self {
            Self::Messages => 0,
            Self::Moderations => 1,
        }
    }

    fn from_number(number: u8) -> Result<Self, DecodeError> {
        match number {
            0 => Ok(Self::Messages),
            1 => Ok(Self::Moderations),
            _of_a_later_version => Err(DecodeError::Field("set")),
        }
    }
}

/// A span of time with the initiator's frame for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// First `sent_at` in the span, unix milliseconds.
    pub since: u64,
    /// First `sent_at` after it, unix milliseconds.
    pub until: u64,
    /// The initiator's negentropy frame.
    pub frame: Vec<u8>,
}

/// A request from one peer to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncRequest {
    /// Asks for the policy document, if its number is at least this.
    PolicyGet(u64),
    /// Asks where two sets differ; answered with a frame for each window (see [`super::answer_windows`]).
    Reconcile {
        /// The set to compare.
        set: SetName,
        /// One to five windows.
        windows: Vec<Window>,
    },
    /// Asks for the objects with these ids; answered with a [`super::Batch`].
    Get {
        /// The set that the objects belong to.
        set: SetName,
        /// One to 1,024 distinct ids, the most wanted first.
        ids: Vec<MessageId>,
    },
    /// Tells the responder what the asker holds of the responder's session. The answer is empty.
    Held {
        /// The session that the numbers belong to.
        session: u64,
        /// First and last number of each range, ascending and disjoint; at most 64.
        ranges: Vec<(u64, u64)>,
    },
    /// Tells the number of the asker's policy; answered with the responder's (see [`policy_number_reply`]).
    PolicyNumber(u64),
    /// Asks whether the link between the two may be closed, and says how many links the asker has. An empty answer
    /// means yes, [`SyncReply::Later`] means no.
    Part(u64),
    /// An operation of a later version.
    Unknown(u16),
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncReply {
    /// The body of the answer.
    Ok(Vec<u8>),
    /// This version does not know the operation.
    Unsupported,
    /// The responder does not have what was asked for.
    NotFound,
    /// The peer is busy; ask again later.
    Later,
}

impl SyncRequest {
    /// The bytes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (op, body) = match self {
            Self::PolicyGet(number) => (OP_POLICY_GET, wire::encode(number)),
            Self::Reconcile { set, windows } => {
                let windows: Vec<(u64, u64, &Bytes)> = windows
                    .iter()
                    .map(|window| (window.since, window.until, Bytes::new(&window.frame)))
                    .collect();
                (OP_RECONCILE, wire::encode(&(set.number(), windows)))
            }
            Self::Get { set, ids } => {
                let ids: Vec<u8> = ids.iter().flat_map(|id| id.0).collect();
                (OP_GET, wire::encode(&(set.number(), Bytes::new(&ids))))
            }
            Self::Held { session, ranges } => (OP_HELD, wire::encode(&(session, ranges))),
            Self::PolicyNumber(number) => (OP_POLICY_NUMBER, wire::encode(number)),
            Self::Part(links) => (OP_PART, wire::encode(links)),
            Self::Unknown(op) => (*op, Vec::new()),
        };
        wire::encode(&(op, ByteBuf::from(body)))
    }

    /// Reads a request.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not a request, or if a count or a field is out of bounds.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (op, body): (u16, ByteBuf) = wire::decode(bytes, SYNC_REQUEST_BYTES_MAX)?;
        match op {
            OP_POLICY_GET => Ok(Self::PolicyGet(wire::decode(&body, SYNC_REQUEST_BYTES_MAX)?)),
            OP_RECONCILE => parse_reconcile(&body),
            OP_GET => parse_get(&body),
            OP_HELD => parse_held(&body),
            OP_POLICY_NUMBER => {
                Ok(Self::PolicyNumber(wire::decode(&body, SYNC_REQUEST_BYTES_MAX)?))
            }
            OP_PART => Ok(Self::Part(wire::decode(&body, SYNC_REQUEST_BYTES_MAX)?)),
            unknown => Ok(Self::Unknown(unknown)),
        }
    }
}

/// The answer to [`SyncRequest::PolicyNumber`].
#[must_use]
pub fn policy_number_reply(number: u64) -> SyncReply {
    SyncReply::Ok(wire::encode(&number))
}

/// Reads the body of the answer to [`SyncRequest::PolicyNumber`].
///
/// # Errors
/// [`DecodeError`] if it is not a number.
pub fn parse_policy_number(body: &[u8]) -> Result<u64, DecodeError> {
    wire::decode(body, SYNC_REQUEST_BYTES_MAX)
}

fn parse_reconcile(body: &[u8]) -> Result<SyncRequest, DecodeError> {
    let (set, windows): (u8, AtMost<(u64, u64, ByteBuf), WINDOWS_MAX>) =
        wire::decode(body, SYNC_REQUEST_BYTES_MAX)?;
    let set = SetName::from_number(set)?;
    if windows.0.is_empty() {
        return Err(DecodeError::Field("windows"));
    }
    let windows = windows.0.into_iter().map(|(since, until, frame)| {
        if since >= until {
            return Err(DecodeError::Field("until"));
        }
        if frame.len() > FRAME_BYTES_MAX {
            return Err(DecodeError::Field("frame"));
        }
        Ok(Window { since, until, frame: frame.into_vec() })
    });
    Ok(SyncRequest::Reconcile { set, windows: windows.collect::<Result<_, _>>()? })
}

fn parse_get(body: &[u8]) -> Result<SyncRequest, DecodeError> {
    let (set, bytes): (u8, ByteBuf) = wire::decode(body, SYNC_REQUEST_BYTES_MAX)?;
    let set = SetName::from_number(set)?;
    let (chunks, rest) = bytes.as_chunks::<ID_BYTES>();
    if chunks.is_empty() || chunks.len() > GET_IDS_MAX || !rest.is_empty() {
        return Err(DecodeError::Field("ids"));
    }
    if chunks.iter().collect::<BTreeSet<_>>().len() != chunks.len() {
        return Err(DecodeError::Field("ids"));
    }
    Ok(SyncRequest::Get { set, ids: chunks.iter().copied().map(MessageId).collect() })
}

fn parse_held(body: &[u8]) -> Result<SyncRequest, DecodeError> {
    let (session, ranges): (u64, AtMost<(u64, u64), HELD_RANGES_MAX>) =
        wire::decode(body, SYNC_REQUEST_BYTES_MAX)?;
    let ranges = ranges.0;
    let ordered = ranges.iter().all(|(first, last)| first <= last)
        && ranges.iter().zip(ranges.iter().skip(1)).all(|(a, b)| a.1 < b.0);
    if !ordered {
        return Err(DecodeError::Field("ranges"));
    }
    Ok(SyncRequest::Held { session, ranges })
}

impl SyncReply {
    /// The bytes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (code, body): (u16, &[u8]) = match self {
            Self::Ok(body) => (OK, body),
            Self::Unsupported => (UNSUPPORTED, &[]),
            Self::NotFound => (NOT_FOUND, &[]),
            Self::Later => (LATER, &[]),
        };
        wire::encode(&(code, Bytes::new(body)))
    }

    /// Reads a reply. A code of a later version counts as [`Self::Unsupported`].
    ///
    /// # Errors
    /// [`DecodeError`] if it is not a reply.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (code, body): (u16, ByteBuf) = wire::decode(bytes, SYNC_REPLY_BYTES_MAX)?;
        Ok(match code {
            OK => Self::Ok(body.into_vec()),
            NOT_FOUND => Self::NotFound,
            LATER => Self::Later,
            _unsupported_or_unknown => Self::Unsupported,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u8) -> MessageId {
        MessageId([n; 32])
    }

    fn window(since: u64, until: u64, frame: &[u8]) -> Window {
        Window { since, until, frame: frame.to_vec() }
    }

    fn reconcile(windows: Vec<Window>) -> SyncRequest {
        SyncRequest::Reconcile { set: SetName::Messages, windows }
    }

    fn get(ids: Vec<MessageId>) -> SyncRequest {
        SyncRequest::Get { set: SetName::Moderations, ids }
    }

    fn held(ranges: &[(u64, u64)]) -> SyncRequest {
        SyncRequest::Held { session: 7, ranges: ranges.to_vec() }
    }

    #[test]
    fn r96_requests_and_replies_are_read_back() {
        let requests = [
            SyncRequest::PolicyGet(u64::MAX),
            reconcile(vec![window(0, 1, &[0x61]), window(5, u64::MAX, &[0x61; FRAME_BYTES_MAX])]),
            get((0..=255).map(id).collect()),
            held(&[]),
            held(&[(0, 0), (2, 9), (10, u64::MAX)]),
            SyncRequest::Part(u64::MAX),
            SyncRequest::Unknown(7),
        ];
        for request in requests {
            assert_eq!(SyncRequest::parse(&request.to_bytes()), Ok(request));
        }
        let replies = [
            SyncReply::Ok(vec![1, 2]),
            SyncReply::Unsupported,
            SyncReply::NotFound,
            SyncReply::Later,
        ];
        for reply in replies {
            assert_eq!(SyncReply::parse(&reply.to_bytes()), Ok(reply));
        }
        assert!(SyncRequest::parse(&[0x82, 0x01, 0x41]).is_err());
    }

    #[test]
    fn r100_one_to_five_windows_that_are_not_empty() {
        let parse = |windows| SyncRequest::parse(&reconcile(windows).to_bytes());
        assert!(parse(vec![window(1, 2, &[]); WINDOWS_MAX]).is_ok());
        assert_eq!(parse(vec![window(1, 2, &[]); WINDOWS_MAX + 1]), Err(DecodeError::Malformed));
        assert_eq!(parse(vec![]), Err(DecodeError::Field("windows")));
        assert_eq!(parse(vec![window(2, 2, &[])]), Err(DecodeError::Field("until")));
        let frame = vec![0x61; FRAME_BYTES_MAX + 1];
        assert_eq!(parse(vec![window(1, 2, &frame)]), Err(DecodeError::Field("frame")));
        let half = vec![0x61; SYNC_REQUEST_BYTES_MAX / 2];
        let too_long = Err(DecodeError::TooLong { max: SYNC_REQUEST_BYTES_MAX });
        assert_eq!(parse(vec![window(1, 2, &half), window(2, 3, &half)]), too_long);
    }

    #[test]
    fn r105_ids_are_whole_distinct_and_not_too_many() {
        let ids = |count: u16| -> Vec<MessageId> {
            let numbered = |n: u16| MessageId([n.to_be_bytes(); 16].concat().try_into().unwrap());
            (0..count).map(numbered).collect()
        };
        let parse = |ids| SyncRequest::parse(&get(ids).to_bytes());
        assert!(parse(ids(1_024)).is_ok());
        assert_eq!(parse(ids(1_025)), Err(DecodeError::Field("ids")));
        assert_eq!(parse(vec![]), Err(DecodeError::Field("ids")));
        assert_eq!(parse(vec![id(1), id(2), id(1)]), Err(DecodeError::Field("ids")));
        let torn = wire::encode(&(OP_GET, ByteBuf::from(wire::encode(&(0, Bytes::new(&[1; 33]))))));
        assert_eq!(SyncRequest::parse(&torn), Err(DecodeError::Field("ids")));
    }

    #[test]
    fn r108_ranges_ascend_and_do_not_touch_each_other() {
        let parse = |ranges: &[(u64, u64)]| SyncRequest::parse(&held(ranges).to_bytes());
        assert!(parse(&[(0, 3), (4, 4)]).is_ok());
        for wrong in [&[(3, 2)][..], &[(0, 3), (3, 4)], &[(5, 6), (0, 1)]] {
            assert_eq!(parse(wrong), Err(DecodeError::Field("ranges")), "{wrong:?}");
        }
        let many: Vec<_> = (0..65).map(|n| (2 * n, 2 * n)).collect();
        assert!(parse(&many[..64]).is_ok());
        assert_eq!(parse(&many), Err(DecodeError::Malformed));
    }

    #[test]
    fn r100_a_set_of_a_later_version_is_told_apart() {
        let body = wire::encode(&(2u8, Bytes::new(&[1; 32])));
        let bytes = wire::encode(&(OP_GET, ByteBuf::from(body)));
        assert_eq!(SyncRequest::parse(&bytes), Err(DecodeError::Field("set")));
    }

    #[test]
    fn r96_no_body_has_trailing_bytes() {
        let reconcile = reconcile(vec![window(1, 2, &[])]);
        for request in [reconcile, get(vec![id(1)]), held(&[]), SyncRequest::Part(1)] {
            let bytes = request.to_bytes();
            let (op, mut body): (u16, ByteBuf) = wire::decode(&bytes, usize::MAX).unwrap();
            body.push(0);
            assert_eq!(SyncRequest::parse(&wire::encode(&(op, body))), Err(DecodeError::Malformed));
        }
    }

    proptest! {
        #[test]
        fn r96_hostile_bodies_end_in_an_error_or_in_bounds(
            op in 1u16..7, body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Ok(request) = SyncRequest::parse(&wire::encode(&(op, ByteBuf::from(body)))) {
                prop_assert_eq!(SyncRequest::parse(&request.to_bytes()), Ok(request));
            }
        }

        #[test]
        fn r96_damage_ends_in_an_error_or_in_bounds(
            which in 0usize..3, at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let requests = [
                reconcile(vec![window(1, 2, &[0x61, 0, 0]), window(2, 3, &[0x61])]),
                get(vec![id(1), id(2)]),
                held(&[(0, 1), (3, 300)]),
            ];
            let mut bytes = requests[which].to_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(request) = SyncRequest::parse(&bytes) {
                prop_assert_eq!(SyncRequest::parse(&request.to_bytes()), Ok(request));
            }
        }
    }
}
