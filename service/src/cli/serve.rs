//! `belljar serve`.

use std::process::ExitCode;
use std::time::Duration;

use belljar::{Error, Template, Warm};

use super::interrupt::Signals;
use super::options::ServeOptions;
use super::{hear_children, known_runtimes, say};
use crate::broker::Broker;
use crate::http::{Listening, Server, usual_socket};
use crate::logs::Logs;
use crate::queue::{Caps, Queue, Quota};
use crate::sandboxes::Sandboxes;
use crate::store::{Retention, Store};

pub(super) fn main(options: ServeOptions, logs: Logs) -> Result<ExitCode, Error> {
    let warm = warm(&options)?;
    let path = options.socket.map_or_else(usual_socket, Ok)?;
    let runtimes = known_runtimes(options.runtimes)?;
    // Before there is a second thread.
    let listening = Listening::at(&path)?;
    let failed = |error| Error::Internal("cannot wait for events".to_owned(), error);
    let events =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let served = events.block_on(async {
        hear_children()?;
        let mut signals = Signals::new()?;
        let sandboxes =
            move || Sandboxes::new(runtimes, belljar::Limits::strict(), &options.warm, &warm);
        let (built, signal) = signals.settle_blocking(sandboxes).await?;
        let sandboxes = built?;
        if signal.is_some() {
            return Ok(());
        }
        let retention =
            Retention { runs: 10_000, age: Duration::from_hours(168), bytes: 256 << 20 };
        let (store, _lost) = Store::open(None, retention)?;
        let quota =
            Quota { running: 0, queued: 0, cpu_ms_per_minute: 0, runs_per_minute: 0, weight: 1 };
        let queue = Queue::new(Caps { running: 64, queued: 256, memory_bytes: 0 }, quota);
        let broker = Broker::new(sandboxes, queue, store, logs);
        let ready = tokio::spawn({
            let (broker, shown) = (broker.clone(), listening.path().display().to_string());
            async move {
                let warm = broker.sandboxes.warm_up().await;
                let warm = if warm.is_empty() { "nothing".to_owned() } else { warm.join(", ") };
                say::complain(&format!("listens on {shown}; warm: {warm}"));
            }
        });
        let stop = async || signals.next().await;
        let served = Server::new(broker).serve(listening, options.grace, stop).await;
        ready.abort();
        served
    });
    events.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

fn warm(options: &ServeOptions) -> Result<Warm, Error> {
    let invalid = |what: &str| Err(Error::Invalid(what.to_owned()));
    let sized = [
        (!options.preload.is_empty(), "--preload"),
        (options.warm_min.is_some(), "--warm-min"),
        (options.warm_max.is_some(), "--warm-max"),
        (options.warm_memory.is_some(), "--warm-memory"),
    ];
    if options.warm.is_empty()
        && let Some((_, name)) = sized.iter().find(|(is_given, _)| *is_given)
    {
        return invalid(&format!("{name}: say which runtimes with --warm"));
    }
    let mut warm = Warm::default();
    match (options.warm_min, options.warm_max) {
        (Some(min), Some(max)) if min > max => return invalid("--warm-min is above --warm-max"),
        (_, Some(0)) => return invalid("--warm-max is 0; leave --warm out instead"),
        (min, max) => {
            warm = max.into_iter().fold(warm, Warm::max);
            warm = min.into_iter().fold(warm, Warm::min);
        }
    }
    if let Some(bytes) = options.warm_memory {
        warm = warm.memory_bytes(bytes);
    }
    if !options.preload.is_empty() {
        warm = warm.template(Template::default().preload(options.preload.clone()));
    }
    Ok(warm)
}
