//! The body of a message: what it says, and how that is written (PROTOCOL.md R-40).

use serde_bytes::ByteBuf;

use crate::verdict::Refused;
use crate::wire::DecodeError;

/// The kind of a body of UTF-8 text.
const TEXT: u16 = 1;

/// What a message says.
///
/// Make one with [`From`]; later versions add fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Body {
    /// The text, unchanged. Neutralise bidi and control characters before drawing.
    pub text: String,
}

impl Body {
    /// Bytes of the text, which the policy limits.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// Kind and bytes on the wire.
    pub(super) fn encode(&self) -> (u16, ByteBuf) {
        (TEXT, ByteBuf::from(self.text.as_bytes()))
    }

    /// Reads what [`Self::encode`] writes.
    ///
    /// # Errors
    /// [`Refused::Unknown`] for a later kind, [`Refused::Malformed`] for a text that is not UTF-8.
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
