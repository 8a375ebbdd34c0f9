//! The login node from outside: the real program, driven as an operator and as a peer would.

mod cli;
mod harness;
mod login;
mod serving;
