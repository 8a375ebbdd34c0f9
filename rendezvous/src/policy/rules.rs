//! `policy set KEY VALUE`: the rules that the operator can change, and the range of each.

use lanyard_protocol::login::DEVICES_MAX;
use lanyard_protocol::policy::{Limits, Registration};

use crate::acts::ActError;
use crate::store::audit::{self, Entry};
use crate::store::{Db, rules, sessions};

/// The keys of the command line.
const KEYS: [&str; 8] = [
    "max-text-bytes",
    "per-minute",
    "guest-per-minute",
    "per-day",
    "ticket-lifetime",
    "retention-days",
    "devices-max",
    "registration",
];

/// Those of them that limit messages.
const MESSAGE_KEYS: [&str; 4] = ["max-text-bytes", "per-minute", "guest-per-minute", "per-day"];

/// A message may have 16 KiB in all; this leaves space for the envelope and the name of the room.
const MAX_TEXT_BYTES: u64 = 12_288;
/// A larger quota would limit nothing, which 0 says more clearly.
const QUOTA_MAX: u64 = 1_000_000;
/// A ticket must outlive the login itself; on a LAN, a year is as good as for ever.
const TICKET_LIFETIME_S: std::ops::RangeInclusive<u64> = 60..=366 * 86_400;
/// The longest retention time, in days: ten years.
const RETENTION_DAYS_MAX: u64 = 3_660;

/// Changes one rule from `now` on; limits on messages apply from the next full minute on (PROTOCOL.md R-47). Until the
/// first sign-in nobody can have sent anything, so the change applies from the beginning. Setting the value that it
/// already has does nothing.
///
/// # Errors
/// [`ActError::Rule`]; nothing has changed.
pub fn set(db: Db<'_>, key: &str, value: &str, now: u64) -> Result<(), ActError> {
    let old = rules::newest(db)?;
    let mut new = old;
    apply(&mut new, key, value)?;
    if new == old {
        return Ok(());
    }
    // The last row is in force, so its date must be after that of the row it replaces.
    let next = old.from.saturating_add(1);
    new.from = if sessions::exist(db)? { now.max(next) } else { next };
    rules::insert(db, &new)?;
    let detail = format!("{key} {value}");
    Ok(audit::write(db, Entry::operator("policy-set", key, &detail), now)?)
}

/// Whether a rule applies to messages, and so from the next full minute on.
#[must_use]
pub fn limits_messages(key: &str) -> bool {
    MESSAGE_KEYS.contains(&key)
}

fn apply(rule: &mut Limits, key: &str, value: &str) -> Result<(), ActError> {
    let refuse = |expected: &str| {
        let value = value.escape_debug();
        ActError::Rule(format!("\"{value}\" cannot be the value of {key}: it must be {expected}"))
    };
    let number = |least: u64, most: u64| match value.parse::<u64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(refuse(&format!("a number from {least} to {most}"))),
    };
    match key {
        "max-text-bytes" => rule.max_text_bytes = number(1, MAX_TEXT_BYTES)?,
        "per-minute" => rule.per_minute = number(0, QUOTA_MAX)?,
        "guest-per-minute" => rule.guest_per_minute = number(0, QUOTA_MAX)?,
        "per-day" => rule.per_day = number(0, QUOTA_MAX)?,
        "retention-days" => rule.retention_days = number(1, RETENTION_DAYS_MAX)?,
        // No more than the list of devices can show.
        "devices-max" => rule.devices_max = number(1, DEVICES_MAX as u64)?,
        "ticket-lifetime" => match lanyard_program::duration::parse_s(value) {
            Some(seconds) if TICKET_LIFETIME_S.contains(&seconds) => {
                rule.ticket_lifetime_s = seconds;
            }
            _ => return Err(refuse("a duration from 60s to 366d, such as 24h or 7d")),
        },
        "registration" if value == "closed" => rule.registration = Registration::Closed,
        "registration" => return Err(refuse("closed; other ways do not exist yet")),
        _ => {
            let (key, keys) = (key.escape_debug(), KEYS.join(", "));
            return Err(ActError::Rule(format!(
                "there is no rule \"{key}\"; the rules are {keys}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use lanyard_protocol::ids::{PeerKey, Role};

    use super::*;
    use crate::accounts;
    use crate::names::Username;
    use crate::store::sessions::NewSession;
    use crate::store::{Store, devices};

    fn sign_in(store: &mut Store) {
        let name = Username::parse("alice").unwrap();
        store.write(|tx| first_session(tx, &name)).unwrap();
    }

    fn first_session(tx: Db<'_>, name: &Username) -> Result<(), ActError> {
        let account = accounts::create(tx, name, None, Role::Member, "phc", 400)?;
        let device = devices::sign_in(tx, account, PeerKey([7; 32]), "", 400, 9_000)?;
        let address = "192.0.2.1:1".to_owned();
        let session = NewSession { account, device, address, since: 400, expires_at: 9_000 };
        Ok(sessions::put(tx, &session)?)
    }

    #[test]
    fn before_the_first_sign_in_a_rule_applies_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open_or_create(dir.path()).unwrap();
        store.write(|tx| set(tx, "per-minute", "7", 500)).unwrap();
        assert_eq!(rules::newest(store.reader()).unwrap().from, 1);
        sign_in(&mut store);
        store.write(|tx| set(tx, "per-minute", "8", 500)).unwrap();
        assert_eq!(rules::newest(store.reader()).unwrap().from, 500);
    }

    #[test]
    fn a_changed_rule_adds_a_dated_row() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open_or_create(dir.path()).unwrap();
        sign_in(&mut store);
        for (key, value) in [
            ("max-text-bytes", "1000"),
            ("per-minute", "0"),
            ("ticket-lifetime", "24h"),
            ("devices-max", "3"),
            ("registration", "closed"),
            ("per-minute", "0"),
        ] {
            store.write(|tx| set(tx, key, value, 500)).unwrap();
        }
        let rows = rules::list(store.reader()).unwrap();
        let dates: Vec<u64> = rows.iter().map(|row| row.from).collect();
        assert_eq!(dates, [0, 500, 501, 502, 503], "what changes nothing adds no row");
        let last = rules::newest(store.reader()).unwrap();
        assert_eq!(
            (last.max_text_bytes, last.per_minute, last.ticket_lifetime_s),
            (1_000, 0, 86_400)
        );
        assert_eq!((last.per_day, last.devices_max), (5_000, 3));
    }

    #[test]
    fn bad_values_are_refused_and_change_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open_or_create(dir.path()).unwrap();
        for (key, value) in [
            ("max-text-bytes", "0"),
            ("max-text-bytes", "12289"),
            ("per-minute", "-1"),
            ("per-minute", "lots"),
            ("per-day", ""),
            ("ticket-lifetime", "59s"),
            ("ticket-lifetime", "7"),
            ("ticket-lifetime", "400d"),
            ("retention-days", "0"),
            ("registration", "open"),
            ("devices-max", "0"),
            ("devices-max", "257"),
            ("colour", "red"),
            ("", "1"),
        ] {
            assert!(store.write(|tx| set(tx, key, value, 500)).is_err(), "{key} {value}");
        }
        assert_eq!(rules::list(store.reader()).unwrap().len(), 1);
    }
}
