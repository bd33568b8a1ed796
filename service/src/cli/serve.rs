//! `belljar serve`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use belljar::{Error, Template, Warm};

use super::interrupt::Signals;
use super::options::{ServeOptions, WarmOptions};
use super::{hear_children, known_runtimes, listen_to_logs, say};
use crate::broker::Broker;
use crate::config::{Config, Loaded, Places, strange_modes};
use crate::http::{Access, Listening, Server, usual_socket};
use crate::logs::Logs;
use crate::notify;
use crate::sandboxes::Sandboxes;
use crate::store::Store;

/// What a service remembers of what it said.
const LOG_BYTES: usize = 4 << 20;
const HANG_UP: u8 = 1;

pub(super) fn main(options: &ServeOptions) -> Result<ExitCode, Error> {
    let places = Places { file: options.config.clone(), set: options.set.clone() };
    let loaded = places.load()?;
    let logs = Logs::new(loaded.config.logs.entries as usize, LOG_BYTES);
    listen_to_logs(Some((&logs, &loaded.config.logs.level)))?;
    complain_of_modes(&loaded);
    let config = loaded.config;
    // What it finds is taken out of the environment, which only one thread may read then.
    let handed_over = Listening::handed_over()?;
    let failed = |error| Error::Internal("cannot wait for events".to_owned(), error);
    let events =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let served = events.block_on(Box::pin(async {
        hear_children()?;
        // Whoever sees the socket may ask for an end.
        let mut signals = Signals::new()?;
        let (listening, is_usual) = listening(handed_over, options, &config)?;
        let history = config.history_file(listening.path(), is_usual);
        let (warmth, runtimes) = (&options.warmth, options.runtimes.clone());
        let sandboxes = sandboxes(warmth, runtimes, &config, &mut signals).await?;
        let Some(sandboxes) = sandboxes else {
            return Ok(());
        };
        let (store, lost) = store(history.as_deref(), &config).await?;
        let broker = Broker::new(&config, sandboxes, store, logs)?;
        for runtime in lost {
            broker.metrics.run_lost(&runtime);
        }
        let ready = tokio::spawn(say_when_warm(broker.clone(), listening.path().to_owned()));
        let grace = options.grace.unwrap_or(config.service.grace);
        let stop = async || {
            loop {
                match signals.next().await {
                    HANG_UP => reload(&places, &broker),
                    signal => {
                        notify::tell("STOPPING=1");
                        return signal;
                    }
                }
            }
        };
        // Who connects from here on waits for nothing but for what it asked for.
        notify::tell("READY=1");
        let served = Server::new(broker.clone(), &config).serve(listening, grace, stop).await;
        ready.abort();
        served
    }));
    events.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

/// Where it listens, and whether that is where a service is looked for.
fn listening(
    handed_over: Option<Listening>,
    options: &ServeOptions,
    config: &Config,
) -> Result<(Listening, bool), Error> {
    if let Some(listening) = handed_over {
        return Ok((listening, true));
    }
    let path = options.socket.clone().or_else(|| given(&config.service.socket));
    let usual = usual_socket();
    let is_usual = path.as_ref().is_none_or(|path| usual.as_ref().is_ok_and(|usual| usual == path));
    let path = path.map_or(usual, Ok)?;
    let group = config.service.socket_group.clone();
    let access = Access { mode: config.service.mode(), group };
    Ok((Listening::at(&path, &access)?, is_usual))
}

/// What runs take place in; nothing when somebody wants no service any more.
pub(super) async fn sandboxes(
    options: &WarmOptions,
    runtimes: Option<PathBuf>,
    config: &Config,
    signals: &mut Signals,
) -> Result<Option<Sandboxes>, Error> {
    let warm = warm(options, config)?;
    let directory = runtimes.or_else(|| given(&config.runtimes.directory));
    let runtimes = known_runtimes(directory)?;
    let limits = (config.limits(), config.ceiling());
    let names = if options.warm.is_empty() { &config.warm.runtimes } else { &options.warm }.clone();
    let build = move || Sandboxes::new(runtimes, limits, &names, &warm);
    let (sandboxes, signal) = signals.settle_blocking(build).await?;
    let sandboxes = sandboxes?;
    Ok(signal.is_none().then_some(sandboxes))
}

/// The history, in which no run is open any more, and the runtimes of those that were.
pub(super) async fn store(
    file: Option<&Path>,
    config: &Config,
) -> Result<(Store, Vec<String>), Error> {
    // What it closes as lost must not live.
    belljar::sweep().await?;
    let (file, retention) = (file.map(Path::to_owned), config.retention());
    let open = move || Store::open(file.as_deref(), retention);
    let torn =
        |error| Error::Internal("a thread was torn down".to_owned(), std::io::Error::other(error));
    let (store, lost) = tokio::task::spawn_blocking(open).await.map_err(torn)??;
    for run in &lost {
        tracing::warn!(id = run.id, tenant = run.tenant, runtime = run.runtime, "lost");
    }
    Ok((store, lost.into_iter().map(|run| run.runtime).collect()))
}

async fn say_when_warm(broker: std::sync::Arc<Broker>, path: PathBuf) {
    let warm = broker.sandboxes.warm_up().await;
    let warm = if warm.is_empty() { "nothing".to_owned() } else { warm.join(", ") };
    say::complain(&format!("listens on {}; warm: {warm}", path.display()));
}

/// What the operator changed, as far as it can change now. What makes no sense changes nothing.
fn reload(places: &Places, broker: &Broker) {
    let reloaded = places.load().and_then(|loaded| {
        broker.reconfigure(&loaded.config)?;
        complain_of_modes(&loaded);
        Ok(())
    });
    match reloaded {
        Ok(()) => say::complain("the configuration was read again"),
        Err(error) => say::complain(&format!("the configuration stays as it was: {error}")),
    }
}

/// Says which words are no mode: the strictest one stands for them.
pub(super) fn complain_of_modes(loaded: &Loaded) {
    for key in strange_modes(loaded) {
        say::complain(&format!("`{key}`: no such mode; off counts, in which nothing runs"));
        tracing::warn!(key, "no such mode: off counts");
    }
}

fn given(path: &str) -> Option<PathBuf> {
    Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty())
}

