//! The stream protocol between peers, `/lanyard/sync/1` (PROTOCOL.md ): requests `[op, body]`, replies `[code, body]`.

use serde_bytes::ByteBuf;

use crate::limits::{SYNC_REPLY_BYTES_MAX, SYNC_REQUEST_BYTES_MAX};
use crate::wire::{self, DecodeError};

/// Name of the stream protocol.
pub const SYNC_PROTOCOL: &str = "/lanyard/sync/1";
const OP_POLICY_GET: u16 = 1;
const OK: u16 = 0;
const UNSUPPORTED: u16 = 1;
const NOT_FOUND: u16 = 2;
const LATER: u16 = 3;

/// What a peer asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncRequest {
    /// The policy document, if its number is at least this.
    PolicyGet(u64),
    /// An operation of a later version.
    Unknown(u16),
}

/// What it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncReply {
    /// What was asked for.
    Ok(Vec<u8>),
    /// This version does not know the operation.
    Unsupported,
    /// There is no such thing here.
    NotFound,
    /// Too much to do.
    Later,
}

impl SyncRequest {
    /// The bytes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (op, body) = match self {
            Self::PolicyGet(number) => (OP_POLICY_GET, wire::encode(number)),
            Self::Unknown(op) => (*op, Vec::new()),
        };
        wire::encode(&(op, ByteBuf::from(body)))
    }

    /// Reads a request.
    ///
    /// # Errors
    /// [`DecodeError`] if it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (op, body): (u16, ByteBuf) = wire::decode(bytes, SYNC_REQUEST_BYTES_MAX)?;
        match op {
            OP_POLICY_GET => Ok(Self::PolicyGet(wire::decode(&body, SYNC_REQUEST_BYTES_MAX)?)),
            unknown => Ok(Self::Unknown(unknown)),
        }
    }
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
        wire::encode(&(code, serde_bytes::Bytes::new(body)))
    }

    /// Reads a reply. A code of a later version counts as [`Self::Unsupported`].
    ///
    /// # Errors
    /// [`DecodeError`] if it is none.
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
    use super::*;

    #[test]
    fn r96_requests_and_replies_are_read_back() {
        for request in [SyncRequest::PolicyGet(u64::MAX), SyncRequest::Unknown(7)] {
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
}
