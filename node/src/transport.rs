//! TCP, Noise, the gate and yamux: composed by hand, because every shorter way bypasses the gate.

pub(crate) mod behaviour;
pub mod codec;
pub mod crowd;
pub(crate) mod gate;
pub mod ports;
pub mod strangers;
pub(crate) mod translate;

use std::io;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::{PeerId, Transport, noise, tcp, yamux};

use gate::{Gate, GateConfig};
use strangers::{Guarded, Handshakes};
use translate::keypair;

/// The time limit from the first byte of TCP to yamux (PROTOCOL.md R-80).
pub const HANDSHAKE: Duration = Duration::from_secs(4);

/// The error for a handshake key that Noise does not accept.
pub type NoiseError = noise::Error;

/// The streams of a connection to the login server: one request at a time, and the next before the last has closed.
const LOGIN_STREAMS_MAX: usize = 2;
/// The streams of a link: requests both ways, gossip and pings.
pub(crate) const LINK_STREAMS_MAX: usize = 64;

/// The transport of the mesh. Without a ticket, no peer gets through the gate.
pub(crate) fn gated(
    key: &SigningKey,
    gate: GateConfig,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NoiseError> {
    let noise = noise::Config::new(&keypair(key))?;
    let handshakes = Handshakes::of_the_gate();
    Ok(guarded(&handshakes)
        .upgrade(Version::V1)
        .authenticate(noise)
        .multiplex_ext(move |peer, endpoint| Gate::new(gate.clone(), *peer, endpoint.clone()))
        .timeout(HANDSHAKE)
        .boxed()
        .map(move |connection, endpoint| {
            handshakes.is_over(&endpoint);
            connection
        })
        .boxed())
}

/// The transport of the login. The password protects it, and the only listener is the pinned realm key.
///
/// # Errors
/// [`NoiseError`] if the key is not accepted.
pub fn ungated(key: &SigningKey) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NoiseError> {
    let noise = noise::Config::new(&keypair(key))?;
    let handshakes = Handshakes::of_the_login_server();
    Ok(guarded(&handshakes)
        .upgrade(Version::V1)
        .authenticate(noise)
        .multiplex(streams(LOGIN_STREAMS_MAX))
        .timeout(HANDSHAKE)
        .boxed()
        .map(move |connection, endpoint| {
            handshakes.is_over(&endpoint);
            connection
        })
        .boxed())
}

/// TCP sockets whose handshakes are counted and limited.
fn guarded(
    handshakes: &Handshakes,
) -> impl Transport<
    Output = Guarded<tcp::tokio::TcpStream>,
    Error = io::Error,
    Dial: Send,
    ListenerUpgrade: Send,
> + Send
+ Unpin
+ 'static {
    let handshakes = handshakes.clone();
    tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .map(move |socket, endpoint| handshakes.guard(socket, &endpoint))
}

/// yamux with this many streams at most in each connection.
pub(crate) fn streams(most: usize) -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(most);
    config
}
