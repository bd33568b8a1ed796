//! A keeper: a worker that raises many jars of one kind, in a fraction of the time.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::fchown;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use belljar_protocol::{
    Authority, Confinement, Fork, Identity, Jar, Keep, Note, Order, Prime, Raise, Report, Waiting,
};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::barrier::Seen;
use crate::cgroup::{self, Hierarchy, Staff};
use crate::channel::Channel;
use crate::host::Host;
use crate::line::Line;
use crate::raise::{Owner, PATIENCE, Raised};
use crate::receipt::{Kept, LANDLOCK_WITH_SCOPES};
use crate::spawn::{self, Worker};
use crate::{Error, Limits};

/// The longest that an interpreter takes to start, or a template to import what it is to have.
const START_UP: Duration = Duration::from_secs(30);

/// A worker that keeps jars. Dropping the last handle ends it and everything in them.
#[derive(Debug)]
pub(crate) struct Keeper {
    host: &'static Host,
    limits: Limits,
    jar: Jar,
    orders: Channel,
    state: watch::Receiver<State>,
    /// What all its jars lack.
    notes: Vec<Note>,
    serials: AtomicU64,
    generation: u64,
    hearing: JoinHandle<()>,
    /// Gone with the last handle.
    handles: watch::Sender<()>,
    _child: Child,
}

/// What a keeper can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Raise jars, and nothing else was asked of it.
    Keeping,
    /// Its template is starting.
    Warming,
    /// Its template can be forked.
    Forking,
    /// Its template is no more, or never was; jars can still be raised.
    WithoutTemplate(String),
    /// Nothing.
    Gone,
}

/// A jar in which something waits for a task.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) raised: Raised,
    pub(crate) confinement: Confinement,
    pub(crate) seen: Seen,
    pub(crate) line: Line,
    pub(crate) waiting: Waiting,
    pub(crate) kept: Kept,
    /// What it uses while it waits.
    pub(crate) memory_bytes: u64,
}

/// A jar in which nothing waits yet, and which only a template can fill.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) raised: Raised,
    line: Line,
}

/// One jar among those of a keeper.
#[derive(Debug)]
pub(crate) struct Place {
    keeper: Arc<Keeper>,
    serial: u64,
}

/// What a keeper is started with.
#[derive(Debug)]
pub(crate) struct Keeping<'a> {
    pub(crate) host: &'static Host,
    pub(crate) worker: &'a Path,
    pub(crate) limits: &'a Limits,
    pub(crate) jar: Jar,
    /// The bytes of the jar's files, if they are many.
    pub(crate) contents: Option<std::fs::File>,
    pub(crate) prime: Prime,
    /// How much private memory its template may have.
    pub(crate) template_bytes: u64,
    /// How many there were before.
    pub(crate) generation: u64,
}

impl Keeper {
    /// Starts one, and returns when it can raise jars; its template may still be starting.
    pub(crate) async fn start(keeping: Keeping<'_>) -> Result<Arc<Self>, Error> {
        let Keeping { host, worker, limits, jar, contents, prime, template_bytes, generation } =
            keeping;
        let spawned = spawn::worker(worker)
            .map_err(|error| Error::Worker("a keeper could not be started".to_owned(), error))?;
        let Worker { child, mut channel, .. } = spawned;
        let lot = host.lot_of_keepers(worker).await?;
        let state = match &prime {
            Prime::Template(_) => State::Warming,
            Prime::Nothing | Prime::Program(_) => State::Keeping,
        };
        let own_networks = needs_own_networks(host);
        let keep = Keep { jar: jar.clone(), prime, own_networks, template_bytes };
        let fds: Vec<_> = contents.iter().map(AsFd::as_fd).chain(lot.map(AsFd::as_fd)).collect();
        channel.send(&Order::Keep(Box::new(keep)), &fds).await?;
        let heard = timeout(PATIENCE, channel.receive()).await;
        let heard = heard.map_err(|_| lost("a keeper did not get ready"))??;
        let notes = match heard.map(|heard| heard.report) {
            Some(Report::Keeping(notes)) => notes,
            Some(Report::Refused(refusal)) => return Err(Error::refused(&refusal)),
            Some(_) => return Err(Error::Protocol("a keeper spoke out of turn".to_owned())),
            None => return Err(lost("a keeper died before it was ready")),
        };
        let orders = channel
            .duplicate()
            .map_err(|error| Error::Internal("cannot hold a channel twice".into(), error))?;
        let (tell, state) = watch::channel(state);
        Ok(Arc::new(Self {
            host,
            limits: limits.clone(),
            jar,
            orders,
            state,
            notes,
            serials: AtomicU64::new(1),
            generation,
            hearing: tokio::spawn(hear(channel, tell)),
            handles: watch::Sender::new(()),
            _child: child,
        }))
    }

    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until the template is up, or there will be none.
    pub(crate) async fn settled(&self) -> State {
        let mut state = self.state.clone();
        let settled = timeout(START_UP, state.wait_for(|state| *state != State::Warming)).await;
        match settled {
            Ok(Ok(state)) => state.clone(),
            Ok(Err(_)) => State::Gone,
            Err(_) => {
                let seconds = START_UP.as_secs();
                State::WithoutTemplate(format!("it was not ready within {seconds} s"))
            }
        }
    }

