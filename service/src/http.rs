//! The service: HTTP/1.1 and JSON over a Unix socket.

mod answer;
mod body;
mod connection;
mod routes;
mod runs;
mod socket;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use belljar::Error;
use tokio::net::UnixListener;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::sandboxes::Sandboxes;
pub(crate) use body::MOST_BODY_BYTES;
pub(crate) use socket::{Listening, usual_socket};

/// Runs at one time.
const MOST_RUNS: u32 = 64;
/// Bytes of all requests that are being read or understood.
const MOST_WAITING_BYTES: usize = 96 << 20;
/// Connections at one time, where descriptors allow.
const MOST_CONNECTIONS: u32 = 4096;
/// How long the kernel and whoever reads the answers have at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Until there may be descriptors again.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);

/// What all connections share.
pub(crate) struct Service {
    sandboxes: Sandboxes,
    /// One permit for each run until nothing of it is left.
    turns: Arc<Semaphore>,
    /// One permit for each byte of a request.
    room: Arc<Semaphore>,
    phase: watch::Sender<Phase>,
    /// By the names of runs: how to end them.
    live: Mutex<HashMap<String, Arc<Notify>>>,
}

/// How much longer there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// No run begins any more.
    Draining,
    /// Those that go on are killed.
    Ending,
}

impl Service {
    pub(crate) fn new(sandboxes: Sandboxes) -> Arc<Self> {
        Arc::new(Self {
            sandboxes,
            turns: Arc::new(Semaphore::new(MOST_RUNS as usize)),
            room: Arc::new(Semaphore::new(MOST_WAITING_BYTES)),
            phase: watch::Sender::new(Phase::Serving),
            live: Mutex::default(),
        })
    }

    /// Waits until everything that is to be warm is, or cannot be. One line for each.
    pub(crate) async fn warm_up(&self) -> Vec<String> {
        self.sandboxes.warm_up().await
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
        let most = most_connections();
        let places = Arc::new(Semaphore::new(most as usize));
        let listener = listening.listener().map_err(failed)?;
        tokio::select! {
            _ = stop() => {}
            () = self.accept(&listener, &places) => {}
        }
        drop(listener);
        drop(listening);
        self.phase.send_replace(Phase::Draining);
        tokio::select! {
            _ = self.turns.acquire_many(MOST_RUNS) => {}
            () = sleep(grace) => {}
            _ = stop() => {}
        }
        self.phase.send_replace(Phase::Ending);
        drop(timeout(LAST_WORDS, self.turns.acquire_many(MOST_RUNS)).await);
        self.sandboxes.close().await;
        drop(timeout(LAST_WORDS, places.acquire_many(most)).await);
        Ok(())
    }

    async fn accept(self: &Arc<Self>, listener: &UnixListener, places: &Arc<Semaphore>) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => match Arc::clone(places).try_acquire_owned() {
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

    fn is(&self, phase: Phase) -> bool {
        *self.phase.borrow() >= phase
    }

    fn live(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As many as leave descriptors for runs. The soft limit is raised as far as it may be.
fn most_connections() -> u32 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (mut soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        soft = hard;
    }
    u32::try_from(soft / 2).unwrap_or(MOST_CONNECTIONS).clamp(16, MOST_CONNECTIONS)
}
