//! The costs of stored hashes: a check takes one run at each, so that its time does not tell names apart.
//!
//! After the operator has raised the cost of Argon2, old and new hashes are stored side by side until everybody has
//! signed in once. A check at the cost of the account's own hash would tell an account with an old hash, one with a new
//! hash and an unknown name apart.

use std::collections::{BTreeMap, BTreeSet};

use argon2::Params;
use argon2::password_hash::phc::PasswordHash;

/// Sixteen and 32 bytes of zeros in base64. Whether they match is never looked at, so they need not be secret.
const NO_SALT: &str = "AAAAAAAAAAAAAAAAAAAAAA";
const NO_HASH: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The cost of a hash: the part of its PHC string before the salt, which is algorithm, version and parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(String);

impl Cost {
    /// The cost of a PHC string; `None` for one that cannot be checked.
    #[must_use]
    pub fn of(phc: &str) -> Option<Self> {
        let readable = PasswordHash::new(phc).ok()?;
        Params::try_from(&readable).ok()?;
        Some(Self(before_salt(phc)?.to_owned()))
    }

    /// The cost of hashes with these parameters.
    #[must_use]
    pub fn with(params: &Params) -> Self {
        let (memory_kib, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        Self(format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}"))
    }

    /// A PHC string of this cost that belongs to nobody.
    #[must_use]
    pub fn nobody(&self) -> String {
        format!("{}${NO_SALT}${NO_HASH}", self.0)
    }
}

/// The part of a PHC string that is its cost.
fn before_salt(phc: &str) -> Option<&str> {
    let (before_hash, _hash) = phc.rsplit_once('$')?;
    before_hash.rsplit_once('$').map(|(cost, _salt)| cost)
}

/// The costs of all hashes in a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Costs(BTreeSet<Cost>);

impl Costs {
    /// The costs of these PHC strings; damaged ones are left out.
    #[must_use]
    pub fn of(phcs: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut costs = BTreeSet::new();
        for phc in phcs {
            let phc = phc.as_ref();
            // Reading a whole string takes far longer than seeing that its cost is known.
            let is_known = costs.iter().any(|Cost(known)| Some(known.as_str()) == before_salt(phc));
            if !is_known {
                costs.extend(Cost::of(phc));
            }
        }
        Self(costs)
    }

    /// The memory that the most expensive run takes, in KiB; 0 without any.
    #[must_use]
    pub fn memory_kib(&self) -> u32 {
        let memory_kib = |cost: &Cost| {
            let phc = cost.nobody();
            Params::try_from(&PasswordHash::new(&phc).ok()?).ok().map(|params| params.m_cost())
        };
        self.0.iter().filter_map(memory_kib).max().unwrap_or(0)
    }

    /// The PHC strings to run, one at each cost: `stored` at its own cost, and strings that belong to nobody at the
    /// others. A database without hashes counts as one with the `usual` cost. `None` if `stored` is damaged.
    #[must_use]
    pub fn runs(&self, stored: Option<&str>, usual: &Cost) -> Option<BTreeMap<Cost, String>> {
        let mut runs: BTreeMap<Cost, String> =
            self.0.iter().map(|cost| (cost.clone(), cost.nobody())).collect();
        if let Some(phc) = stored {
            runs.insert(Cost::of(phc)?, phc.to_owned());
        }
        if runs.is_empty() {
            runs.insert(usual.clone(), usual.nobody());
        }
        Some(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_the_part_before_the_salt() {
        let cost = Cost::with(&Params::new(64, 3, 1, None).unwrap());
        assert_eq!(cost.0, "$argon2id$v=19$m=64,t=3,p=1");
        assert_eq!(Cost::of(&cost.nobody()), Some(cost.clone()));
        let other = cost.nobody().replace("m=64", "m=65");
        assert_ne!(Cost::of(&other), Some(cost));
    }

    #[test]
    fn each_cost_is_listed_once() {
        let cost = |memory_kib| Cost::with(&Params::new(memory_kib, 1, 1, None).unwrap());
        let phcs = [8, 64, 8, 32].map(|memory_kib| cost(memory_kib).nobody());
        let damaged = format!("{}$$", cost(16).0);
        let costs = Costs::of(phcs.iter().chain([&damaged]));
        assert_eq!(costs.0, BTreeSet::from([cost(8), cost(32), cost(64)]));
        assert_eq!((costs.memory_kib(), Costs::default().memory_kib()), (64, 0));
    }

    #[test]
    fn damaged_hashes_have_no_cost() {
        for phc in
            ["", "phc", "$argon2id$v=19$m=8,t=1,p=1$", "$argon2id$v=19$m=1,t=0,p=1$AAAA$AAAA"]
        {
            assert_eq!(Cost::of(phc), None, "{phc}");
        }
    }
}
