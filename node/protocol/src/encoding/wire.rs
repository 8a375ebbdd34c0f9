//! Bounded CBOR, and the pair in which gossip carries a signed object with its ticket.
//!
//! Every decoder checks the length before anything else, accepts no trailing bytes, and has no recursive type.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than the limit, which is checked first.
    #[error("over {max} bytes")]
    TooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// Not CBOR, not the expected structure, or followed by more bytes.
    #[error("not the expected CBOR")]
    Malformed,
    /// Valid CBOR, but not in the canonical encoding.
    #[error("not the canonical encoding")]
    NotCanonical,
    /// A field is outside what the protocol allows.
    #[error("field {0} is out of range")]
    Field(&'static str),
}

/// Encodes a structure. This fails for none of ours; if it did, the result would be empty, which no peer accepts.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    serde_cbor::to_vec(value).unwrap_or_default()
}

/// Decodes a structure of at most `max` bytes.
///
/// # Errors
/// [`DecodeError::TooLong`] without looking at the content, or [`DecodeError::Malformed`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8], max: usize) -> Result<T, DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLong { max });
    }
    serde_cbor::from_slice(bytes).map_err(|_serde_says_little| DecodeError::Malformed)
}

/// `[ticket bytes, object bytes]` as it travels on gossip (PROTOCOL.md R-30): byte 0x82, then two byte strings with the
/// shortest possible heads. No other encoding is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The exact bytes of the author's ticket.
    pub ticket: &'a [u8],
    /// The exact bytes of the signed object.
    pub object: &'a [u8],
}

impl<'a> Pair<'a> {
    /// The bytes on the wire.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.ticket.len() + self.object.len() + 7);
        out.push(0x82);
        push_byte_string(&mut out, self.ticket);
        push_byte_string(&mut out, self.object);
        out
    }

    /// Parses a pair of at most `max` bytes.
    ///
    /// # Errors
    /// [`DecodeError`] if it is too long, not a pair, or not in the canonical encoding.
    pub fn parse(bytes: &'a [u8], max: usize) -> Result<Self, DecodeError> {
        if bytes.len() > max {
            return Err(DecodeError::TooLong { max });
        }
        let rest = bytes.strip_prefix(&[0x82]).ok_or(DecodeError::Malformed)?;
        let (ticket, rest) = take_byte_string(rest)?;
        let (object, rest) = take_byte_string(rest)?;
        if !rest.is_empty() {
            return Err(DecodeError::Malformed);
        }
        Ok(Self { ticket, object })
    }
}

/// Appends a definite-length byte string with the shortest head.
pub(crate) fn push_byte_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = (bytes.len() as u64).to_be_bytes();
    match length {
        [0, 0, 0, 0, 0, 0, 0, n @ 0..=23] => out.push(0x40 | n),
        [0, 0, 0, 0, 0, 0, 0, n] => out.extend_from_slice(&[0x58, n]),
        [0, 0, 0, 0, 0, 0, a, b] => out.extend_from_slice(&[0x59, a, b]),
        [0, 0, 0, 0, a, b, c, d] => out.extend_from_slice(&[0x5a, a, b, c, d]),
        all => {
            out.push(0x5b);
            out.extend_from_slice(&all);
        }
    }
    out.extend_from_slice(bytes);
}

/// Splits a byte string off the front. Only the shortest head is accepted.
pub(crate) fn take_byte_string(bytes: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let (length, rest) = match bytes {
        [head @ 0x40..=0x57, rest @ ..] => (usize::from(head & 0x1f), rest),
        [0x58, a, rest @ ..] => (usize::from(*a), rest),
        [0x59, a, b, rest @ ..] => (usize::from(u16::from_be_bytes([*a, *b])), rest),
        [0x5a, a, b, c, d, rest @ ..] => {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            (usize::try_from(length).unwrap_or(usize::MAX), rest)
        }
        _no_byte_string => return Err(DecodeError::Malformed),
    };
    let head_len = bytes.len() - rest.len();
    let shortest = match length {
        0..=0x17 => 1,
        0x18..=0xff => 2,
        0x100..=0xffff => 3,
        _longer => 5,
    };
    if head_len != shortest {
        return Err(DecodeError::NotCanonical);
    }
    rest.split_at_checked(length).ok_or(DecodeError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pair_is_read_back(
            ticket in prop::collection::vec(any::<u8>(), 0..700),
            object in prop::collection::vec(any::<u8>(), 0..700),
        ) {
            let pair = Pair { ticket: &ticket, object: &object };
            let bytes = pair.to_bytes();
            prop_assert_eq!(Pair::parse(&bytes, 4_096), Ok(pair));
        }

        #[test]
        fn what_parses_is_in_the_canonical_encoding(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(pair) = Pair::parse(&bytes, 64) {
                prop_assert_eq!(pair.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn longer_heads_and_trailing_bytes_are_refused() {
        assert_eq!(Pair::parse(&[0x82, 0x58, 1, 7, 0x41, 7], 99), Err(DecodeError::NotCanonical));
        assert_eq!(Pair::parse(&[0x82, 0x41, 7, 0x41, 7, 0], 99), Err(DecodeError::Malformed));
        assert_eq!(Pair::parse(&[0x9f, 0x41, 7, 0x41, 7, 0xff], 99), Err(DecodeError::Malformed));
        assert_eq!(Pair::parse(&[0x82; 9], 8), Err(DecodeError::TooLong { max: 8 }));
    }

    #[test]
    fn hostile_lengths_and_nesting_end_in_an_error() {
        #[derive(Debug, serde::Deserialize)]
        struct Plain {
            #[expect(dead_code, reason = "only the decoding matters")]
            names: Vec<String>,
        }
        let nested = vec![0x81; 8_000];
        let long = [
            0xa1, 0x65, b'n', b'a', b'm', b'e', b's', 0x9b, 255, 255, 255, 255, 255, 255, 255, 255,
        ];
        assert!(decode::<Plain>(&nested, 16_384).is_err());
        assert!(decode::<Plain>(&long, 16_384).is_err());
    }
}
