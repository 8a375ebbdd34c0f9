//! The protocol seen from outside: bytes that must never change, hostile bytes, and `PROTOCOL.md` itself.

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod decoders;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod history;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod model;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod simulation;
#[cfg(test)]
#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the same file is the library of the fuzz targets")]
mod targets;
#[cfg(test)]
mod thinning;
