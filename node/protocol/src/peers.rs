//! Other peers, and how we appear to them.
//!
//! ```text
//!   admission.rs     which of them may be linked     links.rs         the links that stand
//!   boots.rs         which start of each is newest
//!   address_book.rs  where they can be dialled       roster.rs        who is there
//!   degree.rs        how many links, among many      own_presence.rs  what we say of ourselves
//! ```

pub mod address_book;
pub mod admission;
pub mod boots;
pub mod degree;
pub(crate) mod links;
pub(crate) mod own_presence;
pub mod roster;
