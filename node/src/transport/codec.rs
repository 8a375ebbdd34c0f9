//! Requests and replies as plain bytes of limited length, each pair on its own stream. Used for `/lanyard/login/1` and
//! `/lanyard/sync/1`; the protocol crate defines what the bytes mean.

use std::io;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use lanyard_protocol::limits::{
    LOGIN_REPLY_BYTES_MAX, LOGIN_REQUEST_BYTES_MAX, SYNC_REPLY_BYTES_MAX, SYNC_REQUEST_BYTES_MAX,
};
use libp2p::StreamProtocol;
use libp2p::request_response;
use zeroize::Zeroizing;

/// Reads to the end of the stream, up to a limit. The bytes are wiped when dropped, because they may contain a
/// password.
#[derive(Debug, Clone, Copy)]
pub struct Capped {
    request_max: usize,
    reply_max: usize,
}

/// Reading to the end needs some room beyond the last byte.
const READ_AHEAD: usize = 64;

/// Bytes that are wiped when dropped.
pub type SecretBytes = Zeroizing<Vec<u8>>;

impl Capped {
    /// The codec of `/lanyard/login/1`.
    pub const LOGIN: Self =
        Self { request_max: LOGIN_REQUEST_BYTES_MAX, reply_max: LOGIN_REPLY_BYTES_MAX };
    /// The codec of `/lanyard/sync/1`.
    pub const SYNC: Self =
        Self { request_max: SYNC_REQUEST_BYTES_MAX, reply_max: SYNC_REPLY_BYTES_MAX };
}

impl request_response::Codec for Capped {
    type Protocol = StreamProtocol;
    type Request = SecretBytes;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<SecretBytes>
    where
        T: AsyncRead + Unpin + Send,
    {
        // Allocate all the room at once: a vector that grows leaves copies of a password behind.
        let room = self.request_max.saturating_add(READ_AHEAD);
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        read_to_end(io, &mut bytes, self.request_max).await?;
        Ok(bytes)
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut bytes = Vec::new();
        read_to_end(io, &mut bytes, self.reply_max).await?;
        Ok(bytes)
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: SecretBytes,
    ) -> io::Result<()> {
        io.write_all(&request).await?;
        io.close().await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        reply: Vec<u8>,
    ) -> io::Result<()> {
        io.write_all(&reply).await?;
        io.close().await
    }
}

async fn read_to_end(
    io: &mut (impl AsyncRead + Unpin + Send),
    bytes: &mut Vec<u8>,
    max: usize,
) -> io::Result<()> {
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    io.take(limit).read_to_end(bytes).await?;
    if bytes.len() > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than the protocol allows"));
    }
    Ok(())
}
