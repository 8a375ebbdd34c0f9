//! The protocol seen from outside: bytes that must never change, hostile bytes, and `PROTOCOL.md` itself.

#[cfg(test)]
mod decoders;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod law;
#[cfg(test)]
mod model;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod simulation;
