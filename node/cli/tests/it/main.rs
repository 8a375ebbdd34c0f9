//! The program `lanyard-node`, run as its users run it.

// This tells clippy that the helpers of tests are tests.
#[cfg(test)]
mod bench;
