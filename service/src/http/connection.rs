//! One connection: who it is, and how long it may take.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep, timeout};

use super::answer::Refusal;
use super::{Server, routes};
use crate::broker::{LAST_WORDS, Phase};
use crate::json::{API, VERSION};

/// How long a request's head may take, and a connection be idle.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// How long a client may read nothing of what it asked for.
const READ_PATIENCE: Duration = Duration::from_secs(30);
const MOST_HEAD_BYTES: usize = 64 << 10;
const MOST_HEADERS: usize = 64;

/// Answers whatever comes over `stream`, until its other end is gone.
pub(super) async fn attend(stream: UnixStream, server: Arc<Server>, _place: OwnedSemaphorePermit) {
    let caller = stream.peer_cred().ok().and_then(|peer| server.broker.policy().caller(peer.uid()));
    let is_known = caller.is_some();
    let answer = service_fn(|request| {
        let (server, caller) = (Arc::clone(&server), caller.clone());
        async move {
            let answered = match caller {
                Some(caller) => routes::answer(&server, caller, request).await,
                None => routes::refuse(request).await,
            };
            Ok::<_, Infallible>(answered)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(MOST_HEAD_BYTES)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(Patient { stream, stalled: None }), answer);
    let mut connection = pin!(connection);
    if !is_known {
        // A stranger may hear why, and nothing is kept for one.
        return drop(timeout(LAST_WORDS, connection).await);
    }
    tokio::select! {
        // Whatever is wrong with it, it is over, and with it what it was waiting for.
        _ = connection.as_mut() => return,
        () = server.broker.reaches(Phase::Draining) => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(connection.await);
}

/// Says that there are too many.
pub(super) fn turn_away(stream: &UnixStream) {
    say_at_once(stream, &Refusal::overloaded("too many connections"));
}

/// What the kernel takes without waiting; whoever does not read it has learnt enough.
fn say_at_once(stream: &UnixStream, refusal: &Refusal) {
    let (status, body) = (refusal.status, format!("{}\n", refusal.json()));
    let head = format!(
        "HTTP/1.1 {status}\r\nbelljar-api: {API}\r\nbelljar-version: {VERSION}\r\n\
         content-type: application/problem+json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len(),
    );
    drop(stream.try_write(format!("{head}{body}").as_bytes()));
}

/// A stream whose reader has to read now and then: what it is sent is held in memory.
struct Patient {
    stream: UnixStream,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(READ_PATIENCE)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
