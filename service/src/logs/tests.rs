use std::time::Duration;

use tokio::time::timeout;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

/// Says things as the rest of belljar does, to logs of its own.
fn listening(most_entries: usize, most_bytes: usize, say: impl FnOnce()) -> Logs {
    let logs = Logs::new(most_entries, most_bytes);
    let subscriber = tracing_subscriber::registry().with(logs.layer());
    tracing::subscriber::with_default(subscriber, say);
    logs
}

fn messages(page: &LogPage) -> Vec<&str> {
    page.entries.iter().map(|entry| entry.message.as_str()).collect()
}

#[test]
fn an_entry_has_the_fields_of_its_event_and_of_the_spans_around_it() {
    let logs = listening(10, 1 << 20, || {
        let run = tracing::info_span!("run", id = "01J", runtime = tracing::field::Empty);
        run.record("runtime", "js");
        let _inside = run.enter();
        let error = std::io::Error::other("no");
        tracing::warn!(target: "belljar::pool", %error, count = 3, is_late = true, "a jar {}", 7);
        tracing::info!(id = "02K", "nearer");
    });
    let page = logs.since(None, None, None, None);
    let entry = &page.entries[0];
    assert_eq!((entry.id, entry.level.as_ref()), (1, "warn"));
    assert_eq!((entry.source.as_str(), entry.message.as_str()), ("belljar::pool", "a jar 7"));
    assert_eq!(
        serde_json::to_string(&entry.fields).unwrap(),
        r#"{"count":3,"error":"no","id":"01J","is_late":true,"runtime":"js"}"#
    );
    assert!(entry.time.ends_with('Z') && entry.time.len() == 24, "{}", entry.time);
    assert_eq!(page.entries[1].fields["id"], "02K");
    assert_eq!(page.next_id, 2);
}

#[test]
fn levels_sources_and_counts_choose() {
    let logs = listening(100, 1 << 20, || {
        tracing::error!(target: "belljar::pool", "one");
        tracing::info!(target: "belljar", "two");
        tracing::debug!(target: "belljarish", "three");
        tracing::warn!(target: "belljar::pool", "four");
    });
    let all = |level, count, source| {
        let page = logs.since(None, level, count, source);
        page.entries.into_iter().map(|entry| entry.message).collect::<Vec<_>>()
    };
    assert_eq!(all(None, None, None), ["one", "two", "three", "four"]);
    assert_eq!(all(Some(Level::Info), None, None), ["one", "two", "four"]);
    assert_eq!(all(Some(Level::Warn), Some(1), None), ["four"], "the last ones");
    assert_eq!(all(None, None, Some("belljar")), ["one", "two", "four"]);
    assert_eq!(all(None, None, Some("belljar::pool")), ["one", "four"]);

    let page = logs.since(Some(0), Some(Level::Warn), Some(1), None);
    assert_eq!((messages(&page), page.next_id), (vec!["one"], 1), "the first ones after an id");
    let page = logs.since(Some(page.next_id), Some(Level::Warn), Some(2), None);
    assert_eq!((messages(&page), page.next_id), (vec!["four"], 4));
    assert_eq!(logs.since(Some(4), None, None, None).entries, []);
    for level in Level::ALL {
        assert_eq!(Level::parse(level.name()), Some(level));
    }
    assert_eq!(Level::parse("loud"), None);
}

#[test]
fn neither_many_entries_nor_large_ones_fill_the_memory() {
    let logs = listening(10, 1 << 20, || (0..100).for_each(|number| tracing::info!(number)));
    let page = logs.since(None, None, None, None);
    assert_eq!((page.entries.len(), page.entries[0].id, page.next_id), (10, 91, 100));

    let large = "ä".repeat(1 << 20);
    let logs = listening(1000, 20_000, || {
        for _ in 0..100 {
            tracing::info!(large, other = ?large, "{large}");
        }
    });
    let page = logs.since(None, None, None, None);
    assert!((2..=4).contains(&page.entries.len()), "{}", page.entries.len());
    let entry = &page.entries[0];
    assert!(entry.message.len() <= 2052 && entry.message.ends_with("ä…"), "{}", entry.message);
    assert!(entry.fields.values().all(|value| value.to_string().len() < 2100));
    assert!(logs.ring().bytes <= 20_000);
}

#[tokio::test]
async fn a_follower_hears_everything_or_how_much_it_missed() {
    let logs = Logs::new(3, 1 << 20);
    let subscriber = tracing_subscriber::registry().with(logs.layer());
    let _said_here = tracing::subscriber::set_default(subscriber);
    tracing::info!("before");
    let mut follower = logs.subscribe(None);
    let mut from_the_start = logs.subscribe(Some(0));
    let next =
        async |follower: &mut Follower| match timeout(Duration::from_secs(5), follower.next())
            .await
            .unwrap()
        {
            Followed::Entry(entry) => entry.message,
            Followed::Skipped(count) => format!("skipped {count}"),
        };
    assert_eq!(next(&mut from_the_start).await, "before");
    let nothing = timeout(Duration::from_millis(50), follower.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    let waiting = tokio::spawn(async move {
        let first = next(&mut follower).await;
        (first, follower)
    });
    tokio::task::yield_now().await;
    tracing::info!("one");
    let (first, mut follower) = waiting.await.unwrap();
    assert_eq!(first, "one");
    for word in ["two", "three", "four", "five", "six"] {
        tracing::info!("{word}");
    }
    for expected in ["skipped 2", "four", "five", "six"] {
        assert_eq!(next(&mut follower).await, expected);
    }
}

/// Runs with a secret, with everything that is said at any level kept: its value is nowhere.
#[tokio::test]
async fn a_secret_is_in_no_log() {
    const VALUE: &str = "correct-horse-battery-staple";
    let logs = Logs::new(10_000, 16 << 20);
    let subscriber = tracing_subscriber::registry().with(logs.layer());
    let _said_here = tracing::subscriber::set_default(subscriber);
    let code = "print(secrets.TOKEN); throw new Error(secrets.TOKEN)";
    let source = belljar::Source::from(code).secret("TOKEN", VALUE).unwrap().env("ALSO", VALUE);
    let ended = belljar::Sandbox::builder("js").build().unwrap().run(source).await;
    let said = serde_json::to_string(&logs.since(None, None, None, None)).unwrap();
    let outcome = ended.unwrap();
    assert!(said.contains(&outcome.id), "nothing was said of the run: {said}");
    assert!(!said.contains(VALUE) && !said.contains("battery"), "{said}");
}
