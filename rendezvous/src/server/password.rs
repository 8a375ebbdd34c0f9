//! Passwords: Argon2id in PHC strings, at the same cost for names that do not exist.
//!
//! For an unknown name, the check runs the same code with the same parameters on a PHC string that no password matches,
//! so neither the reply nor its timing reveals which names exist.

pub mod pool;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use lanyard_node::random::{self, NoRandomness};
use precis_profiles::precis_core::profile::PrecisFastInvocation as _;
use zeroize::Zeroizing;

use crate::folder::config::Argon2Config;

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

/// Argon2id with one set of parameters.
#[derive(Debug)]
pub struct Hasher {
    params: Params,
    /// A PHC string that no password matches.
    nobody: String,
    calls: AtomicU64,
}

impl Hasher {
    /// Prepares the parameters, without hashing anything.
    ///
    /// # Errors
    /// [`PasswordError::Parameters`] if Argon2 does not support them, [`PasswordError::Random`].
    pub fn new(config: Argon2Config) -> Result<Self, PasswordError> {
        let params = Params::new(config.memory_kib, config.passes, 1, Some(OUTPUT_BYTES))
            .map_err(PasswordError::Parameters)?;
        // A random output: finding a password for it means breaking Argon2, and the check ignores a match anyway.
        let output = random::bytes::<OUTPUT_BYTES>()?;
        let phc = |_unsized| PasswordError::Hash(argon2::password_hash::Error::OutputSize);
        let nobody = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::default().into()),
            params: (&params).try_into().map_err(PasswordError::Hash)?,
            salt: Some(Salt::new(&random::bytes::<SALT_BYTES>()?).map_err(phc)?),
            hash: Some(Output::new(&output).map_err(phc)?),
        };
        let nobody = nobody.to_string();
        Ok(Self { params, nobody, calls: AtomicU64::new(0) })
    }

    /// How often Argon2 has run, which is the same for a known and an unknown name.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Hashes a new password into a PHC string.
    ///
    /// # Errors
    /// [`PasswordError::Hash`] if there is no memory for it, [`PasswordError::Random`].
    pub fn hash(&self, password: &Password) -> Result<String, PasswordError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let phc = self
            .argon2()
            .hash_password_with_salt(password.0.as_bytes(), &random::bytes::<SALT_BYTES>()?)
            .map_err(PasswordError::Hash)?;
        Ok(phc.to_string())
    }

    /// Checks a password against a stored PHC string, or against one that nothing matches.
    ///
    /// # Errors
    /// [`PasswordError::Hash`] if the stored string is damaged or there is no memory.
    pub fn check(&self, password: &Password, stored: Option<&str>) -> Result<Check, PasswordError> {
        // The string that nothing matches is parsed each time as well, because parsing takes time.
        let phc = PasswordHash::new(stored.unwrap_or(&self.nobody)).map_err(|_damaged| {
            PasswordError::Hash(argon2::password_hash::Error::EncodingInvalid)
        })?;
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.argon2().verify_password(password.0.as_bytes(), &phc) {
            Ok(()) if stored.is_none() => Ok(Check::Wrong),
            Ok(()) if self.is_cheaper(&phc) => {
                Ok(Check::Right { rehash: Some(self.hash(password)?) })
            }
            Ok(()) => Ok(Check::Right { rehash: None }),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Check::Wrong),
            Err(error) => Err(PasswordError::Hash(error)),
        }
    }

    /// Whether a stored hash has a lower cost than the present parameters. One with a higher cost stays.
    fn is_cheaper(&self, phc: &PasswordHash) -> bool {
        Params::try_from(phc).map_or(true, |old| {
            old.m_cost() < self.params.m_cost() || old.t_cost() < self.params.t_cost()
        })
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::default(), self.params.clone())
    }
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

    #[test]
    fn only_the_right_password_matches() {
        let hasher = hasher(8, 1);
        let phc = hasher.hash(&password("correct horse")).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{phc}");
        let right = hasher.check(&password("correct horse"), Some(&phc));
        assert_eq!(right, Ok(Check::Right { rehash: None }));
        assert_eq!(hasher.check(&password("correct horsE"), Some(&phc)), Ok(Check::Wrong));
        assert_ne!(phc, hasher.hash(&password("correct horse")).unwrap(), "each has its own salt");
    }

    #[test]
    fn an_unknown_name_costs_the_same_and_never_matches() {
        let hasher = hasher(8, 1);
        let phc = hasher.hash(&password("secret")).unwrap();
        let before = hasher.calls();
        assert_eq!(hasher.check(&password("x"), Some(&phc)), Ok(Check::Wrong));
        let known = hasher.calls() - before;
        assert_eq!(hasher.check(&password("x"), None), Ok(Check::Wrong));
        assert_eq!(hasher.calls() - before - known, known);
        let stored = PasswordHash::new(&phc).unwrap();
        let nobody = PasswordHash::new(&hasher.nobody).unwrap();
        assert_eq!(stored.params, nobody.params);
        assert_eq!(stored.version, nobody.version);
        assert_eq!(stored.algorithm, nobody.algorithm);
        assert_eq!(phc.len(), hasher.nobody.len());
    }

    #[test]
    fn only_raised_parameters_give_a_new_hash() {
        let (old, new) = (hasher(8, 1), hasher(16, 2));
        let phc = old.hash(&password("secret")).unwrap();
        let Ok(Check::Right { rehash: Some(better) }) = new.check(&password("secret"), Some(&phc))
        else {
            panic!("the hash was not renewed")
        };
        assert!(better.contains("m=16,t=2"));
        let again = new.check(&password("secret"), Some(&better));
        assert_eq!(again, Ok(Check::Right { rehash: None }));
        let lower = old.check(&password("secret"), Some(&better));
        assert_eq!(lower, Ok(Check::Right { rehash: None }));
        assert_eq!(new.check(&password("wrong"), Some(&phc)), Ok(Check::Wrong));
    }

    #[test]
    fn a_damaged_hash_is_a_fault_and_no_denial() {
        let hasher = hasher(8, 1);
        for phc in ["", "x", "$argon2id$v=19$m=8,t=1,p=1$", "$scrypt$ln=1$c2FsdHNhbHQ$aGFzaA"] {
            assert!(hasher.check(&password("x"), Some(phc)).is_err(), "{phc:?}");
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
        let other = hasher.check(&password("cafe\u{301}\u{a0}au lait"), Some(&phc));
        assert_eq!(other, Ok(Check::Right { rehash: None }));
        let control = password("tab\tinside");
        let phc = hasher.hash(&control).unwrap();
        assert_eq!(hasher.check(&control, Some(&phc)), Ok(Check::Right { rehash: None }));
    }

    #[test]
    fn a_password_is_never_printed() {
        assert!(!format!("{:?}", password("PLANTED")).contains("PLANTED"));
    }
}
