//! What the service said last, in memory: a ring of entries that every door can read and follow.
//!
//! A library that runs secrets logs none: what reaches this is what `tracing` events of ours name,
//! and none of them names a value of a secret, of the environment or of a stream. Fields are cut,
//! so that no entry is large.

mod layer;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use belljar::Error;
use tokio::sync::watch;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::json::{LogEntry, LogPage};

pub(crate) use layer::RingLayer;

/// Entries in one answer.
const MOST_AT_ONCE: usize = 1000;

/// Everything that is said from now on goes to standard error, as far as this filter lets it
/// through, and from a level on to these logs. Once per process.
pub(crate) fn listen(filter: Option<EnvFilter>, logs: Option<(&Logs, &str)>) -> Result<(), Error> {
    // It would complain on standard error, about standard error, and panic.
    let lines = filter.map(|filter| {
        let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
        lines.log_internal_errors(false).with_filter(filter)
    });
    let ring = logs.map(|(logs, level)| logs.layer().with_filter(EnvFilter::new(level)));
    // It would tell whole messages, with the secrets in them.
    let discreet = filter_fn(|event| !event.target().starts_with("rmcp"));
    let listening = tracing_subscriber::registry().with(discreet).with(lines).with(ring).try_init();
    let failed = |error| Error::Internal("cannot listen to logs".to_owned(), error);
    listening.map_err(|error| failed(io::Error::other(error)))
}

/// The last entries. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    shared: Arc<Shared>,
}

/// Somebody who hears of entries as they come. Who is too slow misses the oldest, and is told.
#[derive(Debug)]
pub(crate) struct Follower {
    logs: Logs,
    news: watch::Receiver<u64>,
    since_id: u64,
}

/// What a follower gets.
#[derive(Debug)]
pub(crate) enum Followed {
    Entry(LogEntry),
    /// So many entries are gone that were never seen.
    Skipped(u64),
}

/// How important an entry is, the most important last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    /// The last id.
    news: watch::Sender<u64>,
}

#[derive(Debug)]
struct Ring {
    entries: VecDeque<(Level, LogEntry)>,
    bytes: usize,
    last_id: u64,
    most_entries: usize,
    most_bytes: usize,
}

impl Logs {
    /// At most so many entries, of at most so many bytes in all.
    pub(crate) fn new(most_entries: usize, most_bytes: usize) -> Self {
        let entries = VecDeque::new();
        let ring = Ring { entries, bytes: 0, last_id: 0, most_entries, most_bytes };
        let news = watch::Sender::new(0);
        Self { shared: Arc::new(Shared { ring: Mutex::new(ring), news }) }
    }

    /// For `tracing_subscriber`: what is let through to it is kept.
    pub(crate) fn layer(&self) -> RingLayer {
        RingLayer::new(self.clone())
    }

    /// Entries after `since_id`, of this level or above and from this source or below it; the first
    /// `count` of them, or without `since_id` the last.
    ///
    /// `next_id` is what to ask since next time: whatever came before has been told, or did not
    /// match.
    pub(crate) fn since(
        &self,
        since_id: Option<u64>,
        level: Option<Level>,
        count: Option<usize>,
        source: Option<&str>,
    ) -> LogPage {
        let count = count.unwrap_or(MOST_AT_ONCE).min(MOST_AT_ONCE);
        let ring = self.ring();
        let matching = ring.entries.iter().filter(|(has, entry)| {
            entry.id > since_id.unwrap_or(0)
                && level.is_none_or(|level| *has >= level)
                && source.is_none_or(|source| is_from(&entry.source, source))
        });
        let mut entries: Vec<LogEntry> = if since_id.is_some() {
            matching.take(count).map(|(_, entry)| entry.clone()).collect()
        } else {
            let last = matching.rev().take(count).map(|(_, entry)| entry.clone());
            let mut last: Vec<_> = last.collect();
            last.reverse();
            last
        };
        let is_all = since_id.is_none() || entries.len() < count;
        let next_id = match entries.last() {
            Some(last) if !is_all => last.id,
            _ => ring.last_id,
        };
        entries.shrink_to_fit();
        LogPage { entries, next_id }
    }

    /// Hears of what comes after this, or after `since_id` as far as it is still there.
    pub(crate) fn subscribe(&self, since_id: Option<u64>) -> Follower {
        let news = self.shared.news.subscribe();
        let since_id = since_id.unwrap_or_else(|| self.ring().last_id);
        Follower { logs: self.clone(), news, since_id }
    }

    fn add(&self, level: Level, mut entry: LogEntry) {
        let bytes = size(&entry);
        let last_id = {
            let mut ring = self.ring();
            ring.last_id += 1;
            entry.id = ring.last_id;
            ring.bytes += bytes;
            ring.entries.push_back((level, entry));
            while ring.entries.len() > ring.most_entries || ring.bytes > ring.most_bytes {
                let Some((_, oldest)) = ring.entries.pop_front() else { break };
                ring.bytes = ring.bytes.saturating_sub(size(&oldest));
            }
            ring.last_id
        };
        // Another thread may have told a later one by now.
        self.shared.news.send_if_modified(|news| {
            let is_news = *news < last_id;
            *news = last_id.max(*news);
            is_news
        });
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    /// The next entry. Cancellation safe.
    pub(crate) async fn next(&mut self) -> Followed {
        loop {
            self.news.borrow_and_update();
            if let Some(followed) = self.now() {
                return followed;
            }
            if self.news.changed().await.is_err() {
                // The sender lives as long as `logs` does, which is ours.
                std::future::pending::<()>().await;
            }
        }
    }

    fn now(&mut self) -> Option<Followed> {
        let ring = self.logs.ring();
        let first = ring.entries.front().map_or(ring.last_id + 1, |(_, entry)| entry.id);
        let skipped = first.saturating_sub(self.since_id + 1);
        if skipped > 0 {
            self.since_id += skipped;
            return Some(Followed::Skipped(skipped));
        }
        let at = usize::try_from(self.since_id + 1 - first).unwrap_or(usize::MAX);
        let (_, entry) = ring.entries.get(at)?;
        self.since_id = entry.id;
        Some(Followed::Entry(entry.clone()))
    }
}

impl Level {
    /// From what an option or a query says.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == word)
    }

    pub(crate) const ALL: [Self; 5] =
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// `belljar` stands for `belljar::pool` as well.
fn is_from(source: &str, wanted: &str) -> bool {
    let rest = source.strip_prefix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// What it takes in memory, about.
fn size(entry: &LogEntry) -> usize {
    const SELF_BYTES: usize = 200;
    let fields = entry.fields.iter().map(|(name, value)| name.len() + value.to_string().len() + 64);
    SELF_BYTES + entry.source.len() + entry.message.len() + fields.sum::<usize>()
}