    /// Waits, a while, until every jar of this keeper is gone, and it with them.
    pub(crate) async fn outlive_jars(self: Arc<Self>) {
        let mut handles = self.handles.subscribe();
        // With the last handle goes the keeper; jars hold one each until nothing is left of them,
        // whether or not it still lives.
        drop(self);
        drop(timeout(PATIENCE, handles.changed()).await);
    }

    /// Raises one jar, and returns when something waits in it that was looked at.
    pub(crate) async fn raise(self: &Arc<Self>, waiting: Waiting) -> Result<Ready, Error> {
        if waiting == Waiting::Forked {
            let standing = self.stand().await?;
            return self.fork(standing, false).await;
        }
        let (raised, line) = self.order(waiting).await?;
        self.ready(raised, line, waiting).await
    }

    /// Raises a jar into which a child of the template can be forked.
    pub(crate) async fn stand(self: &Arc<Self>) -> Result<Standing, Error> {
        let (mut raised, line) = self.order(Waiting::Forked).await?;
        match raised.await_init().await {
            Ok(()) => Ok(Standing { raised, line }),
            Err(error) => {
                raised.tear_down().await;
                Err(error)
            }
        }
    }

    /// Forks a child of the template into a jar; in a hurry, without warming it up.
    pub(crate) async fn fork(&self, standing: Standing, hurry: bool) -> Result<Ready, Error> {
        let Standing { raised, line } = standing;
        if let Some(place) = raised.place() {
            let (uid, gid) = self.host.in_lot(&raised.lent);
            let identity = Identity { uid, gid };
            place.tell(Order::Fork(Fork { serial: place.serial, identity, hurry }));
        }
        self.ready(raised, line, Waiting::Forked).await
    }

    async fn ready(
        &self,
        mut raised: Raised,
        line: Line,
        waiting: Waiting,
    ) -> Result<Ready, Error> {
        match self.await_ready(&mut raised, line, waiting).await {
            Ok((confinement, seen, line)) => {
                let memory_bytes = raised.start_counting().memory_bytes;
                let is_forked = waiting == Waiting::Forked;
                let generation = self.generation;
                let shares_network = confinement.landlock_abi >= LANDLOCK_WITH_SCOPES
                    && !needs_own_networks(self.host);
                let kept = Kept { generation, is_forked, shares_network };
                Ok(Ready { raised, confinement, seen, line, waiting, kept, memory_bytes })
            }
            Err(error) => {
                raised.tear_down().await;
                Err(error)
            }
        }
    }

