//! The protocol seen from outside: bytes that must never change, hostile bytes, and `PROTOCOL.md` itself.

#[cfg(test)]
mod decoders;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
mod law;
mod model;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod rules;
