//! One request and one reply per stream, each to the end of its half, with a cap.

use std::io;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use lanyard_protocol::limits::LOGIN_REQUEST_BYTES_MAX;
use lanyard_protocol::login::Request;
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;
use zeroize::Zeroizing;

/// The desk's half: it reads requests and writes replies.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoginCodec;

impl Codec for LoginCodec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        // The whole room at once: a vector that grows leaves copies of the password behind.
        let room = LOGIN_REQUEST_BYTES_MAX.saturating_add(1);
        let mut bytes = Zeroizing::new(vec![0_u8; room]);
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match io.read(rest).await? {
                0 => break,
                count => filled = filled.saturating_add(count),
            }
        }
        let request = bytes.get(..filled).unwrap_or_default();
        Request::parse(request).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        _: Request,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        reply: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&reply).await
    }
}
