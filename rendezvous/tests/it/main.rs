//! The login node from outside: the real program, used as operators and peers use it.

// The attribute tells clippy that helpers of tests are tests.
#[cfg(test)]
mod acts;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod devices;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod login;
#[cfg(test)]
mod moderations;
#[cfg(test)]
mod names;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod tickets;
#[cfg(test)]
mod timing;
#[cfg(test)]
mod wrong_uses;
