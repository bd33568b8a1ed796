//! The gate of one run, while that goes on.

use std::net::{TcpListener as Listener, UdpSocket as Datagrams};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use belljar_protocol::Transport;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::audit::{Audit, End};
use super::bound::Bindings;
use super::layout::Layout;
use super::meter::{Meter, Pace};
use super::refusals::Refusals;
use super::table::{Table, Target};
use super::upstream::Upstream;
use super::{door, names};
use crate::{Denied, Error, Limits, NetworkUse};

/// The gate of one run, while that goes on. Closed when dropped.
pub(crate) struct Gate {
    pub(super) shared: Arc<Shared>,
    /// Ends when it is dropped.
    doors: JoinSet<()>,
    refusals: Option<Arc<Refusals>>,
}

/// What all connections of one run share.
pub(super) struct Shared {
    pub(super) table: Table,
    pub(super) bindings: Bindings,
    pub(super) upstream: Upstream,
    pub(super) audit: Audit,
    pub(super) meter: Meter,
    /// One for each connection that may be open.
    pub(super) slots: Arc<Semaphore>,
    pub(super) arrivals: Pace,
    pub(super) questions: Pace,
    pub(super) buffer_bytes: usize,
    /// Connections on which something may still be on its way out.
    pub(super) unsaid: watch::Sender<usize>,
}

/// What all buffers of one run may take together, which nobody charges to it.
const BUFFERS_BYTES: usize = 32 * 1024 * 1024;
const PIECES_PER_S: u64 = 16;
const LEAST_BUFFER_BYTES: usize = 4 * 1024;
const MOST_BUFFER_BYTES: usize = 256 * 1024;
/// New connections, and questions for names: more than a program needs, less than a processor.
const ARRIVALS_PER_S: u64 = 1000;
const QUESTIONS_PER_S: u64 = 1000;
/// How long it takes at most to let somebody in, and to pass on what a run leaves behind.
const ARRIVING: Duration = Duration::from_millis(1);
const DRAINING: Duration = Duration::from_millis(500);
const AT_ONCE: Duration = Duration::from_secs(1);

impl Shared {
    /// Tells that `target` was not granted, and whether it could have been.
    pub(super) fn refuse(&self, target: &Target, port: u16) -> End {
        if let Target::Address(address) = target
            && let Err(blocked) = self.upstream.judge(*address)
        {
            self.audit.blocked(target, port, *address, blocked);
            return End::RefusedAddress;
        }
        self.audit.not_granted(target, Some(port));
        End::NotGranted
    }
}

impl Gate {
    /// Opens the gate on the listening sockets that came out of the jar, in the order in which the
    /// layout named them. Each attempt that is refused is told to `denials`.
    ///
    /// # Errors
    /// [`Error::Protocol`] when there are not as many as were ordered, [`Error::Internal`] when one
    /// cannot be waited on.
    pub(crate) fn open(
        layout: Layout,
        sockets: Vec<OwnedFd>,
        limits: &Limits,
        started: Instant,
        denials: mpsc::Sender<Denied>,
    ) -> Result<Self, Error> {
        let Layout { gateway, table, bindings, open_ranges, resolver, .. } = layout;
        if sockets.len() != gateway.doors.len() {
            let (came, ordered) = (sockets.len(), gateway.doors.len());
            return Err(Error::Protocol(format!(
                "{came} sockets came out of a jar, not {ordered}"
            )));
        }
        let connections = usize::try_from(limits.connections).unwrap_or(usize::MAX);
        // What passes in one piece is not slowed down within it.
        let at_once =
            usize::try_from(limits.network_bytes_per_s / PIECES_PER_S).unwrap_or(usize::MAX);
        let shared = Arc::new(Shared {
            table,
            bindings,
            upstream: Upstream::new(open_ranges, resolver),
            audit: Audit::new(started, denials),
            meter: Meter::new(limits.network_bytes, limits.network_bytes_per_s),
            slots: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            arrivals: Pace::new(ARRIVALS_PER_S, AT_ONCE),
            questions: Pace::new(QUESTIONS_PER_S, AT_ONCE),
            buffer_bytes: (BUFFERS_BYTES / connections.saturating_mul(2).max(1))
                .min(at_once)
                .clamp(LEAST_BUFFER_BYTES, MOST_BUFFER_BYTES),
            unsaid: watch::Sender::new(0),
        });
        let (mut doors, mut refusals) = (JoinSet::new(), None);
        for (door, socket) in gateway.doors.iter().zip(sockets) {
            let shared = Arc::clone(&shared);
            let unusable =
                |error| Error::Internal("cannot wait on a socket of a jar".to_owned(), error);
            match door.transport {
                Transport::Tcp => {
                    let listener = listener(socket).map_err(unusable)?;
                    doors.spawn(door::keep(shared, listener));
                }
                Transport::Udp => {
                    let socket = datagrams(socket).map_err(unusable)?;
                    doors.spawn(names::keep(shared, socket));
                }
                Transport::Refusals => {
                    let heard = Arc::new(Refusals::new(socket).map_err(unusable)?);
                    doors.spawn(Arc::clone(&heard).keep(shared));
                    refusals = Some(heard);
                }
            }
        }
        Ok(Self { shared, doors, refusals })
    }

    /// Waits until everything that was sent from inside is passed on, if that is soon.
    pub(crate) async fn drain(&self) {
        // Who connected last may not have been let in yet.
        tokio::time::sleep(ARRIVING).await;
        let mut unsaid = self.shared.unsaid.subscribe();
        let said = unsaid.wait_for(|count| *count == 0);
        // What is not said by then stays unsaid.
        drop(timeout(DRAINING, said).await);
    }

    /// Closes it, and tells what came through.
    pub(crate) fn close(self) -> NetworkUse {
        let Self { shared, doors, refusals } = self;
        drop(doors);
        if let Some(refusals) = refusals {
            refusals.finish(&shared);
        }
        shared.audit.close(shared.table.grants())
    }
}

/// Counted as long as something may be on its way out.
pub(super) struct Unsaid<'a>(&'a Shared);

impl<'a> Unsaid<'a> {
    pub(super) fn of(shared: &'a Shared) -> Self {
        shared.unsaid.send_modify(|count| *count += 1);
        Self(shared)
    }
}

impl Drop for Unsaid<'_> {
    fn drop(&mut self) {
        self.0.unsaid.send_modify(|count| *count -= 1);
    }
}

fn listener(socket: OwnedFd) -> std::io::Result<TcpListener> {
    let listener = Listener::from(socket);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn datagrams(socket: OwnedFd) -> std::io::Result<UdpSocket> {
    let socket = Datagrams::from(socket);
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}
