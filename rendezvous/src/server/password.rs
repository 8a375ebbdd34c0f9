//! Passwords: Argon2id in PHC strings, at the same cost for names that do not exist.
//!
//! Every check runs the same code once at each cost that the database contains (see [`cost`]), for an unknown name on
//! PHC strings that belong to nobody. So neither the reply nor its timing reveals which names exist.

pub mod cost;
pub mod fair;
pub mod pool;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use lanyard_node::random::{self, NoRandomness};
use precis_profiles::precis_core::profile::PrecisFastInvocation as _;
use zeroize::Zeroizing;

use crate::folder::config::Argon2Config;
use cost::{Cost, Costs};

/// The longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// Shorter passwords, in characters, get a warning.
pub const WEAK_BELOW_CHARS: usize = 8;
/// The output of Argon2, in bytes.
const OUTPUT_BYTES: usize = 32;
const SALT_BYTES: usize = 16;

/// Why a password cannot be used or checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// The password is empty.
    #[error("the password is empty")]
    Empty,
    /// The password is too long.
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// Argon2 does not support the configured cost.
    #[error("invalid Argon2 parameters: {0}")]
    Parameters(argon2::Error),
    /// Argon2 failed, for lack of memory or because the stored hash is damaged.
    #[error("the password could not be checked: {0}")]
    Hash(argon2::password_hash::Error),
    /// No salt could be made.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// A password in the normalised form that is hashed. It is wiped from memory when dropped, and never printed.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Normalises a password as it was typed. Keyboards differ in how they compose "é" and which space they send;
    /// PRECIS OpaqueString (RFC 8265 §4.2) evens that out. A password that the profile does not allow is taken as it
    /// is.
    ///
    /// # Errors
    /// [`PasswordError::Empty`], [`PasswordError::TooLong`].
    pub fn new(raw: impl Into<Zeroizing<String>>) -> Result<Self, PasswordError> {
        let raw = raw.into();
        if raw.is_empty() {
            return Err(PasswordError::Empty);
        }
        if raw.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        match precis_profiles::OpaqueString::enforce(raw.as_str()) {
            Ok(even) => Ok(Self(Zeroizing::new(even.into_owned()))),
            Err(_not_in_the_profile) => Ok(Self(raw)),
        }
    }

    /// A warning for the person who chose it, if it is short.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        (self.0.chars().count() < WEAK_BELOW_CHARS)
            .then(|| format!("the password has fewer than {WEAK_BELOW_CHARS} characters"))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The password is right.
    Right {
        /// A hash to store instead, if the stored one has a lower cost than the present parameters.
        rehash: Option<String>,
    },
    /// The password is wrong, or there is no such account.
    Wrong,
}

/// Argon2id: hashes with one set of parameters, and checks hashes with any.
#[derive(Debug)]
pub struct Hasher {
    params: Params,
    cost: Cost,
    runs: Mutex<BTreeMap<Cost, u64>>,
}

impl Hasher {
    /// Prepares the parameters, without hashing anything.
    ///
    /// # Errors
    /// [`PasswordError::Parameters`] if Argon2 does not support them.
    pub fn new(config: Argon2Config) -> Result<Self, PasswordError> {
        let params = Params::new(config.memory_kib, config.passes, 1, Some(OUTPUT_BYTES))
            .map_err(PasswordError::Parameters)?;
        let cost = Cost::with(&params);
        Ok(Self { params, cost, runs: Mutex::default() })
    }

