//! How often a device may renew its ticket. A renewal needs no password, so nothing else slows it down, and each one
//! costs a signature and a write to the disk.
//!
//! Each device has a few renewals in hand and gets another one from time to time: many times what an honest device
//! needs, which renews after half of a ticket's lifetime and asks for the time every ten minutes at most. What is kept
//! of a device is one number: when it will have all of them again.

use std::collections::BTreeMap;
use std::time::Duration;

use lanyard_protocol::ids::{AccountId, PeerKey};

/// The renewals that a device has in hand.
const IN_HAND: u64 = 16;
/// A device gets another renewal after this time, or earlier if tickets are short-lived.
const ANOTHER_AFTER: Duration = Duration::from_secs(10 * 60);
/// In a ticket's lifetime, a device gets at least this many renewals.
const IN_A_LIFE: u64 = 32;
/// How many devices are remembered.
const DEVICES_MAX: usize = 4_096;

/// A device of an account.
pub(super) type Device = (AccountId, PeerKey);

/// When each device will have all its renewals again, on a clock that never goes back, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    full_at: BTreeMap<Device, u64>,
}

impl Renewals {
    /// Takes a renewal. `lifetime_s` is that of the tickets.
    ///
    /// # Errors
    /// The time until the device gets another one, in milliseconds.
    pub(super) fn take(&mut self, device: Device, lifetime_s: u64, now: u64) -> Result<(), u64> {
        let each = u64::try_from(ANOTHER_AFTER.as_millis()).unwrap_or(u64::MAX);
        let each = each.min(lifetime_s.saturating_mul(1_000) / IN_A_LIFE).max(1);
        let full_at = self.full_at.get(&device).copied().unwrap_or(0).max(now).saturating_add(each);
        let latest = now.saturating_add(each.saturating_mul(IN_HAND));
        if full_at > latest {
            return Err(full_at - latest);
        }
        if !self.full_at.contains_key(&device) {
            self.make_room(now);
        }
        self.full_at.insert(device, full_at);
        Ok(())
    }

    /// Forgets devices that have all their renewals, or if there are none, the one that will have them first.
    fn make_room(&mut self, now: u64) {
        if self.full_at.len() < DEVICES_MAX {
            return;
        }
        self.full_at.retain(|_device, full_at| *full_at > now);
        if self.full_at.len() >= DEVICES_MAX {
            let first = self.full_at.iter().min_by_key(|(_device, full_at)| **full_at);
            let first = first.map(|(device, _full_at)| *device);
            first.and_then(|first| self.full_at.remove(&first));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK_S: u64 = 7 * 86_400;

    fn device(number: u32) -> Device {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        (AccountId([1; 16]), PeerKey(key))
    }

    #[test]
    fn a_device_has_sixteen_renewals_and_one_every_ten_minutes() {
        let mut renewals = Renewals::default();
        assert!((0..16).all(|n| renewals.take(device(1), WEEK_S, n).is_ok()));
        assert_eq!(renewals.take(device(1), WEEK_S, 16), Err(600_000 - 16));
        assert_eq!(renewals.take(device(2), WEEK_S, 16), Ok(()), "each device has its own");
        assert_eq!(renewals.take(device(1), WEEK_S, 600_000), Ok(()));
        assert_eq!(renewals.take(device(1), WEEK_S, 600_000), Err(600_000));
    }

    #[test]
    fn short_tickets_can_be_renewed_all_the_time() {
        let mut renewals = Renewals::default();
        // Twice as often as a peer renews.
        let times = (0..1_000_u64).map(|n| n * 10_000);
        assert!(times.into_iter().all(|now| renewals.take(device(1), 60, now).is_ok()));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut renewals = Renewals::default();
        (0..15).for_each(|_renewal| renewals.take(device(0), WEEK_S, 0).unwrap());
        for n in 1..10_000 {
            assert_eq!(renewals.take(device(n), WEEK_S, 0), Ok(()));
        }
        assert_eq!(renewals.full_at.len(), DEVICES_MAX);
        assert_eq!(renewals.take(device(0), WEEK_S, 0), Ok(()));
        assert!(renewals.take(device(0), WEEK_S, 0).is_err(), "a flood makes nobody forgotten");
        let later = 20 * 600_000;
        assert_eq!(renewals.take(device(1), WEEK_S, later), Ok(()));
        assert_eq!(renewals.full_at.len(), 1);
    }
}
