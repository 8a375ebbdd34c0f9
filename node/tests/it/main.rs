//! The mesh among enemies: real nodes over loopback TCP, and outsiders, impostors and members who break the rules.

// The attribute tells clippy that helpers of tests are tests.
//TODO #[cfg(test)] mod authority;
#[cfg(test)]
mod cast;
//TODO #[cfg(test)] mod crossing;
//TODO #[cfg(test)] mod forgery;
//TODO #[cfg(test)] mod ghosts;
#[cfg(test)]
mod half_open;
#[cfg(test)]
mod impostor;
#[cfg(test)]
mod lying;
//TODO #[cfg(test)] mod member;
#[cfg(test)]
mod outsider;
#[cfg(test)]
mod raw;
//TODO #[cfg(test)] mod rejects;
//TODO #[cfg(test)] mod restart;
#[cfg(test)]
mod wrong_peer;
