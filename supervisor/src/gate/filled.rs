//! A connection to a place to which secrets are bound.

use std::io::{self, Cursor, ErrorKind};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use nix::sys::socket::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, join};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::audit::{End, Flow};
use super::bound::{Bound, Broken, relay};
use super::open::Shared;

/// What is taken from the meter at once, before it is written.
const CREDIT_BYTES: usize = 16 * 1024;

/// Carries requests to the place, with the secrets that are bound to it. `early` is what the client
/// said already.
pub(super) async fn carry(
    shared: &Shared,
    flow: &Flow,
    bound: &Bound,
    (client, server): (&TcpStream, &TcpStream),
    early: Vec<u8>,
) -> End {
    let is_used_up = AtomicBool::new(false);
    let client = join(Cursor::new(early).chain(Socket(client)), Socket(client));
    let server = Metered {
        socket: Socket(server),
        shared,
        flow,
        is_used_up: &is_used_up,
        credit: 0,
        pause: None,
    };
    // Boxed, as its futures are large and most connections have no secret.
    let end = Box::pin(relay(client, server, bound)).await;
    if is_used_up.load(Ordering::Relaxed) {
        return End::NetworkBytes;
    }
    match end {
        Ok(()) => End::Closed,
        Err(Broken::Reset) => End::Reset,
        Err(Broken::ServerName(asked)) => {
            shared.audit.server_name(flow, asked.as_deref());
            End::ServerName
        }
        Err(broken) => End::Bound(broken.word()),
    }
}

/// A stream that is only borrowed.
#[derive(Clone, Copy)]
struct Socket<'a>(&'a TcpStream);

/// A stream to a host, of which every byte counts.
struct Metered<'a> {
    socket: Socket<'a>,
    shared: &'a Shared,
    flow: &'a Flow,
    is_used_up: &'a AtomicBool,
    /// What was counted, and not written yet.
    credit: usize,
    pause: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for Socket<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(read) => {
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(shutdown(self.0.as_raw_fd(), Shutdown::Write).map_err(io::Error::from))
    }
}

impl Metered<'_> {
    /// Waits for the rate of the run.
    fn poll_pace(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        Poll::Ready(())
    }

    fn passed(&mut self, bytes: usize) {
        let wait = self.shared.meter.wait(bytes);
        self.pause = (!wait.is_zero()).then(|| Box::pin(sleep(wait)));
    }

    fn used_up(&self) -> io::Error {
        self.is_used_up.store(true, Ordering::Relaxed);
        self.shared.audit.too_many_bytes();
        io::Error::other("the run has used up what may pass")
    }
}

impl AsyncRead for Metered<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_pace(context));
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        let allowed = self.shared.meter.take(read);
        self.shared.audit.received(self.flow, allowed);
        if allowed < read {
            return Poll::Ready(Err(self.used_up()));
        }
        self.passed(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_pace(context));
        if self.credit == 0 && !bytes.is_empty() {
            self.credit = self.shared.meter.take(bytes.len().min(CREDIT_BYTES));
            if self.credit == 0 {
                return Poll::Ready(Err(self.used_up()));
            }
        }
        let some = bytes.get(..self.credit.min(bytes.len())).unwrap_or_default();
        let written = ready!(Pin::new(&mut self.socket).poll_write(context, some))?;
        self.credit = self.credit.saturating_sub(written);
        self.shared.audit.sent(self.flow, written);
        self.passed(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio::sync::{Semaphore, mpsc};

    use super::*;
    use crate::gate::audit::Audit;
    use crate::gate::bound::Bindings;
    use crate::gate::meter::{Meter, Pace};
    use crate::gate::table::{Table, Target};
    use crate::gate::upstream::Upstream;
    use crate::{Network, Source};

    const HEAD: &str = "POST / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n";
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    /// A run with one secret, and what stands for that inside.
    fn run(network_bytes: u64) -> (Shared, String) {
        let place = "api.example.com:80".parse::<crate::Grant>().unwrap();
        let source = Source::code("").network(Network::Gate(vec![place.clone()]));
        let mut source = source.secret("KEY", "hunter2hunter2").unwrap().bind_secret("KEY", place);
        let (denials, _) = mpsc::channel(1);
        let shared = Shared {
            table: Table::new(Vec::new()),
            bindings: Bindings::take(&mut source).unwrap(),
            upstream: Upstream::new(Vec::new(), None),
            audit: Audit::new(Instant::now(), denials),
            meter: Meter::new(network_bytes, u64::MAX),
            slots: Arc::new(Semaphore::new(1)),
            arrivals: Pace::new(1, std::time::Duration::ZERO),
            questions: Pace::new(1, std::time::Duration::ZERO),
            buffer_bytes: 4096,
            unsaid: tokio::sync::watch::Sender::new(0),
        };
        let placeholder = source.secrets.get("KEY").unwrap().to_vec();
        (shared, String::from_utf8(placeholder).unwrap())
    }

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    /// What the place heard, how the connection ended, and the bytes that were counted each way.
    async fn carry_one(shared: &Shared, early: &str, later: &str) -> (String, End, [u64; 2]) {
        let ((mut payload, client), (server, mut place)) = (pair().await, pair().await);
        let target = Target::Name("api.example.com".to_owned());
        let flow = shared.audit.begin(&target, 80);
        let bound = shared.bindings.at("api.example.com", 80).unwrap();
        payload.write_all(later.as_bytes()).await.unwrap();
        let hearing = tokio::spawn(async move {
            let mut heard = Vec::new();
            while !heard.ends_with(b"body") && place.read_buf(&mut heard).await.unwrap() > 0 {}
            place.write_all(ANSWER).await.unwrap();
            String::from_utf8(heard).unwrap()
        });
        let early = early.as_bytes().to_vec();
        let end = carry(shared, &flow, &bound, (&client, &server), early).await;
        drop((client, server));
        let counted = [&flow.sent, &flow.received].map(|it| it.load(Ordering::Relaxed));
        (hearing.await.unwrap(), end, counted)
    }

    #[tokio::test]
    async fn what_reaches_a_place_with_a_secret_is_counted_to_the_byte() {
        let (shared, placeholder) = run(1 << 20);
        let later = format!("X-Key: {placeholder}\r\nContent-Length: 4\r\n\r\nbody");
        let (heard, end, counted) = carry_one(&shared, HEAD, &later).await;
        assert_eq!(end, End::Closed);
        assert!(heard.contains("hunter2hunter2") && heard.ends_with("body"), "{heard}");
        assert_eq!(counted, [heard.len() as u64, ANSWER.len() as u64]);
    }

    #[tokio::test]
    async fn no_byte_passes_beyond_what_a_run_may_pass() {
        let (shared, _) = run(50);
        let (heard, end, counted) = carry_one(&shared, HEAD, "Content-Length: 4\r\n\r\nbody").await;
        assert_eq!((end, counted), (End::NetworkBytes, [50, 0]));
        assert_eq!(heard.len(), 50);
    }
}
