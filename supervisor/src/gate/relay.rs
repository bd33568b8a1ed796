//! Bytes in both directions, until both sides are done.

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::audit::{End, Flow};
use super::hello::{Hello, Said};
use super::open::{Shared, Unsaid};
use super::stream::{read, write_all};

/// One connection, with both its ends.
pub(super) struct Link<'a> {
    pub(super) shared: &'a Shared,
    pub(super) flow: &'a Flow,
    /// The name under which TLS has to be asked for. Whoever was granted an address may ask for any.
    pub(super) name: Option<&'a str>,
    pub(super) client: &'a TcpStream,
    pub(super) server: &'a TcpStream,
}

#[derive(Clone, Copy)]
enum Way {
    Out,
    Back,
}

/// How long a greeting that has begun may take.
const GREETING: Duration = Duration::from_secs(10);
/// How long a connection is silent before its buffers are given up.
const PAUSE: Duration = Duration::from_millis(20);

impl Link<'_> {
    /// `early` is what the client said already.
    pub(super) async fn relay(&self, early: Vec<u8>, unsaid: Unsaid<'_>) -> End {
        let out = async {
            let _unsaid = unsaid;
            let said = self.greeting(early).await?;
            self.write(Way::Out, &said).await?;
            drop(said);
            self.pump(Way::Out).await?;
            self.flow.has_said_all();
            Ok(())
        };
        match tokio::try_join!(out, self.pump(Way::Back)) {
            Ok(_) => End::Closed,
            Err(end) => end,
        }
    }

    /// What a client says first, once it is seen to be no TLS, or TLS with the right server. The
    /// server may speak before it.
    async fn greeting(&self, mut said: Vec<u8>) -> Result<Vec<u8>, End> {
        let Some(name) = self.name else { return Ok(said) };
        let mut hello = Hello::new();
        let mut piece = [0; 4096];
        let mut is_over = false;
        let mut until = (!said.is_empty()).then(|| Instant::now() + GREETING);
        loop {
            match hello.listen(&said) {
                Said::Plain => return Ok(said),
                Said::Part if is_over => return Ok(said),
                Said::Part => {}
                Said::Tls(Some(asked)) if asked == name => return Ok(said),
                Said::Tls(asked) => return Err(self.misnamed(asked.as_deref())),
                Said::Garbled => return Err(self.misnamed(None)),
            }
            let read = read(self.client, &mut piece);
            let read = match until {
                None => read.await?,
                Some(until) => timeout_at(until, read).await.map_err(|_| self.misnamed(None))??,
            };
            until = until.or_else(|| Some(Instant::now() + GREETING));
            is_over = read == 0;
            said.extend_from_slice(piece.get(..read).unwrap_or_default());
        }
    }

    fn misnamed(&self, asked: Option<&str>) -> End {
        self.shared.audit.server_name(self.flow, asked);
        End::ServerName
    }

    /// Everything one side says, to its last word.
    async fn pump(&self, way: Way) -> Result<(), End> {
        let (from, to) = self.ends(way);
        let mut buffer = Vec::new();
        loop {
            // Who waits for long holds no buffer; who only pauses does not clear one again.
            let more = from.readable();
            if let Ok(more) = timeout(PAUSE, more).await {
                more.map_err(|_| End::Reset)?;
            } else {
                buffer = Vec::new();
                from.readable().await.map_err(|_| End::Reset)?;
            }
            buffer.resize(self.shared.buffer_bytes, 0);
            // Who is never made to wait makes nobody else wait.
            consume_budget().await;
            match from.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => self.write(way, buffer.get(..read).unwrap_or_default()).await?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Err(End::Reset),
            }
        }
        // The other side may be gone already.
        shutdown(to.as_raw_fd(), Shutdown::Write).map_err(|_| End::Reset)
    }

    async fn write(&self, way: Way, bytes: &[u8]) -> Result<(), End> {
        let (_, to) = self.ends(way);
        let allowed = self.shared.meter.take(bytes.len());
        // Before: whoever reads the last of them may be gone, and all be told, at once.
        match way {
            Way::Out => self.shared.audit.sent(self.flow, allowed),
            Way::Back => self.shared.audit.received(self.flow, allowed),
        }
        write_all(to, bytes.get(..allowed).unwrap_or_default()).await?;
        if allowed < bytes.len() {
            self.shared.audit.too_many_bytes();
            return Err(End::NetworkBytes);
        }
        let wait = self.shared.meter.wait(allowed);
        if !wait.is_zero() {
            sleep(wait).await;
        }
        Ok(())
    }

    fn ends(&self, way: Way) -> (&TcpStream, &TcpStream) {
        match way {
            Way::Out => (self.client, self.server),
            Way::Back => (self.server, self.client),
        }
    }
}
