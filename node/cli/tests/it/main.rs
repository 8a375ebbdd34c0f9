//! The program `lanyard-node`, run as its users run it.

// The attribute tells clippy that helpers of tests are tests.
#[cfg(test)]
mod bench;
