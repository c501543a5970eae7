//! The kinds of socket that a connection can have.

use super::tls::RawTls;
use socket2::SockRef;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// Bytes that are read at a time without the runtime.
const DIRECT_READ_BYTES: usize = 4 * 1024;

/// A connected socket of the worker's runtime.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(Socket<TcpStream>),
    Unix(Socket<UnixStream>),
    /// In a box: it is large, and the others are common.
    Tls(Box<TlsStream<Socket<TcpStream>>>),
}

impl Stream {
    /// See [`Socket`].
    pub(super) fn set_direct(&mut self, is_direct: bool) {
        match self {
            Stream::Tcp(socket) => socket.is_direct = is_direct,
            Stream::Unix(socket) => socket.is_direct = is_direct,
            Stream::Tls(stream) => stream.get_mut().0.is_direct = is_direct,
        }
    }
}

/// A socket that is registered with the runtime. One that is *direct* asks the kernel instead of
/// the runtime whether it is ready: while a task keeps the runtime from noticing anything.
#[derive(Debug)]
pub(super) struct Socket<S> {
    inner: S,
    is_direct: bool,
}

impl<S> Socket<S> {
    pub(super) fn new(inner: S) -> Socket<S> {
        Socket { inner, is_direct: false }
    }
}

impl<S: AsyncRead + AsFd + Unpin> AsyncRead for Socket<S> {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_direct {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let n_bytes = buf.remaining().min(DIRECT_READ_BYTES);
        let read = (&*SockRef::from(&self.inner)).read(buf.initialize_unfilled_to(n_bytes));
        buf.advance(ready!(direct(read))?);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + AsFd + Unpin> AsyncWrite for Socket<S> {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.is_direct {
            return Pin::new(&mut self.inner).poll_write(cx, buf);
        }
        direct((&*SockRef::from(&self.inner)).write(buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.is_direct {
            return Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        }
        direct((&*SockRef::from(&self.inner)).write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The outcome of a call that does not wait. Who gets `Pending` is not woken.
fn direct(done: io::Result<usize>) -> Poll<io::Result<usize>> {
    match done {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
        {
            Poll::Pending
        }
        done => Poll::Ready(done),
    }
}

/// A connected socket on its way from the listener to a worker.
#[derive(Debug)]
pub(super) enum RawStream {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
    Tls(RawTls),
}

impl Stream {
    /// Whether the kernel is asked: see [`Socket`].
    pub(super) fn is_direct(&self) -> bool {
        match self {
            Stream::Tcp(socket) => socket.is_direct,
            Stream::Unix(socket) => socket.is_direct,
            Stream::Tls(stream) => stream.get_ref().0.is_direct,
        }
    }

    /// Whether [`Stream::into_raw`] can do it.
    pub(super) fn is_movable(&self) -> bool {
        !matches!(self, Stream::Tls(_))
    }

    /// Takes the socket from its runtime, so that another one can have it. TLS cannot be taken apart.
    ///
    /// # Errors
    /// If the system does not let it go; then it is closed.
    pub(super) fn into_raw(self) -> io::Result<RawStream> {
        Ok(match self {
            Stream::Tcp(socket) => RawStream::Tcp(socket.inner.into_std()?),
            Stream::Unix(socket) => RawStream::Unix(socket.inner.into_std()?),
            Stream::Tls(_) => return Err(io::ErrorKind::Unsupported.into()),
        })
    }
}

impl RawStream {
    /// Registers the socket with the runtime of the calling thread. One that hands are to be shaken
    /// on is given back.
    pub(super) fn open(self) -> io::Result<Result<Stream, RawTls>> {
        Ok(Ok(match self {
            RawStream::Tcp(stream) => Stream::Tcp(Socket::new(TcpStream::from_std(stream)?)),
            RawStream::Unix(stream) => Stream::Unix(Socket::new(UnixStream::from_std(stream)?)),
            RawStream::Tls(stream) => return Ok(Err(stream)),
        }))
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, buf),
        }
    }

    /// TLS keeps encrypted bytes that the socket has not taken; the others keep nothing.
    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(_) | Stream::Unix(_) => Poll::Ready(Ok(())),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
