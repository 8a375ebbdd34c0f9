//! The body of a message and its encoding (PROTOCOL.md R-40).

use serde_bytes::ByteBuf;

use crate::verdict::Refused;
use crate::wire::DecodeError;

/// The kind of a body of UTF-8 text.
const TEXT: u16 = 1;

/// What a message says.
///
/// Make one with [`From`], because later versions add fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Body {
    /// The text as its author wrote it. Show it with [`crate::text`], because it may contain control characters.
    pub text: String,
}

impl Body {
    /// The length of the text in bytes, which the policy limits.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// The kind and bytes on the wire.
    pub(super) fn encode(&self) -> (u16, ByteBuf) {
        (TEXT, ByteBuf::from(self.text.as_bytes()))
    }

    /// Reads what [`Self::encode`] writes.
    ///
    /// # Errors
    /// [`Refused::Unknown`] for a kind of a later version, [`Refused::Malformed`] for a text that is not UTF-8.
    pub(super) fn decode(kind: u16, bytes: ByteBuf) -> Result<Self, Refused> {
        if kind != TEXT {
            return Err(Refused::Unknown);
        }
        let text =
            String::from_utf8(bytes.into_vec()).map_err(|_not_utf8| DecodeError::Field("body"))?;
        Ok(Self { text })
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self { text }
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the bytes of a body in both directions.
    fn check(body: Body, golden: &str) {
        let (kind, bytes) = body.encode();
        assert_eq!(hex::encode(crate::wire::encode(&(kind, &bytes))), golden);
        assert_eq!(Body::decode(kind, bytes), Ok(body));
    }

    #[test]
    fn r40_every_kind_has_exactly_its_bytes() {
        check("hi".into(), "8201426869");
    }
}
