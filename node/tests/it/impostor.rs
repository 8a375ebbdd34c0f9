//! A listener made by hand, for honest diallers to fall for.

use std::net::SocketAddr;

use ed25519_dalek::SigningKey;
use lanyard_protocol::hello::{GATE_PROTOCOL, Hello};
use libp2p::core::upgrade::InboundConnectionUpgrade as _;
use libp2p::noise;
use libp2p::tcp::tokio::TcpStream;
use tokio::net::TcpListener;

use crate::cast::{LOOPBACK, SOON, key, within};
use crate::raw::{MULTISTREAM, Noisy, frame, hear_line, keypair, line, say};

/// See the module.
pub(crate) struct Impostor {
    listener: TcpListener,
    key: SigningKey,
    pub(crate) address: SocketAddr,
}

impl Impostor {
    /// Listens with the key of `name`.
    pub(crate) async fn with_key_of(name: &str) -> Self {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, key: key(name), address }
    }

    /// The next connection, before its first byte.
    pub(crate) async fn tcp(&self) -> TcpStream {
        let (stream, _from) = self.listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        TcpStream(stream)
    }

    /// The next connection, inside Noise.
    pub(crate) async fn noise(&self) -> Noisy {
        let mut io = within(SOON, "a dial", self.tcp()).await;
        agree(&mut io, "/noise").await;
        let noise = noise::Config::new(&keypair(&self.key)).unwrap();
        let (_peer, io) = noise.upgrade_inbound(io, "/noise").await.unwrap();
        io
    }

    /// The next connection, with the dialler's Hello read.
    pub(crate) async fn hello(&self) -> (Noisy, Hello) {
        let mut io = self.noise().await;
        agree(&mut io, GATE_PROTOCOL).await;
        let hello = Hello::parse(&frame(&mut io).await).unwrap();
        (io, hello)
    }
}

/// Agrees to the one protocol that the dialler proposes.
pub(crate) async fn agree<C>(io: &mut C, name: &str)
where
    C: futures::AsyncRead + futures::AsyncWrite + Unpin,
{
    assert_eq!(hear_line(io).await, MULTISTREAM);
    assert_eq!(hear_line(io).await, name);
    say(io, &[line(MULTISTREAM), line(name)].concat()).await;
}
