//! Peers: who may link, where they can be dialled, who is linked and who is there, and how we are shown to them.

pub mod address_book;
pub mod admission;
pub(crate) mod degree;
pub(crate) mod links;
pub(crate) mod own_presence;
pub mod roster;
