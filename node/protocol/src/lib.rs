//! The rules of a Lanyard mesh, without any I/O.
pub mod cose;
pub mod ids;
pub mod limits;
pub mod link;
pub mod time;
pub mod wire;
