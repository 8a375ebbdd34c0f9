//! TCP, Noise, the gate and yamux: composed by hand, because every shorter way bypasses the gate.

pub(crate) mod behaviour;
pub mod codec;
pub(crate) mod gate;
pub mod ports;
pub(crate) mod translate;

use std::time::Duration;

use ed25519_dalek::SigningKey;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::{PeerId, Transport as _, noise, tcp, yamux};

use gate::{Gate, GateConfig};
use translate::keypair;

/// The time limit from the first byte of TCP to yamux (PROTOCOL.md R-80).
const HANDSHAKE: Duration = Duration::from_secs(4);

/// The error for a handshake key that Noise does not accept.
pub type NoiseError = noise::Error;

/// The transport of the mesh. Without a ticket, no peer gets through the gate.
pub(crate) fn gated(
    key: &SigningKey,
    gate: GateConfig,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NoiseError> {
    let noise = noise::Config::new(&keypair(key))?;
    Ok(tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1)
        .authenticate(noise)
        .multiplex_ext(move |peer, endpoint| Gate::new(gate.clone(), *peer, endpoint.clone()))
        .timeout(HANDSHAKE)
        .boxed())
}

/// The transport of the login. The password protects it, and the only listener is the pinned realm key.
///
/// # Errors
/// [`NoiseError`] if the key is not accepted.
pub fn ungated(key: &SigningKey) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NoiseError> {
    let noise = noise::Config::new(&keypair(key))?;
    Ok(tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1)
        .authenticate(noise)
        .multiplex(yamux::Config::default())
        .timeout(HANDSHAKE)
        .boxed())
}
