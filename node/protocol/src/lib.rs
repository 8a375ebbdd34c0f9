//! The rules of a Lanyard mesh, without any I/O.
pub mod ids;
pub mod link;
