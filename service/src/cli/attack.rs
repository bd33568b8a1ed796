//! `belljar doctor --attack`: every attack of the corpus in a jar of its own.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use belljar::{Error, Outcome, Sandbox, Source};
use clap::Parser;
use serde::Serialize;
use tokio::task::JoinSet;

use super::limits::LimitOptions;
use super::{event_loop, say};
use crate::json;

mod judge;
mod remains;

use judge::Judgement;
use remains::Remains;

const ATTACKER: &str = "belljar-attacker";
/// At once; an attack on the processor wants one for itself.
const MOST_AT_ONCE: usize = 4;
const NOTHING_TO_COLLECT: &str = "**: no such file was left";

/// One row of the corpus.
#[derive(Clone, Debug)]
struct Attack {
    id: String,
    name: String,
    expect: String,
    limits: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    id: String,
    name: String,
    result: &'static str,
    evidence: String,
}

#[derive(Serialize)]
struct Report {
    held: usize,
    bit: usize,
    not_tried: usize,
    left_behind: Vec<String>,
    attacks: Vec<Row>,
}

pub(super) fn main(as_json: bool) -> Result<ExitCode, Error> {
    let program = belljar::shipped(ATTACKER)?;
    let events = event_loop()?;
    let attacks = corpus(&program)?;
    // What a process keeps for its later runs is not what an attack left.
    events.block_on(belljar::inspect())?;
    let before = Remains::find();
    let attacks = events.block_on(all(program, attacks, as_json))?;
    let left_behind = beyond(&before);
    let count = |result| attacks.iter().filter(|row| row.result == result).count();
    let report = Report {
        held: count(Judgement::HELD),
        bit: count(Judgement::BIT),
        not_tried: count(Judgement::NOT_TRIED),
        left_behind,
        attacks,
    };
    if as_json {
        say::print(&format!("{}\n", json::line(&report)))?;
    } else {
        say::print(&summary(&report))?;
    }
    let all_held = report.bit == 0 && report.left_behind.is_empty();
    Ok(if all_held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is there that was not before, half a second later at most: the kernel takes down behind a
/// run what nothing can be done in any more.
fn beyond(before: &Remains) -> Vec<String> {
    const GRACE: Duration = Duration::from_millis(500);
    let deadline = Instant::now() + GRACE;
    loop {
        let left = Remains::find().beyond(before);
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        thread::sleep(GRACE / 50);
    }
}

fn summary(report: &Report) -> String {
    let mut text = format!("held {} of {}", report.held, report.attacks.len());
    if report.not_tried > 0 {
        text.extend([format!(", {} not tried: nothing here to attack", report.not_tried)]);
    }
    if report.bit > 0 {
        text.extend([format!(", {} BIT", report.bit)]);
    }
    text.push('\n');
    for left in &report.left_behind {
        text.extend([format!("left behind: {left}\n")]);
    }
    text
}

/// Asks the attacker, outside of any jar, what it knows.
fn corpus(program: &Path) -> Result<Vec<Attack>, Error> {
    let failed = |error| Error::Worker(format!("cannot run {}", program.display()), error);
    let listed = Command::new(program).arg("list").output().map_err(failed)?;
    let text = String::from_utf8_lossy(&listed.stdout);
    let rows: Option<Vec<_>> = text.lines().map(row).collect();
    rows.filter(|rows| !rows.is_empty() && listed.status.success())
        .ok_or_else(|| Error::Protocol(format!("{} does not list its attacks", program.display())))
}

fn row(line: &str) -> Option<Attack> {
    let mut fields = line.split('\t').map(ToOwned::to_owned);
    let (id, name, expect) = (fields.next()?, fields.next()?, fields.next()?);
    let limits = fields.nth(1)?;
    let limits = limits.split_whitespace().map(|limit| format!("--{limit}")).collect();
    Some(Attack { id, name, expect, limits })
}

/// Runs all attacks, some at once, and shows each as soon as those before it are shown.
async fn all(program: PathBuf, attacks: Vec<Attack>, quiet: bool) -> Result<Vec<Row>, Error> {
    let at_once = thread::available_parallelism().map_or(1, usize::from).min(MOST_AT_ONCE);
    let sandbox = Sandbox::builder("native").build()?;
    let mut waiting = attacks.into_iter().enumerate();
    let mut running = JoinSet::new();
    let (mut done, mut rows) = (BTreeMap::new(), Vec::new());
    loop {
        while running.len() < at_once
            && let Some((place, attack)) = waiting.next()
        {
            let (sandbox, program) = (sandbox.clone(), program.clone());
            running.spawn(async move { (place, one(&sandbox, &program, attack).await) });
        }
        let Some(ended) = running.join_next().await else { return Ok(rows) };
        let (place, row) = ended.map_err(|error| {
            Error::Internal("an attack was torn down".to_owned(), io::Error::other(error))
        })?;
        done.insert(place, row?);
        while let Some(row) = done.remove(&rows.len()) {
            if !quiet {
                say::print(&line(&row))?;
            }
            rows.push(row);
        }
    }
}

fn line(row: &Row) -> String {
    let what = format!("{}: {}", row.name, row.evidence);
    say::table(&[[format!("{:5}", row.id), format!("{:9}", row.result), what]])
}

async fn one(sandbox: &Sandbox, program: &Path, attack: Attack) -> Result<Row, Error> {
    let limits = LimitOptions::try_parse_from(&attack.limits).map_err(|error| {
        Error::Protocol(format!("{} has impossible limits: {error}", attack.id))
    })?;
    let sandbox = sandbox.with_limits(limits.limits())?;
    let source = Source::program(program).arg(attack.id.as_str()).collect("**");
    let mut outcome: Outcome = sandbox.run(source).await?;
    outcome.artifact_errors.retain(|line| line != NOTHING_TO_COLLECT);
    let judgement = judge::judge(&attack.expect, &outcome);
    Ok(Row {
        id: attack.id,
        name: attack.name,
        result: judgement.result,
        evidence: judgement.evidence,
    })
}
