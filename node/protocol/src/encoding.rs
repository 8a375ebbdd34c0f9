//! Encoding and decoding: bounded CBOR, COSE signatures, identifiers, and text that is safe to show.

pub mod cose;
pub mod ids;
pub mod limits;
pub mod text;
pub mod wire;
pub mod words;
