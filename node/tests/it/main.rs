//! The mesh among enemies: real nodes over loopback TCP, and outsiders, impostors and members who break the rules.

// The attribute tells clippy that helpers of tests are tests.
#[cfg(test)]
mod authority;
#[cfg(test)]
mod cast;
#[cfg(test)]
mod crossing;
#[cfg(test)]
mod forgery;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod ghosts;
#[cfg(test)]
mod half_open;
#[cfg(test)]
mod hostile_member;
#[cfg(test)]
mod hostile_member_attack;
#[cfg(test)]
mod hostile_member_program;
#[cfg(test)]
mod hostile_member_watch;
#[cfg(test)]
mod impostor;
#[cfg(test)]
mod login_server;
#[cfg(test)]
mod lying;
#[cfg(test)]
mod member;
#[cfg(test)]
mod million;
#[cfg(test)]
mod moderation;
#[cfg(test)]
mod outsider;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod rejects;
#[cfg(test)]
mod renewal;
#[cfg(test)]
mod repair;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod wrong_peer;