    async fn order(self: &Arc<Self>, waiting: Waiting) -> Result<(Raised, Line), Error> {
        let internal = |error| Error::Internal("cannot raise a jar".to_owned(), error);
        let lent = self.host.lend(self.jar.authority)?;
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        let (channel, theirs) = Channel::pair().map_err(internal)?;
        let (line, end) = Line::pair().map_err(internal)?;
        let (stdout, out) = io::pipe().map_err(internal)?;
        let (stderr, err) = io::pipe().map_err(internal)?;
        let (out, err) = (OwnedFd::from(out), OwnedFd::from(err));
        if self.jar.authority == Authority::Host {
            // In there, nobody but the payload has an id that could.
            for pipe in [&out, &err] {
                fchown(pipe, Some(lent.host_uid), Some(lent.host_uid)).map_err(internal)?;
            }
        }
        let (group, entrances) = self.group().await.map_err(internal)?;
        let (uid, gid) = self.host.in_lot(&lent);
        let raise = Raise { serial, identity: Identity { uid, gid }, waiting };
        let fds = [&theirs, &end, &out, &err];
        let fds = fds.into_iter().map(AsFd::as_fd).chain(entrances.iter().map(AsFd::as_fd));
        self.orders.send(&Order::Raise(raise), &fds.collect::<Vec<_>>()).await?;
        let owner = Owner::Keeper(Place { keeper: Arc::clone(self), serial });
        let streams = (stdout.into(), stderr.into());
        Ok((Raised::new(channel, owner, streams, group, lent, None)?, line))
    }

    /// The cgroup of a jar, and how to enter it.
    async fn group(&self) -> io::Result<(Option<cgroup::Jar>, Vec<std::fs::File>)> {
        let hierarchy = &self.host.hierarchy;
        if let Hierarchy::None { .. } = hierarchy {
            return Ok((None, Vec::new()));
        }
        let (id, limits) = (ulid::Ulid::generate().to_string(), self.limits.clone());
        let made = tokio::task::spawn_blocking(move || {
            let group = cgroup::Jar::create(hierarchy, &id, &limits, Staff::Init)?;
            let entrances = group.entrances()?;
            Ok((Some(group), entrances))
        });
        made.await.map_err(io::Error::other)?
    }

    async fn await_ready(
        &self,
        raised: &mut Raised,
        mut line: Line,
        waiting: Waiting,
    ) -> Result<(Confinement, Seen, Line), Error> {
        let (mut confinement, seen) =
            raised.await_confined(&self.jar.ceilings, &self.limits).await?;
        confinement.notes.extend(&self.notes);
        if waiting != Waiting::Empty {
            let ready = timeout(START_UP, line.ready()).await;
            ready.map_err(|_| lost("an interpreter did not get ready"))??;
        }
        Ok((confinement, seen, line))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // With it goes the other end of the keeper's socket, and the keeper with that.
        self.hearing.abort();
    }
}

impl Place {
    /// Ends everything in the jar.
    pub(crate) fn finish(&self) {
        self.tell(Order::Finish { serial: self.serial });
    }

    /// The payload has begun: from now on the keeper, too, looks after its deadline.
    pub(crate) fn began(&self, deadline_ms: u64) {
        self.tell(Order::Began { serial: self.serial, deadline_ms });
    }

    fn tell(&self, order: Order) {
        if self.keeper.orders.send_now(&order).is_ok() {
            return;
        }
        // Its socket is full: it has much to do, and will get to this.
        let keeper = Arc::clone(&self.keeper);
        tokio::spawn(async move {
            if let Err(error) = keeper.orders.send(&order, &[]).await {
                tracing::warn!(%error, "a keeper could not be told");
            }
        });
    }
}

/// Without a cgroup, what sockets hold is counted by the network that they are in.
fn needs_own_networks(host: &Host) -> bool {
    matches!(host.hierarchy, Hierarchy::None { .. })
}

/// Hears a keeper until it is gone.
async fn hear(mut channel: Channel, state: watch::Sender<State>) {
    loop {
        match channel.receive().await.map(|heard| heard.map(|heard| heard.report)) {
            Ok(Some(Report::TemplateReady)) => drop(state.send_replace(State::Forking)),
            Ok(Some(Report::TemplateLost(why))) => {
                tracing::info!(why, "a template is lost");
                state.send_replace(State::WithoutTemplate(why));
            }
            Ok(Some(Report::Refused(refusal))) => {
                tracing::warn!(%refusal, "a keeper could not raise a jar");
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    state.send_replace(State::Gone);
}

fn lost(what: &str) -> Error {
    Error::Worker(what.to_owned(), io::ErrorKind::BrokenPipe.into())
}
