//! `belljar logs`.
//!
//! Following asks again and again for what came since: it costs one small request each time, and
//! goes on when the service was started anew, which a stream would not.

use std::process::ExitCode;
use std::time::Duration;

use belljar::Error;
use serde_json::Value;
use tokio::time::sleep;

use super::interrupt::Signals;
use super::options::LogsOptions;
use super::{event_loop, say, there};
use crate::client::{Service, with_query};
use crate::json::{self, LogEntry, LogPage, Problem};

/// How soon something new is shown.
const EVERY: Duration = Duration::from_millis(500);
/// How soon another host is asked again that could not be.
const AGAIN: Duration = Duration::from_secs(5);

pub(super) fn main(options: &LogsOptions) -> Result<ExitCode, Problem> {
    let events = event_loop()?;
    events.block_on(async {
        let mut service = there::service(&options.there).await?;
        let first = ask(&mut service, options, None).await?;
        tell(options, &first)?;
        if options.follow {
            let mut signals = Signals::new()?;
            tokio::select! {
                followed = follow(service, options, first.next_id) => followed?,
                _ = signals.next() => {}
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn follow(service: Service, options: &LogsOptions, mut since_id: u64) -> Result<(), Problem> {
    let mut connected = Some(service);
    loop {
        sleep(EVERY).await;
        let asked = async {
            let mut service = match connected.take() {
                Some(service) => service,
                None => there::service(&options.there).await?,
            };
            let page = ask(&mut service, options, Some(since_id)).await?;
            Ok::<_, Problem>((service, page))
        };
        let page = match asked.await {
            Ok((service, page)) => {
                connected = Some(service);
                page
            }
            // It may be starting anew.
            Err(problem) if problem.may_retry || problem.code == "invalid_request" => {
                if options.there.host.is_some() {
                    sleep(AGAIN).await;
                }
                continue;
            }
            Err(problem) => return Err(problem),
        };
        if page.next_id < since_id {
            // Another service, which counts from the beginning.
            since_id = 0;
            continue;
        }
        tell(options, &page)?;
        since_id = page.next_id;
    }
}

async fn ask(
    service: &mut Service,
    options: &LogsOptions,
    since_id: Option<u64>,
) -> Result<LogPage, Problem> {
    // What came since is wanted whole.
    let count = since_id.is_none().then(|| options.count.to_string());
    let query = [
        ("since_id", since_id.map(|id| id.to_string())),
        ("level", options.level.clone()),
        ("count", count),
        ("source", options.source.clone()),
    ];
    service.get(&with_query("/v1/logs", &query)).await
}

fn tell(options: &LogsOptions, page: &LogPage) -> Result<(), Error> {
    let as_line = |entry: &LogEntry| if options.json { json::line(entry) } else { line(entry) };
    let text: String = page.entries.iter().map(|entry| as_line(entry) + "\n").collect();
    if text.is_empty() { Ok(()) } else { say::print(&text) }
}

/// For a person; in one line, whatever it quotes.
fn line(entry: &LogEntry) -> String {
    let mut line = format!("{} {:5} {}:", entry.time, entry.level, entry.source);
    if !entry.message.is_empty() {
        line.extend([" ", entry.message.as_str()]);
    }
    for (name, value) in &entry.fields {
        let is_word = |text: &&str| {
            !text.is_empty()
                && !text.contains(|letter: char| letter.is_whitespace() || letter == '"')
        };
        let shown = match value {
            Value::String(text) if is_word(&text.as_str()) => text.clone(),
            other => other.to_string(),
        };
        line.extend([" ", name.as_str(), "=", shown.as_str()]);
    }
    say::plain(&line)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_one_line_whatever_it_quotes() {
        let entry = json!({
            "id": 7, "time": "2026-01-01T00:00:00.000Z", "level": "warn", "source": "belljar::pool",
            "message": "two\nlines \u{1b}[2J",
            "fields": {"error": "a \"b\"", "id": "01J", "n": 3, "empty": ""},
        });
        let expected = "2026-01-01T00:00:00.000Z warn  belljar::pool: two\u{fffd}lines \
                        \u{fffd}[2J empty=\"\" error=\"a \\\"b\\\"\" id=01J n=3";
        assert_eq!(line(&serde_json::from_value(entry).unwrap()), expected);
    }
}