fn warm(options: &WarmOptions, config: &Config) -> Result<Warm, Error> {
    let invalid = |what: &str| Err(Error::Invalid(what.to_owned()));
    let sized = [
        (!options.preload.is_empty(), "--preload"),
        (options.warm_min.is_some(), "--warm-min"),
        (options.warm_max.is_some(), "--warm-max"),
        (options.warm_memory.is_some(), "--warm-memory"),
    ];
    if options.warm.is_empty()
        && config.warm.runtimes.is_empty()
        && let Some((_, name)) = sized.iter().find(|(is_given, _)| *is_given)
    {
        return invalid(&format!("{name}: say which runtimes with --warm"));
    }
    let (min, max) = (config.warm.min as usize, config.warm.max as usize);
    let warm = Warm::default();
    // The one that is set last moves the other.
    let warm = match (options.warm_min, options.warm_max) {
        (Some(min), Some(max)) if min > max => return invalid("--warm-min is above --warm-max"),
        (_, Some(0)) => return invalid("--warm-max is 0; leave --warm out instead"),
        (least, Some(most)) => warm.min(least.unwrap_or(min)).max(most),
        (least, None) => warm.max(max).min(least.unwrap_or(min)),
    };
    let warm = warm.memory_bytes(options.warm_memory.unwrap_or(config.warm.memory_bytes));
    let modules = if options.preload.is_empty() { &config.warm.preload } else { &options.preload };
    Ok(if modules.is_empty() {
        warm
    } else {
        warm.template(Template::default().preload(modules.clone()))
    })
}
