//! What every Lanyard program does besides its work: it reads a password, logs, handles signals, detects panics, and
//! formats times. The library of the peer needs none of this.

pub mod duration;
pub mod failure;
pub mod limits;
pub mod local_time;
pub mod logging;
pub mod prompt;
pub mod stdin;
pub mod stop;
pub mod terminal;
