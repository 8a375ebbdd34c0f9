//! A message that the history has admitted.

use crate::message::VerifiedMessage;

/// A message that may be stored, shown and forwarded. Only the history creates one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmittedMessage(VerifiedMessage);

impl AdmittedMessage {
    pub(super) fn new(message: VerifiedMessage) -> Self {
        Self(message)
    }

    /// A message that no history has judged.
    #[cfg(any(test, feature = "test-utils"))]
    pub(crate) fn for_a_test(message: VerifiedMessage) -> Self {
        Self(message)
    }
}

impl std::ops::Deref for AdmittedMessage {
    type Target = VerifiedMessage;

    fn deref(&self) -> &VerifiedMessage {
        &self.0
    }
}
