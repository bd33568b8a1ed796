//! One run, from what was decided to its outcome: in a jar that is built for it, or in one that
//! waits.

use std::time::{Duration, Instant};

use belljar_protocol::{Confinement, Order, Waiting};
use tokio::sync::oneshot;

use crate::barrier::Seen;
use crate::keeper::Ready;
use crate::plan::{Errand, Plan, Site};
use crate::raise;
use crate::watch::{Following, Watch};
use crate::{Error, Outcome, Start};

/// Where a run takes place.
pub(crate) enum Way {
    /// In a jar that is built for it.
    Cold(Box<Site>),
    /// In one that waits.
    Warm(Box<Ready>),
}

/// A run from its start to its outcome. `confined` hears when the payload begins.
#[tracing::instrument(name = "run", skip_all, fields(id = %plan.id, runtime = %plan.runtime))]
pub(crate) async fn live(
    plan: Plan,
    errand: Errand,
    way: Way,
    cancelled: oneshot::Receiver<()>,
    confined: oneshot::Sender<Following>,
) -> Result<Outcome, Error> {
    match way {
        Way::Cold(site) => cold(plan, errand, *site, cancelled, confined).await,
        Way::Warm(ready) => warm(plan, errand, *ready, cancelled, confined).await,
    }
}

async fn cold(
    plan: Plan,
    errand: Errand,
    mut site: Site,
    mut cancelled: oneshot::Receiver<()>,
    confined: oneshot::Sender<Following>,
) -> Result<Outcome, Error> {
    let (host, limits) = (plan.host, &plan.limits);
    let wiring = std::mem::take(&mut site.wiring);
    let (mut raised, orders) = raise::spawn(host, limits, &plan.id, site, errand).await?;
    let (confinement, seen) = tokio::select! {
        confined = raise::confine(host, limits, &mut raised, orders) => match confined {
            Ok(confined) => confined,
            Err(error) => {
                raised.tear_down().await;
                return Err(error);
            }
        },
        _ = &mut cancelled => {
            raised.tear_down().await;
            return Err(Error::Invalid("the run was dropped before it had started".to_owned()));
        }
    };
    let mut watch = Watch::begin(&plan, raised, None, Start::Cold);
    if let Err(error) = watch.go_online(&plan, wiring) {
        watch.raised.tear_down().await;
        return Err(error);
    }
    // Nobody may be interested in live output.
    drop(confined.send(watch.following(&plan, &seen)));
    let jar_time = plan.accepted.elapsed();
    // The payload may run before whoever told it to does.
    watch.started = Instant::now();
    if let Err(error) = watch.raised.channel.send(&Order::Proceed, &[]).await {
        watch.raised.tear_down().await;
        return Err(error);
    }
    tracing::debug!(jar_us = jar_time.as_micros(), "started");

    let intent = watch.until_over(&plan, &mut cancelled).await;
    let wall = watch.started.elapsed();
    watch.empty_the_jar(intent.is_some()).await;
    watch.go_offline(intent.is_some()).await;
    let outcome = watch.outcome(&plan, intent, wall, jar_time, &confinement, &seen);
    watch.raised.remove().await;
    // Nobody waits for this one, and nothing can be done in what it holds.
    drop(tokio::task::spawn_blocking(move || drop(seen)));
    outcome
}

async fn warm(
    plan: Plan,
    errand: Errand,
    ready: Ready,
    mut cancelled: oneshot::Receiver<()>,
    confined: oneshot::Sender<Following>,
) -> Result<Outcome, Error> {
    let Ready { raised, confinement, seen, line, waiting, kept, .. } = ready;
    let start = match waiting {
        Waiting::Empty => Start::Jar,
        Waiting::Primed => Start::Primed,
        Waiting::Forked => Start::Forked,
    };
    let jar_time = plan.accepted.elapsed();
    let mut watch = Watch::begin(&plan, raised, Some(line), start);
    watch.kept = Some(kept);
    let mut watch = Leash(Some((watch, seen)));
    // The answer does not wait for the death of the jar.
    watch.run(&plan, errand, &mut cancelled, confined, jar_time, &confinement).await
}

/// A jar whose end is seen to, in the background, when this is dropped.
struct Leash(Option<(Watch, Seen)>);

impl Drop for Leash {
    fn drop(&mut self) {
        if let Some((watch, seen)) = self.0.take() {
            watch.raised.tear_down_behind(Some(seen));
        }
    }
}

impl Leash {
    async fn run(
        &mut self,
        plan: &Plan,
        errand: Errand,
        cancelled: &mut oneshot::Receiver<()>,
        confined: oneshot::Sender<Following>,
        jar_time: Duration,
        confinement: &Confinement,
    ) -> Result<Outcome, Error> {
        let Some((watch, seen)) = &mut self.0 else {
            return Err(Error::Protocol("a run was started twice".to_owned()));
        };
        drop(confined.send(watch.following(plan, seen)));
        watch.started = Instant::now();
        watch.hand_over(errand).await?;
        let intent = watch.until_over(plan, cancelled).await;
        let wall = watch.started.elapsed();
        watch.hear_what_waits();
        if !watch.can_be_answered(plan, intent.as_ref()) {
            watch.empty_the_jar(intent.is_some()).await;
        }
        watch.outcome(plan, intent, wall, jar_time, confinement, seen)
    }
}
