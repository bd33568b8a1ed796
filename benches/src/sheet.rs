//! One table of several contests, to be pasted into a document.

use std::io::{self, Write as _};
use std::process::Command;
use std::{fs, thread};

use crate::{Job, Table};

/// Contenders as rows, jobs as columns.
#[derive(Debug)]
pub struct Sheet {
    reference: &'static str,
    columns: Vec<(String, String, Table)>,
    absent: Vec<Absence>,
}

/// Who, why, and from which jobs.
#[derive(Debug)]
struct Absence {
    who: String,
    why: String,
    jobs: Vec<&'static str>,
}

impl Sheet {
    /// An empty one, with ratios to this row.
    pub fn new(reference: &'static str) -> Self {
        Self { reference, columns: Vec::new(), absent: Vec::new() }
    }

    /// Adds a job that was measured.
    pub fn add(&mut self, job: &Job, table: Table) {
        self.columns.push((job.name.to_owned(), job.words().join(" "), table));
    }

    /// Tells who could not take part in a job, and why.
    pub fn leave_out(&mut self, who: &str, job: &'static str, why: &str) {
        let same = |it: &&mut Absence| it.who == who && it.why == why;
        match self.absent.iter_mut().find(same) {
            Some(absence) => absence.jobs.push(job),
            None => self.absent.push(Absence {
                who: who.to_owned(),
                why: why.to_owned(),
                jobs: vec![job],
            }),
        }
    }

    /// Prints it as Markdown.
    ///
    /// # Errors
    /// When nobody reads.
    pub fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let heads = self.columns.iter().map(|(name, ..)| format!("{name}, p50 ms | ratio"));
        let heads = heads.collect::<Vec<_>>().join(" | ");
        writeln!(
            out,
            "
| contender | {heads} |"
        )?;
        writeln!(out, "|---|{}", "---:|---:|".repeat(self.columns.len()))?;
        for row in self.rows() {
            write!(out, "| {row} |")?;
            for (_, _, table) in &self.columns {
                let time = table.p50(row).map(|it| format!("{:.2}", it.as_secs_f64() * 1e3));
                let ratio = table.ratio(row, &[self.reference]).map(|it| format!("{it:.2}x"));
                let shown = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
                write!(out, " {} | {} |", shown(time), shown(ratio))?;
            }
            writeln!(out)?;
        }
        writeln!(out)?;
        for Absence { who, why, jobs } in &self.absent {
            writeln!(out, "Not measured: {who} ({}): {why}.  ", jobs.join(", "))?;
        }
        self.print_circumstances(&mut out)
    }

    fn print_circumstances(&self, out: &mut impl io::Write) -> io::Result<()> {
        let rounds = self.columns.first().map_or(0, |(_, _, table)| table.rounds());
        writeln!(
            out,
            "{}; Linux {}; {}, {} processors; interleaved rounds: {rounds}. A ratio is the median of \
             the ratios to {} within a round.  ",
            today(),
            read("/proc/sys/kernel/osrelease"),
            processor(),
            thread::available_parallelism().map_or(0, usize::from),
            self.reference,
        )?;
        let jobs: Vec<_> = self.columns.iter().map(|(_, words, _)| format!("`{words}`")).collect();
        writeln!(out, "Jobs: {}; without an environment.", jobs.join(", "))
    }

    /// In the order of the first job that has them.
    fn rows(&self) -> Vec<&str> {
        let mut rows = Vec::new();
        for row in self.columns.iter().flat_map(|(_, _, table)| table.rows()) {
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        rows
    }
}

fn today() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    output.map_or_else(
        |error| format!("date: {error}"),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn processor() -> String {
    let told = read("/proc/cpuinfo");
    let model = told.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.and_then(|line| line.split_once(": ")).map(|(_, model)| model.to_owned());
    model.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|error| error.to_string(), |it| it.trim().to_owned())
}
