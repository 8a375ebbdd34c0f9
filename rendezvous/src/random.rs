//! Random bytes from the system.

/// The system provides no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system provides no random numbers")]
pub struct NoRandom;

/// Fresh random bytes, such as a salt or the id of a ticket.
///
/// # Errors
/// [`NoRandom`].
pub fn bytes<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_no_detail| NoRandom)?;
    Ok(bytes)
}
