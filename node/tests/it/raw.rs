//! A dialler made by hand: it speaks TCP, multistream and Noise perfectly, and everything after that byte by byte.

use std::net::SocketAddr;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use lanyard_protocol::hello::{GATE_PROTOCOL, HEAD_LEN, Verdict, VerdictCode, parse_head};
use libp2p::core::upgrade::OutboundConnectionUpgrade as _;
use libp2p::tcp::tokio::TcpStream;
use libp2p::{identity, noise};

use crate::cast::within;

/// Every connection that comes to nothing is closed within this time.
pub(crate) const HALF_OPEN: Duration = Duration::from_secs(10);
pub(crate) const MULTISTREAM: &str = "/multistream/1.0.0";
const NOISE: &str = "/noise";

/// A connection inside Noise.
pub(crate) type Noisy = noise::Output<TcpStream>;

pub(crate) fn keypair(key: &SigningKey) -> identity::Keypair {
    identity::Keypair::ed25519_from_bytes(key.to_bytes()).unwrap()
}

/// One line of multistream: its length, the text, a newline.
pub(crate) fn line(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.len() + 1).unwrap()];
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(b'\n');
    bytes
}

pub(crate) async fn say(io: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    io.write_all(bytes).await.unwrap();
    io.flush().await.unwrap();
}

pub(crate) async fn hear_line(io: &mut (impl AsyncRead + Unpin)) -> String {
    let mut length = [0];
    io.read_exact(&mut length).await.unwrap();
    let mut text = vec![0; usize::from(length[0])];
    io.read_exact(&mut text).await.unwrap();
    assert_eq!(text.pop(), Some(b'\n'));
    String::from_utf8(text).unwrap()
}

/// Asks for a protocol, and says what the other side answers.
pub(crate) async fn propose(io: &mut (impl AsyncRead + AsyncWrite + Unpin), name: &str) -> String {
    say(io, &[line(MULTISTREAM), line(name)].concat()).await;
    assert_eq!(hear_line(io).await, MULTISTREAM);
    hear_line(io).await
}

pub(crate) async fn tcp(to: SocketAddr) -> TcpStream {
    let stream = within(HALF_OPEN, "TCP", tokio::net::TcpStream::connect(to)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    TcpStream(stream)
}

/// Up to where Noise has been negotiated and not begun.
pub(crate) async fn before_noise(to: SocketAddr) -> TcpStream {
    let mut io = tcp(to).await;
    assert_eq!(propose(&mut io, NOISE).await, NOISE);
    io
}

/// Up to where Noise has proved both keys.
pub(crate) async fn inside_noise(to: SocketAddr, key: &SigningKey) -> Noisy {
    let io = before_noise(to).await;
    let noise = noise::Config::new(&keypair(key)).unwrap();
    let (_peer, io) = noise.upgrade_outbound(io, NOISE).await.unwrap();
    io
}

/// Up to where the gate waits for our Hello.
pub(crate) async fn at_gate(to: SocketAddr, key: &SigningKey) -> Noisy {
    let mut io = inside_noise(to, key).await;
    assert_eq!(propose(&mut io, GATE_PROTOCOL).await, GATE_PROTOCOL);
    io
}

/// Everything that still comes, to the end of the stream.
pub(crate) async fn rest(io: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = within(HALF_OPEN, "the end of the stream", io.read_to_end(&mut bytes)).await;
    read.unwrap();
    bytes
}

/// Waits until the other side has closed or reset the connection. What it said meanwhile does not matter.
pub(crate) async fn closed(io: &mut (impl AsyncRead + Unpin)) {
    let mut bytes = Vec::new();
    within(HALF_OPEN, "the close of a half-open connection", io.read_to_end(&mut bytes)).await.ok();
}

/// The verdict, if the bytes are one verdict frame and not one byte more.
pub(crate) fn only_verdict(bytes: &[u8]) -> VerdictCode {
    let (head, body) = bytes.split_at(HEAD_LEN);
    let length = parse_head(head.try_into().unwrap()).unwrap();
    assert_eq!(body.len(), length, "exactly one frame: {bytes:02x?}");
    Verdict::parse(body).unwrap().code
}

/// Reads one frame and gives its body.
pub(crate) async fn frame(io: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut head = [0; HEAD_LEN];
    io.read_exact(&mut head).await.unwrap();
    let mut body = vec![0; parse_head(head).unwrap()];
    io.read_exact(&mut body).await.unwrap();
    body
}

/// Shows these bytes at the gate; everything that the listener then says.
pub(crate) async fn shown(to: SocketAddr, key: &SigningKey, bytes: &[u8]) -> Vec<u8> {
    let mut io = at_gate(to, key).await;
    say(&mut io, bytes).await;
    rest(&mut io).await
}
