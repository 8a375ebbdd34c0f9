//! End to end: the real programs, used, killed and inspected from outside.

// The attribute tells clippy that helpers of tests are tests.
#[cfg(test)]
mod acts;
#[cfg(test)]
mod addresses;
#[cfg(test)]
mod archives;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod chatting;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod encodings;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod first_start;
#[cfg(test)]
mod flood;
#[cfg(test)]
mod forged_lines;
#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod guessing;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod login_node_gone;
#[cfg(test)]
mod lossy;
#[cfg(test)]
mod lost_log;
#[cfg(test)]
mod lost_parts;
#[cfg(test)]
mod moderations;
#[cfg(test)]
mod moderators;
#[cfg(test)]
mod moves;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod partition;
#[cfg(test)]
mod privacy;
#[cfg(test)]
mod reach;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod strangers;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod typed_names;
