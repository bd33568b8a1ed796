//! `belljar doctor`.

use std::process::ExitCode;

use belljar::{Error, Finding, Inspection};

use super::interrupt::Signals;
use super::{SIGNALLED, event_loop, refuse, say};
use crate::json::{self, HostRow};

pub(super) fn main(as_json: bool) -> Result<ExitCode, Error> {
    let events = event_loop()?;
    let status = events.block_on(inspect(as_json));
    // A writer whose reader does not read may be left behind.
    events.shutdown_background();
    status
}

async fn inspect(as_json: bool) -> Result<ExitCode, Error> {
    let mut signals = Signals::new()?;
    let (inspection, signal) = signals.settle(Box::pin(belljar::inspect())).await;
    if let Some(signal) = signal {
        return Ok(ExitCode::from(SIGNALLED + signal));
    }
    let say = move || match inspection.and_then(|inspection| report(&inspection, as_json)) {
        Ok(status) => status,
        Err(error) => refuse(&error.into(), as_json),
    };
    signals.last_words(say, None).await
}

fn report(inspection: &Inspection, as_json: bool) -> Result<ExitCode, Error> {
    if as_json {
        say::print(&format!("{}\n", json::line(&HostRow::new(inspection))))?;
    } else {
        say::print(&text(inspection))?;
    }
    Ok(if inspection.is_strict() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(inspection: &Inspection) -> String {
    let mut text = match inspection.level {
        Some(level) => format!(
            "Runs on this host reach level {}; the default floor {} met.\n",
            json::level_name(level),
            if inspection.is_strict() { "is" } else { "cannot be" },
        ),
        None => "A jar cannot be raised on this host.\n".to_owned(),
    };
    let cells = |rows: &[Finding]| {
        let cells = rows.iter().map(|row| {
            let fix =
                if row.fix.is_empty() { String::new() } else { format!("; fix: {}", row.fix) };
            let errno =
                if row.errno == 0 { String::new() } else { format!(" (errno {})", row.errno) };
            let how = format!("{}{errno}{fix}", row.how);
            [row.name.to_owned(), row.state.name().to_owned(), how]
        });
        say::table(&cells.collect::<Vec<_>>())
    };
    text.extend(["layers:\n", &cells(&inspection.layers), "limits:\n", &cells(&inspection.limits)]);
    let facts = inspection.facts.iter().map(|(name, fact)| [(*name).to_owned(), fact.clone()]);
    text.extend(["host:\n", &say::table(&facts.collect::<Vec<_>>())]);
    for (title, lines) in [("notes", &inspection.notes), ("warnings", &inspection.warnings)] {
        if !lines.is_empty() {
            let rows: Vec<_> = lines.iter().map(|line| [line.clone()]).collect();
            text.extend([title, ":\n", &say::table(&rows)]);
        }
    }
    if let Some(next) = &inspection.next {
        text.push_str(&next.why);
        if !next.fix.is_empty() {
            text.extend(["; fix: ", &next.fix]);
        }
        text.push('\n');
    }
    text.push_str("belljar doctor --attack proves it.\n");
    text
}
