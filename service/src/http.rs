//! The door of the service: HTTP/1.1 and JSON over a Unix socket.

mod answer;
mod body;
mod check;
mod connection;
mod events;
mod headers;
mod host;
mod mcp;
mod multipart;
mod past;
mod room;
mod routes;
mod runs;
mod sessions;
mod socket;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use belljar::Error;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::broker::{Broker, LAST_WORDS};
use crate::config::Config;
pub(crate) use answer::ProblemRow;
pub(crate) use body::USUAL_BODY_BYTES;
pub(crate) use socket::{Access, Listening, usual_socket};

/// As many of the largest requests as are read or understood at one time.
const BODIES_AT_ONCE: usize = 4;
/// Of answers out of the history, which are held until somebody has read them.
const MOST_OUTGOING_BYTES: usize = 256 << 20;
/// Even where descriptors are few.
const LEAST_CONNECTIONS: u32 = 16;
/// Until there may be descriptors again.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);

/// What all connections share.
pub(crate) struct Server {
    broker: Arc<Broker>,
    room: Arc<room::Room>,
    /// One permit for each byte of an answer that is nobody else's.
    outgoing: Arc<Semaphore>,
    /// One permit for each connection.
    places: Arc<Semaphore>,
    most_connections: u32,
    /// The largest body of a request.
    most_body_bytes: usize,
    tells_metrics: bool,
    /// Unless it is switched off.
    mcp: Option<mcp::Door>,
}

impl Server {
    pub(crate) fn new(broker: Arc<Broker>, config: &Config) -> Arc<Self> {
        let most_connections = most_connections(config.service.connections);
        let most_body_bytes = usize::try_from(config.service.body_bytes).unwrap_or(usize::MAX);
        Arc::new(Self {
            mcp: config
                .mcp
                .enabled
                .then(|| mcp::Door::new(&broker, most_body_bytes, &config.mcp.origins)),
            broker,
            room: room::Room::new(most_body_bytes.saturating_mul(BODIES_AT_ONCE)),
            outgoing: Arc::new(Semaphore::new(MOST_OUTGOING_BYTES)),
            most_body_bytes,
            tells_metrics: config.metrics.enabled,
            places: Arc::new(Semaphore::new(most_connections as usize)),
            most_connections,
        })
    }

    /// How many connections there are.
    fn connections(&self) -> u64 {
        u64::from(self.most_connections).saturating_sub(self.places.available_permits() as u64)
    }

    /// Serves until somebody says `stop`; then lets runs end by themselves for as long as `grace`,
    /// or until somebody says so again. Nothing is left when it returns.
    pub(crate) async fn serve(
        self: Arc<Self>,
        listening: Listening,
        grace: Duration,
        mut stop: impl AsyncFnMut() -> u8,
    ) -> Result<(), Error> {
        let failed = |error| Error::Internal("cannot listen".to_owned(), error);
        let listener = listening.listener().map_err(failed)?;
        tokio::select! {
            _ = stop() => {}
            () = self.accept(&listener) => {}
        }
        drop(listener);
        drop(listening);
        let hurry = async {
            stop().await;
        };
        self.broker.drain(grace, hurry).await;
        drop(timeout(LAST_WORDS, self.places.acquire_many(self.most_connections)).await);
        Ok(())
    }

    async fn accept(self: &Arc<Self>, listener: &UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => match Arc::clone(&self.places).try_acquire_owned() {
                    Ok(place) => {
                        tokio::spawn(connection::attend(stream, Arc::clone(self), place));
                    }
                    Err(_) => connection::turn_away(&stream),
                },
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => sleep(OUT_OF_DESCRIPTORS).await,
            }
        }
    }
}

/// As many as leave descriptors for runs. The soft limit is raised as far as it may be.
fn most_connections(most: u32) -> u32 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (mut soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        soft = hard;
    }
    u32::try_from(soft / 2).unwrap_or(most).min(most).max(LEAST_CONNECTIONS.min(most))
}
