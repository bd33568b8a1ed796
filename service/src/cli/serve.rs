//! `belljar serve`.

use std::path::PathBuf;
use std::process::ExitCode;

use belljar::{Error, Template, Warm};

use super::interrupt::Signals;
use super::options::ServeOptions;
use super::{hear_children, known_runtimes, say};
use crate::config::{Config, Places};
use crate::http::{Listening, Service, usual_socket};
use crate::sandboxes::Sandboxes;

pub(super) fn main(options: ServeOptions) -> Result<ExitCode, Error> {
    let places = Places { file: options.config.clone(), set: options.set.clone() };
    let config = places.load()?.config;
    let warm = warm(&options, &config)?;
    let given =
        |path: String| Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty());
    let path = options.socket.or_else(|| given(config.service.socket));
    let path = path.map_or_else(usual_socket, Ok)?;
    let runtimes = known_runtimes(options.runtimes.or_else(|| given(config.runtimes.directory)))?;
    let grace = options.grace.unwrap_or(config.service.grace);
    let names = if options.warm.is_empty() { config.warm.runtimes } else { options.warm };
    // Before there is a second thread.
    let listening = Listening::at(&path)?;
    let failed = |error| Error::Internal("cannot wait for events".to_owned(), error);
    let events =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let served = events.block_on(async {
        hear_children()?;
        let mut signals = Signals::new()?;
        let sandboxes = move || Sandboxes::new(runtimes, &names, &warm);
        let (built, signal) = signals.settle_blocking(sandboxes).await?;
        let sandboxes = built?;
        if signal.is_some() {
            return Ok(());
        }
        let service = Service::new(sandboxes);
        let ready = tokio::spawn({
            let (service, shown) = (service.clone(), listening.path().display().to_string());
            async move {
                let warm = service.warm_up().await;
                let warm = if warm.is_empty() { "nothing".to_owned() } else { warm.join(", ") };
                say::complain(&format!("listens on {shown}; warm: {warm}"));
            }
        });
        let served = service.serve(listening, grace, async || signals.next().await).await;
        ready.abort();
        served
    });
    events.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

fn warm(options: &ServeOptions, config: &Config) -> Result<Warm, Error> {
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
