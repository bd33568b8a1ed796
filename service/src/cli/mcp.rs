//! `belljar mcp`.

use std::path::Path;
use std::process::ExitCode;

use belljar::{Error, Limits};
use nix::unistd::geteuid;

use super::interrupt::Signals;
use super::limits::LimitOptions;
use super::options::McpOptions;
use super::{hear_children, say, serve};
use crate::broker::Broker;
use crate::config::{Config, Places};
use crate::json::LimitsRow;
use crate::logs::Logs;
use crate::mcp::{self, Handler};

/// Nobody asks for what was said.
const LOG_BYTES: usize = 64 << 10;

pub(super) fn main(options: McpOptions) -> Result<ExitCode, Error> {
    let failed = |error| Error::Internal("cannot wait for events".to_owned(), error);
    let events =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let served = events.block_on(Box::pin(async {
        hear_children()?;
        let mut signals = Signals::new()?;
        match &options.socket {
            Some(socket) => pass_on(socket, &mut signals).await,
            None => embedded(options, &mut signals).await,
        }
    }));
    // Somebody may still wait for a word on standard input.
    events.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

async fn pass_on(socket: &Path, signals: &mut Signals) -> Result<(), Error> {
    tokio::select! {
        passed = mcp::bridge(socket) => passed,
        _ = signals.next() => Ok(()),
    }
}

/// A service of its own, for the one who is at the other end of the standard streams.
async fn embedded(options: McpOptions, signals: &mut Signals) -> Result<(), Error> {
    let places = Places { file: options.config, set: options.set };
    let loaded = places.load()?;
    serve::complain_of_modes(&loaded);
    let mut config = loaded.config;
    bound(&mut config, &options.limits);
    options.grants.amend(&mut config);
    let sandboxes = serve::sandboxes(&options.warmth, options.runtimes, &config, signals).await?;
    let Some(sandboxes) = sandboxes else { return Ok(()) };
    let (store, _) = serve::store(None, &config).await?;
    let logs = Logs::new(config.logs.entries as usize, LOG_BYTES);
    let broker = Broker::new(&config, sandboxes, store, logs)?;
    let ready = tokio::spawn({
        let broker = broker.clone();
        async move {
            for line in broker.sandboxes.warm_up().await {
                say::complain(&format!("warm: {line}"));
            }
        }
    });
    let handler = Handler::new(broker.clone(), Some(geteuid().to_string().into()));
    let served = mcp::serve(&broker, handler, signals.next()).await;
    ready.abort();
    served
}

/// What is named is what a run has, and the most that it can have.
fn bound(config: &mut Config, options: &LimitOptions) {
    let named = options.named();
    let over = |limits: &Limits| LimitsRow::from(&named.over(limits));
    (config.limits, config.ceiling) = (over(&config.limits()), over(&config.ceiling()));
}
