//! The dated limits of a policy.

use serde::{Deserialize, Serialize};

/// How many devices an account may be signed in on if the policy does not say.
pub const DEVICES_MAX_DEFAULT: u64 = 16;

/// Limits in force from a date on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The realm time, in unix milliseconds, from which they are in force.
    pub from: u64,
    /// The longest text, in bytes of UTF-8.
    pub max_text_bytes: u64,
    /// How many messages an account may send in a minute. 0 means any number.
    pub per_minute: u64,
    /// How many messages a guest may send in a minute. 0 means any number.
    pub guest_per_minute: u64,
    /// How many messages an account may send in a UTC day.
    pub per_day: u64,
    /// The lifetime of a ticket, in seconds.
    pub ticket_lifetime_s: u64,
    /// How many days messages are kept.
    pub retention_days: u64,
    /// How accounts are created.
    pub registration: Registration,
    /// How many devices an account may be signed in on (PROTOCOL.md R-78). The default is not encoded, so that the
    /// bytes of a policy without a value of its own are those of earlier releases.
    #[serde(default = "devices_max_default", skip_serializing_if = "is_devices_max_default")]
    pub devices_max: u64,
}

impl Limits {
    /// The limits of a new realm.
    #[must_use]
    pub fn default_from(from: u64) -> Self {
        Self {
            from,
            max_text_bytes: 4_096,
            per_minute: 60,
            guest_per_minute: 20,
            per_day: 5_000,
            ticket_lifetime_s: 7 * 86_400,
            retention_days: 90,
            registration: Registration::Closed,
            devices_max: DEVICES_MAX_DEFAULT,
        }
    }
}

/// How accounts are created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// The operator adds them.
    Closed,
}

fn devices_max_default() -> u64 {
    DEVICES_MAX_DEFAULT
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_devices_max_default(devices_max: &u64) -> bool {
    *devices_max == DEVICES_MAX_DEFAULT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::T0;
    use crate::wire;

    #[test]
    fn r78_only_another_number_of_devices_is_encoded() {
        let usual = Limits::default_from(T0);
        let few = Limits { devices_max: 3, ..usual };
        for limits in [usual, few] {
            let bytes = wire::encode(&limits);
            assert_eq!(wire::decode(&bytes, bytes.len()), Ok(limits));
            let is_named = bytes.windows(11).any(|part| part == b"devices_max");
            assert_eq!(is_named, limits == few);
        }
    }
}