    /// How often Argon2 has run at each cost, which is the same for a known and an unknown name.
    #[must_use]
    pub fn runs(&self) -> BTreeMap<Cost, u64> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, cost: &Cost) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let count = runs.entry(cost.clone()).or_default();
        *count = count.saturating_add(1);
    }

    /// Hashes a new password into a PHC string.
    ///
    /// # Errors
    /// [`PasswordError::Hash`] if there is no memory for it, [`PasswordError::Random`].
    pub fn hash(&self, password: &Password) -> Result<String, PasswordError> {
        self.count(&self.cost);
        let phc = self
            .argon2()
            .hash_password_with_salt(password.0.as_bytes(), &random::bytes::<SALT_BYTES>()?)
            .map_err(PasswordError::Hash)?;
        Ok(phc.to_string())
    }

    /// Checks a password against a stored PHC string, or for nobody. Argon2 runs once at each of the costs, whatever
    /// the cost of the stored string. Only a right password may take a further run, to hash it anew.
    ///
    /// # Errors
    /// [`PasswordError::Hash`] if the stored string is damaged or there is no memory.
    pub fn check(
        &self,
        password: &Password,
        stored: Option<&str>,
        costs: &Costs,
    ) -> Result<Check, PasswordError> {
        let (mut right, mut hashed) = (None, None);
        for (cost, phc) in costs.runs(stored, &self.cost).ok_or_else(damaged)? {
            if stored == Some(phc.as_str()) {
                right = self.run(password, &cost, &phc)?.then_some(phc);
            } else if cost == self.cost {
                // A run that decides nothing anyway: it makes the hash that may be needed below.
                hashed = Some(self.hash(password)?);
            } else {
                self.run(password, &cost, &phc)?;
            }
        }
        match right {
            None => Ok(Check::Wrong),
            Some(phc) if self.is_cheaper(&phc) => {
                let hashed = hashed.map_or_else(|| self.hash(password), Ok)?;
                Ok(Check::Right { rehash: Some(hashed) })
            }
            Some(_phc) => Ok(Check::Right { rehash: None }),
        }
    }

    /// Whether a password matches a PHC string.
    fn run(&self, password: &Password, cost: &Cost, phc: &str) -> Result<bool, PasswordError> {
        let phc = PasswordHash::new(phc).map_err(|_error| damaged())?;
        self.count(cost);
        match self.argon2().verify_password(password.0.as_bytes(), &phc) {
            Ok(()) => Ok(true),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(PasswordError::Hash(error)),
        }
    }

    /// Whether a stored hash has a lower cost than the present parameters. One with a higher cost stays.
    fn is_cheaper(&self, phc: &str) -> bool {
        let old = PasswordHash::new(phc).ok().and_then(|phc| Params::try_from(&phc).ok());
        old.is_none_or(|old| {
            old.m_cost() < self.params.m_cost() || old.t_cost() < self.params.t_cost()
        })
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::default(), self.params.clone())
    }
}

