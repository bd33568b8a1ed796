//! Starting a worker in its cgroup, telling it its job, and looking at what it built.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use belljar_protocol::{Ceilings, Confinement, Identity, Job, Network, Order, Report, Spent};
use tokio::process::Child;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::barrier::{self, Expected, Seen};
use crate::cgroup::{self, Counters, Hierarchy, Staff};
use crate::channel::Channel;
use crate::handout::Handout;
use crate::host::{Host, Lent};
use crate::keeper::Place;
use crate::output::Capture;
use crate::plan::{Errand, Site};
use crate::scratch::Scratch;
use crate::spawn::{self, Worker};
use crate::tree::Tree;
use crate::{Error, Limits};

/// The longest that walls take to raise before something must be wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a worker whose socket was hung up has to leave by itself.
const POLITE: Duration = Duration::from_millis(100);

/// A jar, and what counts and kills what is in it.
#[derive(Debug)]
pub(crate) struct Raised {
    pub(crate) channel: Channel,
    owner: Owner,
    /// Standard output and error.
    pub(crate) stdout: Capture,
    pub(crate) stderr: Capture,
    pub(crate) group: Option<cgroup::Jar>,
    /// Listening sockets of its network, until somebody takes them.
    pub(crate) doors: Vec<OwnedFd>,
    /// Why there is no outcome, if the worker failed after the payload was let go.
    pub(crate) failure: Option<Error>,
    /// Process 1, as the host counts.
    init: Option<i32>,
    tree: Option<Tree>,
    /// Used before the payload began: by the warden, init, and the walls.
    before: Duration,
    /// Held for as long as anything of the jar may live.
    pub(crate) lent: Lent,
    scratch: Option<Scratch>,
}

/// Who ends the jar, and knows when it has ended.
#[derive(Debug)]
pub(crate) enum Owner {
    /// A warden of its own, whose death is the death of the jar.
    Warden(Box<Child>, i32),
    /// A keeper of many.
    Keeper(Place),
}

/// The order that a new worker waits for, and what goes with it.
pub(crate) struct Orders {
    worker: PathBuf,
    job: Job,
    fds: Vec<OwnedFd>,
    handout: Option<Handout>,
}

/// Starts a worker, in its cgroup where there is one.
pub(crate) async fn spawn(
    host: &'static Host,
    limits: &Limits,
    id: &str,
    site: Site,
    errand: Errand,
) -> Result<(Raised, Orders), Error> {
    let (program, id, most) = (site.worker.clone(), id.to_owned(), limits.clone());
    let hierarchy = &host.hierarchy;
    let has_network = site.jar.network != Network::None;
    let runtime = Handle::current();
    let spawned = tokio::task::spawn_blocking(move || -> io::Result<_> {
        let start = move || {
            let _inside = runtime.enter();
            spawn::worker(&program)
        };
        if let Hierarchy::None { .. } = hierarchy {
            return Ok((start()?, None));
        }
        let jar = cgroup::Jar::create(hierarchy, &id, &most, Staff::InitAndWarden)?;
        if has_network {
            jar.set_aside_for_sockets(&most)?;
        }
        Ok((jar.spawn(start, |worker| Some(worker.pid))?, Some(jar)))
    });
    let (worker, group) = spawned
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(|error| Error::Worker("a worker could not be started".to_owned(), error))?;
    let Worker { child, pid, channel, stdout, stderr } = worker;
    let owner = Owner::Warden(Box::new(child), pid);
    let identity = Identity { uid: site.lent.uid, gid: site.lent.gid };
    let handout = Handout::of(&site.jar.network)
        .map_err(|error| Error::Internal("a socket pair cannot be made".to_owned(), error))?;
    let (handout, gate) = handout.unzip();
    let fds = site.contents.into_iter().map(OwnedFd::from).chain(gate);
    let orders = Orders {
        worker: site.worker,
        job: Job { identity, jar: site.jar, task: errand.task },
        fds: fds
            .chain(errand.contents.into_iter().chain(errand.stdin).map(OwnedFd::from))
            .collect(),
        handout,
    };
    let streams = (stdout, stderr);
    Ok((Raised::new(channel, owner, streams, group, site.lent, site.scratch)?, orders))
}

