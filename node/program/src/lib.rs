//! What every Lanyard program does around its work: it reads a password, logs, hears signals, notices panics, and puts
//! times into words. The library of the peer needs none of it.

pub mod duration;
pub mod failure;
pub mod limits;
pub mod local_time;
pub mod logging;
pub mod prompt;
pub mod stdin;
pub mod stop;
pub mod terminal;
