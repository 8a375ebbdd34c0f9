//! Logs out devices of an account.
//!
//! A logged-out device has no valid ticket and cannot renew one with its key. To come back, it needs the password.

use super::{Revocation, find, revoke_tickets};
use crate::acts::ActError;
use crate::store::audit::{self, Entry, OPERATOR};
use crate::store::{Db, devices};

/// Logs a device out and revokes its tickets. Those of the other devices stay valid.
///
/// # Errors
/// [`ActError::NotFound`]; [`ActError::DeviceNotFound`] also if it is logged out already.
pub fn log_out(db: Db<'_>, name: &str, number: u64, now: u64) -> Result<(), ActError> {
    let account = find(db, name)?;
    let devices = devices::list(db, account.id)?;
    let device = devices.into_iter().find(|device| device.number == number && !device.logged_out);
    let Some(device) = device else {
        return Err(ActError::DeviceNotFound { name: account.username, device: number });
    };
    let revocation =
        Revocation { peer: Some(device.peer), reason: "the device was logged out", by: OPERATOR };
    revoke_tickets(db, account.id, &revocation, now)?;
    devices::log_out(db, account.id, number)?;
    let detail = format!("device {number}");
    Ok(audit::write(db, Entry::operator("device-logout", &account.username, &detail), now)?)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use lanyard_protocol::ids::{PeerKey, Role};

    use super::*;
    use crate::acts::perform;
    use crate::names::Username;
    use crate::store::Store;
    use crate::{accounts, policy};

    const NOW: u64 = 1_800_000_000_500;

    #[test]
    fn logging_one_device_out_spares_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open_or_create(dir.path()).unwrap();
        let name = Username::parse("alice").unwrap();
        let (laptop, phone) = (PeerKey([7; 32]), PeerKey([8; 32]));
        let alice = perform(&mut store, NOW, |tx, now| {
            let id = accounts::create(tx, &name, None, Role::Member, "phc", now)?;
            for peer in [laptop, phone] {
                devices::sign_in(tx, id, peer, "", now, now + 1_000)?;
            }
            Ok(id)
        })
        .unwrap();
        for (name, number) in [("alice", 3), ("alice", 0)] {
            let error = perform(&mut store, NOW, |tx, now| log_out(tx, name, number, now));
            assert_eq!(error.unwrap_err().code(), Some("not-found"));
        }
        perform(&mut store, NOW, |tx, now| log_out(tx, "alice", 2, now)).unwrap();
        let again = perform(&mut store, NOW, |tx, now| log_out(tx, "alice", 2, now)).unwrap_err();
        assert_eq!(again.code(), Some("not-found"));
        let key = SigningKey::from_bytes(&[3; 32]);
        let (signed, _) = store.write(|tx| policy::publish(tx, &key, NOW)).unwrap();
        let is_revoked = |peer| signed.policy().revocation_of(alice, peer, NOW).is_some();
        assert!(is_revoked(phone) && !is_revoked(laptop));
        let rows = devices::list(store.reader(), alice).unwrap();
        let out: Vec<bool> = rows.iter().map(|device| device.logged_out).collect();
        assert_eq!(out, [false, true]);
    }
}