/// Tells a worker its job, waits until it is confined, and looks whether it is.
pub(crate) async fn confine(
    host: &'static Host,
    limits: &Limits,
    raised: &mut Raised,
    orders: Orders,
) -> Result<(Confinement, Seen), Error> {
    let Orders { worker, job, fds, handout } = orders;
    let ceilings = job.jar.ceilings;
    let has_network = job.jar.network != Network::None;
    let lot = host.lot(&worker, raised.lent.authority).await?;
    let mut lent: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    lent.extend(lot.map(AsFd::as_fd).or(raised.scratch.as_ref().map(AsFd::as_fd)));
    raised.channel.send(&Order::Job(Box::new(job)), &lent).await?;
    drop(lent);
    drop(fds);
    let taken = async {
        match handout {
            Some(handout) => timeout(PATIENCE, handout.take()).await.map_err(|_| {
                failed("a worker did not hand out its sockets", io::ErrorKind::TimedOut)
            })?,
            None => Ok(Vec::new()),
        }
    };
    // A worker that cannot go on says why, and is believed before what it handed out.
    let (confined, doors) = tokio::join!(raised.await_confined(&ceilings, limits), taken);
    let confined = confined?;
    raised.doors = doors?;
    if let Some(tree) = raised.tree.as_mut().filter(|_| has_network) {
        tree.count_connections();
    }
    raised.start_counting();
    Ok(confined)
}

impl Raised {
    pub(crate) fn new(
        channel: Channel,
        owner: Owner,
        (stdout, stderr): (OwnedFd, OwnedFd),
        group: Option<cgroup::Jar>,
        lent: Lent,
        scratch: Option<Scratch>,
    ) -> Result<Self, Error> {
        let capture = |pipe| {
            Capture::new(pipe)
                .map_err(|error| Error::Internal("cannot capture output".to_owned(), error))
        };
        let (init, tree, failure, before) = (None, None, None, Duration::ZERO);
        Ok(Self {
            channel,
            owner,
            stdout: capture(stdout)?,
            stderr: capture(stderr)?,
            group,
            doors: Vec::new(),
            failure,
            init,
            tree,
            before,
            lent,
            scratch,
        })
    }

    /// Waits until the payload is confined, and looks whether it is.
    pub(crate) async fn await_confined(
        &mut self,
        ceilings: &Ceilings,
        limits: &Limits,
    ) -> Result<(Confinement, Seen), Error> {
        let (confinement, payload) = timeout(PATIENCE, self.hear_confined())
            .await
            .map_err(|_| failed("a worker did not get ready", io::ErrorKind::TimedOut))??;
        if confinement.landlock_abi == 0 {
            let what = "a worker claims to be confined without Landlock";
            return Err(Error::Protocol(what.to_owned()));
        }
        let expected = Expected {
            authority: self.lent.authority,
            host_uid: self.lent.host_uid,
            scratch: self.scratch.as_ref(),
            ceilings,
            jar: self.group.as_ref(),
        };
        let seen = barrier::check(payload, &expected).map_err(|it| Error::refused(&it))?;
        if self.group.is_none() {
            let mut tree = Tree::new(self.init.unwrap_or(seen.parent), limits.memory_bytes);
            if self.init.is_some_and(|init| init != seen.parent) {
                tree.adopt(payload);
            }
            self.tree = Some(tree);
        }
        Ok((confinement, seen))
    }

    /// Waits until process 1 stands in the jar.
    pub(crate) async fn await_init(&mut self) -> Result<(), Error> {
        let heard = timeout(PATIENCE, self.channel.receive()).await;
        let heard = heard.map_err(|_| failed("a jar did not stand", io::ErrorKind::TimedOut))??;
        match heard.map(|heard| (heard.report, heard.pid)) {
            Some((Report::InitReady, pid)) => {
                self.init = Some(pid);
                Ok(())
            }
            Some((Report::Refused(refusal), _)) => Err(Error::refused(&refusal)),
            _ => Err(failed("a jar ended before it stood", io::ErrorKind::BrokenPipe)),
        }
    }

    async fn hear_confined(&mut self) -> Result<(Confinement, i32), Error> {
        loop {
            let heard = self.channel.receive().await?;
            let heard = heard.ok_or_else(|| {
                failed("a worker died before it was ready", io::ErrorKind::BrokenPipe)
            })?;
            match heard.report {
                Report::InitReady => self.init = Some(heard.pid),
                Report::Confined(confinement) => return Ok((confinement, heard.pid)),
                Report::Refused(refusal) => return Err(Error::refused(&refusal)),
                Report::Ended(ending, _) => {
                    let what = format!("a worker ended before it was ready: {ending:?}");
                    return Err(failed(&what, io::ErrorKind::BrokenPipe));
                }
                Report::Tally(_) => {
                    let what =
                        "a worker was killed before it was ready; is its memory limit too small?";
                    return Err(failed(what, io::ErrorKind::OutOfMemory));
                }
                _ => {
                    let what = "a worker spoke before it was ready";
                    return Err(Error::Protocol(what.to_owned()));
                }
            }
        }
    }

