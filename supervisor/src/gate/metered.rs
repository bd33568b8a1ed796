//! The two ends of a connection, for what reads and writes them as streams: counted, and no faster
//! and no more than a run may.

use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use nix::sys::socket::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::audit::Flow;
use super::open::Shared;

/// The end toward the jar, and what was read of it already.
pub(super) struct Inner<'a> {
    stream: &'a TcpStream,
    early: Vec<u8>,
}

/// The end toward the host.
pub(super) struct Outer<'a> {
    stream: &'a TcpStream,
    shared: &'a Shared,
    flow: &'a Flow,
    pause: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy)]
enum Way {
    Out,
    Back,
}

impl<'a> Inner<'a> {
    pub(super) fn new(stream: &'a TcpStream, early: Vec<u8>) -> Self {
        Self { stream, early }
    }
}

impl<'a> Outer<'a> {
    pub(super) fn new(stream: &'a TcpStream, shared: &'a Shared, flow: &'a Flow) -> Self {
        Self { stream, shared, flow, pause: None }
    }

    fn poll_pause(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        Poll::Ready(())
    }

    /// Counts what passed.
    ///
    /// # Errors
    /// When it was more than may pass.
    fn passed(&mut self, way: Way, bytes: usize) -> io::Result<()> {
        let allowed = self.shared.meter.take(bytes);
        match way {
            Way::Out => self.shared.audit.sent(self.flow, allowed),
            Way::Back => self.shared.audit.received(self.flow, allowed),
        }
        if allowed < bytes {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let wait = self.shared.meter.wait(bytes);
        self.pause = (!wait.is_zero()).then(|| Box::pin(sleep(wait)));
        Ok(())
    }
}

impl AsyncRead for Inner<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return poll_read(self.stream, context, buffer);
        }
        let now = self.early.len().min(buffer.remaining());
        let rest = self.early.split_off(now);
        buffer.put_slice(&self.early);
        self.early = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Outer<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_pause(context));
        let before = buffer.filled().len();
        ready!(poll_read(self.stream, context, buffer))?;
        let read = buffer.filled().len() - before;
        Poll::Ready(self.passed(Way::Back, read))
    }
}

impl AsyncWrite for Inner<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        poll_write(self.stream, context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(shutdown(self.stream.as_raw_fd(), Shutdown::Write)?))
    }
}

impl AsyncWrite for Outer<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_pause(context));
        let written = ready!(poll_write(self.stream, context, bytes))?;
        Poll::Ready(self.passed(Way::Out, written).map(|()| written))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(shutdown(self.stream.as_raw_fd(), Shutdown::Write)?))
    }
}

fn poll_read(
    stream: &TcpStream,
    context: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    loop {
        ready!(stream.poll_read_ready(context))?;
        match stream.try_read(buffer.initialize_unfilled()) {
            Ok(read) => {
                buffer.advance(read);
                return Poll::Ready(Ok(()));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}

fn poll_write(
    stream: &TcpStream,
    context: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(context))?;
        match stream.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => return Poll::Ready(written),
        }
    }
}