fn damaged() -> PasswordError {
    PasswordError::Hash(argon2::password_hash::Error::EncodingInvalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(memory_kib: u32, passes: u32) -> Hasher {
        Hasher::new(Argon2Config { memory_kib, passes }).unwrap()
    }

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).unwrap()
    }

    /// Checks a password where no other hash is stored.
    fn check(hasher: &Hasher, text: &str, stored: &str) -> Result<Check, PasswordError> {
        hasher.check(&password(text), Some(stored), &Costs::of([stored]))
    }

    #[test]
    fn only_the_right_password_matches() {
        let hasher = hasher(8, 1);
        let phc = hasher.hash(&password("correct horse")).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{phc}");
        assert_eq!(check(&hasher, "correct horse", &phc), Ok(Check::Right { rehash: None }));
        assert_eq!(check(&hasher, "correct horsE", &phc), Ok(Check::Wrong));
        assert_ne!(phc, hasher.hash(&password("correct horse")).unwrap(), "each has its own salt");
    }

    #[test]
    fn all_names_cost_the_same_whatever_hashes_there_are() {
        let (low, high, newest) = (hasher(8, 1), hasher(16, 2), hasher(32, 1));
        let [low, high] = [low, high].map(|old| old.hash(&password("secret")).unwrap());
        let costs = Costs::of([low.as_str(), high.as_str(), "damaged"]);
        let runs_for = |stored: Option<&str>| {
            let before = newest.runs();
            assert_eq!(newest.check(&password("wrong"), stored, &costs), Ok(Check::Wrong));
            let mut runs = newest.runs();
            runs.iter_mut().for_each(|(cost, count)| *count -= before.get(cost).unwrap_or(&0));
            runs
        };
        let for_nobody = runs_for(None);
        assert_eq!(for_nobody.values().copied().collect::<Vec<_>>(), [1, 1]);
        assert_eq!(runs_for(Some(&low)), for_nobody);
        assert_eq!(runs_for(Some(&high)), for_nobody);
        assert_eq!(newest.check(&password("x"), None, &Costs::default()), Ok(Check::Wrong));
        assert_eq!(newest.runs()[&newest.cost], 1, "without any hash, the usual cost");
    }

    #[test]
    fn the_new_hash_takes_no_run_more_than_a_wrong_password() {
        let (old, new) = (hasher(8, 1), hasher(16, 2));
        let [low, high] = [&old, &new].map(|hasher| hasher.hash(&password("secret")).unwrap());
        let costs = Costs::of([low.as_str(), high.as_str()]);
        let before: u64 = new.runs().values().sum();
        let right = new.check(&password("secret"), Some(&low), &costs);
        let Ok(Check::Right { rehash: Some(better) }) = right else { panic!("{right:?}") };
        assert_eq!(new.runs().values().sum::<u64>() - before, 2);
        assert_eq!(check(&new, "secret", &better), Ok(Check::Right { rehash: None }));
        assert_eq!(new.check(&password("wrong"), Some(&low), &costs), Ok(Check::Wrong));
    }

    #[test]
    fn only_raised_parameters_give_a_new_hash() {
        let (old, new) = (hasher(8, 1), hasher(16, 2));
        let phc = old.hash(&password("secret")).unwrap();
        let Ok(Check::Right { rehash: Some(better) }) = check(&new, "secret", &phc) else {
            panic!("the hash was not renewed")
        };
        assert!(better.contains("m=16,t=2"));
        assert_eq!(check(&new, "secret", &better), Ok(Check::Right { rehash: None }));
        assert_eq!(check(&old, "secret", &better), Ok(Check::Right { rehash: None }));
        assert_eq!(check(&new, "wrong", &phc), Ok(Check::Wrong));
    }

    #[test]
    fn a_damaged_hash_is_a_fault_and_no_denial() {
        let hasher = hasher(8, 1);
        for phc in ["", "x", "$argon2id$v=19$m=8,t=1,p=1$", "$scrypt$ln=1$c2FsdHNhbHQ$aGFzaA"] {
            assert!(check(&hasher, "x", phc).is_err(), "{phc:?}");
        }
    }

    #[test]
    fn length_is_limited_and_short_ones_are_warned_of() {
        assert_eq!(Password::new(String::new()).unwrap_err(), PasswordError::Empty);
        assert!(Password::new("x".repeat(1_024)).is_ok());
        assert_eq!(Password::new("x".repeat(1_025)).unwrap_err(), PasswordError::TooLong);
        assert!(password("1234567").warning().is_some());
        assert!(password("12345678").warning().is_none());
        assert!(password("пароль12").warning().is_none(), "characters, not bytes");
    }

    #[test]
    fn two_keyboards_type_the_same_password() {
        let hasher = hasher(8, 1);
        let phc = hasher.hash(&password("caf\u{e9} au lait")).unwrap();
        let other = check(&hasher, "cafe\u{301}\u{a0}au lait", &phc);
        assert_eq!(other, Ok(Check::Right { rehash: None }));
        let phc = hasher.hash(&password("tab\tinside")).unwrap();
        assert_eq!(check(&hasher, "tab\tinside", &phc), Ok(Check::Right { rehash: None }));
    }

    #[test]
    fn a_password_is_never_printed() {
        assert!(!format!("{:?}", password("PLANTED")).contains("PLANTED"));
    }
}
