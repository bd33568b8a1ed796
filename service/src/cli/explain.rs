//! `--explain`: what was in force, refused and used, for a person.

use super::say::table;
use crate::json::{NetworkRow, Outcome};

pub(super) fn text(outcome: &Outcome) -> String {
    let receipt = &outcome.receipt;
    let mut text = format!(
        "belljar: run {}: {} ({}), {} start, level {}, floor {}, mode {}\n",
        outcome.id,
        outcome.status,
        outcome.message,
        outcome.start,
        receipt.level,
        receipt.floor,
        outcome.mode,
    );
    let layers = receipt.layers.iter().map(|row| {
        let cost = format!("{} us", row.cost_us);
        [row.layer.to_string(), row.state.to_string(), cost, row.how.clone()]
    });
    section(&mut text, "layers", &table(&layers.collect::<Vec<_>>()));
    let values = serde_json::to_value(&outcome.limits).unwrap_or_default();
    let limits = receipt.limits.iter().map(|row| {
        let value = values.get(&*row.limit).map(ToString::to_string).unwrap_or_default();
        [row.limit.to_string(), row.state.to_string(), value, row.how.clone()]
    });
    section(&mut text, "limits", &table(&limits.collect::<Vec<_>>()));
    let notes: Vec<_> = receipt.notes.iter().map(|note| [note.clone()]).collect();
    section(&mut text, "notes", &table(&notes));
    let denials = outcome.denials.iter().map(|denial| {
        let count = format!("{} x", denial.count);
        [count, denial.what.clone(), denial.rule.to_string(), denial.hint.to_string()]
    });
    if let Some(network) = &outcome.network {
        section(&mut text, "network", &table(&connections(network)));
    }
    section(&mut text, "refused", &table(&denials.collect::<Vec<_>>()));
    section(&mut text, "time", &table(&times(outcome)));
    let used = [
        ["cpu".to_owned(), millis(outcome.cpu_ms)],
        ["memory_peak".to_owned(), format!("{} KiB", outcome.memory_peak_bytes >> 10)],
        ["processes_peak".to_owned(), outcome.processes_peak.to_string()],
    ];
    section(&mut text, "used", &table(&used));
    text
}

/// What was granted, and what became of every connection.
fn connections(network: &NetworkRow) -> Vec<[String; 4]> {
    let word = if network.grants.is_empty() { "" } else { "granted" };
    let granted = [&*network.kind, word, &network.grants.join(", "), ""].map(str::to_owned);
    let rows = network.connections.iter().map(|row| {
        let address = row.address.clone().unwrap_or_default();
        let passed = format!("{} bytes out, {} in", row.sent_bytes, row.received_bytes);
        [format!("{}:{}", row.host, row.port), row.verdict.to_string(), address, passed]
    });
    let more = network.unrecorded_connections;
    let more = (more > 0)
        .then(|| [format!("and {more} more"), String::new(), String::new(), String::new()]);
    [granted].into_iter().chain(rows).chain(more).collect()
}

fn times(outcome: &Outcome) -> [[String; 2]; 4] {
    let timings = &outcome.timings_ms;
    [
        ("jar", timings.jar),
        ("start", timings.start),
        ("run", timings.run),
        ("collect", timings.collect),
    ]
    .map(|(name, time)| [name.to_owned(), millis(time)])
}

fn section(text: &mut String, title: &str, rows: &str) {
    if !rows.is_empty() {
        text.extend([title, ":\n", rows]);
    }
}

fn millis(time: f64) -> String {
    format!("{time:.3} ms")
}
