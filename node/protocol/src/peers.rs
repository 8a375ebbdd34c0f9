//! Other peers: who may link, where they can be dialled, and who is there.

pub mod address_book;
pub mod admission;
pub(crate) mod links;
pub mod roster;