    /// Counts from here on: what was used so far is not the payload's.
    pub(crate) fn start_counting(&mut self) -> Counters {
        self.before = Duration::ZERO;
        let counters = self.counters();
        self.before = counters.cpu;
        counters
    }

    /// What the payload used so far.
    pub(crate) fn counters(&mut self) -> Counters {
        let mut counters = match (&self.group, &mut self.tree) {
            (Some(jar), _) => jar.counters().unwrap_or_else(|error| {
                tracing::warn!(%error, "the counters of a jar cannot be read");
                Counters::default()
            }),
            (None, Some(tree)) => tree.sample(),
            (None, None) => Counters::default(),
        };
        counters.cpu = counters.cpu.saturating_sub(self.before);
        counters
    }

    /// The same when everything is dead; without a cgroup, what init learnt by reaping counts.
    pub(crate) fn final_counters(&mut self, spent: Option<Spent>) -> Counters {
        let mut counters = self.counters();
        if let (None, Some(spent)) = (&self.group, spent) {
            counters.cpu = counters.cpu.max(Duration::from_micros(spent.cpu_micros));
            counters.memory_peak_bytes =
                counters.memory_peak_bytes.max(spent.largest_resident_bytes);
            counters.processes_peak = counters.processes_peak.max(1);
        }
        counters
    }

    pub(crate) fn sampling_note(&self) -> Option<&'static str> {
        self.tree.as_ref().and_then(Tree::note)
    }

    /// The keeper that this jar belongs to, and its place there.
    pub(crate) fn place(&self) -> Option<&Place> {
        match &self.owner {
            Owner::Keeper(place) => Some(place),
            Owner::Warden(..) => None,
        }
    }

    /// Kills everything of the run but, without a cgroup, the warden.
    pub(crate) fn kill_group(&self) {
        if let Some(jar) = &self.group
            && let Err(error) = jar.kill()
        {
            tracing::warn!(%error, "a cgroup could not be killed");
        }
        if let Some(tree) = &self.tree {
            tree.kill();
        }
    }

    /// Tells whoever owns the jar, for good, that nobody listens any more.
    pub(crate) fn hang_up(&self) {
        self.channel.hang_up();
        if let Owner::Keeper(place) = &self.owner {
            place.finish();
        }
    }

    /// Waits for the death of the jar; kills its warden if that takes too long.
    pub(crate) async fn bury(&mut self, patience: Duration) {
        match &mut self.owner {
            Owner::Warden(child, pid) => {
                if timeout(patience, child.wait()).await.is_err() {
                    tracing::warn!(pid, "a warden had to be killed");
                    if let Err(error) = child.kill().await {
                        tracing::warn!(%error, "and could not be");
                    }
                }
            }
            Owner::Keeper(place) => {
                place.finish();
                let closed = async { while let Ok(Some(_)) = self.channel.receive().await {} };
                if timeout(patience, closed).await.is_err() {
                    tracing::warn!("a jar takes long to die");
                }
            }
        }
        if self.group.as_ref().is_some_and(|jar| !jar.is_empty()) {
            self.kill_group();
        }
    }

    /// Removes the cgroup of a dead jar, and what the run had on the host.
    pub(crate) async fn remove(&mut self) {
        let (group, scratch) = (self.group.take(), self.scratch.take());
        if group.is_none() && scratch.is_none() {
            return;
        }
        let removed = tokio::task::spawn_blocking(move || {
            drop(scratch);
            group.map_or(Ok(()), cgroup::Jar::remove)
        });
        if let Err(error) = removed.await.map_err(io::Error::other).flatten() {
            tracing::warn!(%error, "a cgroup could not be removed");
        }
    }

    /// The same without waiting for it. Outside of a runtime, the keeper and the next sweep do
    /// what is left to do.
    pub(crate) fn tear_down_behind(self, seen: Option<Seen>) {
        let Ok(runtime) = Handle::try_current() else { return self.hang_up() };
        runtime.spawn(async move {
            self.tear_down().await;
            // To let go of a mount namespace waits for the whole kernel.
            drop(tokio::task::spawn_blocking(move || drop(seen)));
        });
    }

    /// Ends the jar, whatever became of it.
    pub(crate) async fn tear_down(mut self) {
        self.hang_up();
        if matches!(self.owner, Owner::Warden(..)) {
            self.kill_group();
        }
        self.bury(POLITE).await;
        self.remove().await;
    }
}

fn failed(what: &str, kind: io::ErrorKind) -> Error {
    Error::Worker(what.to_owned(), kind.into())
}
