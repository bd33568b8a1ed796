//! `--explain`: what was in force, refused and used, for a person.

use std::time::Duration;

use belljar::Outcome;

use super::say::table;

pub(super) fn text(outcome: &Outcome) -> String {
    let receipt = &outcome.receipt;
    let verdict = outcome.verdict;
    let mut text = format!(
        "belljar: run {}: {} ({}), level {}, floor {}\n",
        outcome.id,
        verdict.status(),
        verdict.message(&outcome.limits),
        receipt.level.name(),
        receipt.floor.name(),
    );
    let layers = receipt.layers.iter().map(|row| {
        let cost = format!("{} us", row.cost.as_micros());
        [row.layer.name().to_owned(), row.state.name().to_owned(), cost, row.how.clone()]
    });
    section(&mut text, "layers", &table(&layers.collect::<Vec<_>>()));
    let values = outcome.limits.rows();
    let limits = receipt.limits.iter().map(|row| {
        let value = values.iter().find(|(name, _)| *name == row.limit).map(|(_, value)| value);
        let value = value.map(ToString::to_string).unwrap_or_default();
        [row.limit.to_owned(), row.state.name().to_owned(), value, row.how.clone()]
    });
    section(&mut text, "limits", &table(&limits.collect::<Vec<_>>()));
    let notes: Vec<_> = receipt.notes.iter().map(|note| [note.clone()]).collect();
    section(&mut text, "notes", &table(&notes));
    let denials = outcome.denials.iter().map(|denial| {
        let count = format!("{} x", denial.count);
        [count, denial.what.clone(), denial.rule.to_owned(), denial.hint.to_owned()]
    });
    section(&mut text, "refused", &table(&denials.collect::<Vec<_>>()));
    section(&mut text, "time", &table(&times(outcome)));
    let usage = outcome.usage;
    let used = [
        ["cpu".to_owned(), millis(usage.cpu)],
        ["memory_peak".to_owned(), format!("{} KiB", usage.memory_peak_bytes >> 10)],
        ["processes_peak".to_owned(), usage.processes_peak.to_string()],
    ];
    section(&mut text, "used", &table(&used));
    text
}

fn times(outcome: &Outcome) -> [[String; 2]; 4] {
    let timings = outcome.timings;
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

fn millis(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}
