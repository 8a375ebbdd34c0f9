//! The signed objects of the mesh and the messages of its protocols: their content and their exact bytes.

pub mod body;
pub mod hello;
pub mod link;
pub mod login;
pub mod message;
pub mod moderation;
pub mod policy;
pub mod presence;
pub mod ticket;
