//! Starting a worker in its cgroup, telling it its job, and looking at what it built.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use belljar_protocol::{Confinement, Order, Report, Spent};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::Error;
use crate::barrier::{self, Expected, Seen};
use crate::cgroup::{Counters, Hierarchy, Jar};
use crate::plan::Plan;
use crate::spawn::{self, Worker};
use crate::tree::Tree;

/// The longest that walls take to raise before something must be wrong.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a worker whose socket was hung up has to leave by itself.
const POLITE: Duration = Duration::from_millis(100);

/// A worker, and what counts and kills it.
#[derive(Debug)]
pub(crate) struct Raised {
    pub(crate) worker: Worker,
    pub(crate) jar: Option<Jar>,
    /// Why there is no outcome, if the worker failed after the payload was let go.
    pub(crate) failure: Option<Error>,
    tree: Option<Tree>,
    /// Used before the payload began: by the warden, init, and the walls.
    before: Duration,
}

/// Starts a worker, in its cgroup where there is one.
pub(crate) async fn spawn(plan: &Plan) -> Result<Raised, Error> {
    let (program, id, limits) = (plan.worker.clone(), plan.id.clone(), plan.limits.clone());
    let hierarchy = &plan.host.hierarchy;
    let runtime = Handle::current();
    let spawned = tokio::task::spawn_blocking(move || -> io::Result<_> {
        let start = move || {
            let _inside = runtime.enter();
            spawn::worker(&program)
        };
        if let Hierarchy::None { .. } = hierarchy {
            return Ok((start()?, None));
        }
        let jar = Jar::create(hierarchy, &id, &limits)?;
        Ok((jar.spawn(start, |worker| Some(worker.pid))?, Some(jar)))
    });
    let (worker, jar) = spawned
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(|error| Error::Worker("a worker could not be started".to_owned(), error))?;
    Ok(Raised { worker, jar, failure: None, tree: None, before: Duration::ZERO })
}

/// Tells a worker its job, waits until it is confined, and looks whether it is.
pub(crate) async fn confine(
    plan: &Plan,
    raised: &mut Raised,
) -> Result<(Confinement, Seen), Error> {
    let lot = plan.host.lot(&plan.worker, plan.lent.authority).await?;
    let mut fds = vec![plan.contents.as_fd(), plan.stdin.as_fd()];
    fds.extend(lot.map(AsFd::as_fd).or(plan.scratch.as_ref().map(AsFd::as_fd)));
    raised.worker.channel.send(&plan.order, &fds).await?;
    let heard = timeout(PATIENCE, raised.worker.channel.receive()).await.map_err(|_| {
        Error::Worker("a worker did not get ready".to_owned(), io::ErrorKind::TimedOut.into())
    })??;
    let heard = heard.ok_or_else(|| {
        Error::Worker(
            "a worker died before it was ready".to_owned(),
            io::ErrorKind::BrokenPipe.into(),
        )
    })?;
    let confinement = match heard.report {
        Report::Confined(confinement) => confinement,
        Report::Refused(refusal) => return Err(Error::refused(&refusal)),
        Report::Tally(_) | Report::Ended(..) => {
            let what = "a worker was killed before it was ready; is its memory limit too small?";
            return Err(Error::Worker(what.to_owned(), io::ErrorKind::OutOfMemory.into()));
        }
        Report::Denied(_) | Report::LotFounded => {
            return Err(Error::Protocol("a worker spoke before it was ready".to_owned()));
        }
    };
    let Order::Job(job) = &plan.order else {
        return Err(Error::Protocol("a plan without a job".to_owned()));
    };
    if confinement.landlock_abi == 0 {
        return Err(Error::Protocol("a worker claims to be confined without Landlock".to_owned()));
    }
    let expected = Expected {
        authority: job.authority,
        host_uid: plan.lent.host_uid,
        scratch: plan.scratch.as_ref(),
        ceilings: &job.ceilings,
        jar: raised.jar.as_ref(),
    };
    let seen = barrier::check(heard.pid, &expected).map_err(|refusal| Error::refused(&refusal))?;
    if raised.jar.is_none() {
        raised.tree = Some(Tree::new(seen.init, plan.limits.memory_bytes));
    }
    raised.before = raised.counters().cpu;
    Ok((confinement, seen))
}

impl Raised {
    /// What the payload used so far.
    pub(crate) fn counters(&mut self) -> Counters {
        let mut counters = match (&self.jar, &mut self.tree) {
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
        if let (None, Some(spent)) = (&self.jar, spent) {
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

    /// Kills everything of the run but, without a cgroup, the warden.
    pub(crate) fn kill_group(&self) {
        if let Some(jar) = &self.jar
            && let Err(error) = jar.kill()
        {
            tracing::warn!(%error, "a cgroup could not be killed");
        }
        if let Some(tree) = &self.tree {
            tree.kill();
        }
    }

    /// Waits for the warden, whose death is the death of the jar; kills it if it takes too long.
    pub(crate) async fn bury(&mut self, patience: Duration) {
        if timeout(patience, self.worker.child.wait()).await.is_err() {
            tracing::warn!(pid = self.worker.pid, "a warden had to be killed");
            if let Err(error) = self.worker.child.kill().await {
                tracing::warn!(%error, "and could not be");
            }
        }
        if self.jar.as_ref().is_some_and(|jar| !jar.is_empty()) {
            self.kill_group();
        }
    }

    /// Removes the cgroup of a dead jar.
    pub(crate) async fn remove_group(&mut self) {
        let Some(jar) = self.jar.take() else { return };
        let removed = tokio::task::spawn_blocking(move || jar.remove()).await;
        if let Err(error) = removed.map_err(io::Error::other).flatten() {
            tracing::warn!(%error, "a cgroup could not be removed");
        }
    }

    /// Ends a worker that never became a payload.
    pub(crate) async fn tear_down(mut self) {
        self.worker.channel.hang_up();
        self.kill_group();
        self.bury(POLITE).await;
        self.remove_group().await;
    }
}
