//! A harness for times that are compared, not quoted.
//!
//! Every round takes one sample of every row, in an order that changes from round to round, so
//! that whatever else the machine does hits all rows alike. What is printed as a result is the
//! median, over the rounds, of the ratio within a round. Nothing is ever asserted about a time.

mod below;
mod bundle;
mod client;
mod job;
mod launch;
mod plot;
mod rivals;
mod sheet;
mod waiting;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

pub use below::{anonymous_bytes, descendants, private_dirty_bytes};
pub use bundle::Place;
pub use client::{Client, Service, cpu_of};
pub use job::Job;
pub use launch::{Jars, bare, beside, interpreter, unavailable};
pub use plot::{Curve, Plot};
pub use rivals::{Rival, rivals};
pub use sheet::Sheet;
pub use waiting::Waiting;

/// What keeps a bench from measuring.
pub type Error = Box<dyn std::error::Error>;

/// How much a bench is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Samples of each row.
    pub rounds: usize,
    /// Only whether it works is of interest, not how long it takes.
    pub is_smoke: bool,
}

impl Effort {
    /// From the command line: `--quick`, and `--test`, which is also what a call without cargo's
    /// `--bench` means. `BELLJAR_BENCH_ROUNDS` names the number of rounds.
    ///
    /// # Errors
    /// An option nobody knows, or a number that is none.
    pub fn asked_for(usual_rounds: usize) -> Result<Self, Error> {
        let (mut is_bench, mut is_test, mut is_quick) = (false, false, false);
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--bench" => is_bench = true,
                "--test" => is_test = true,
                "--quick" => is_quick = true,
                other => {
                    return Err(format!("unknown option {other}; try --quick or --test").into());
                }
            }
        }
        let is_smoke = is_test || !is_bench;
        let asked = std::env::var("BELLJAR_BENCH_ROUNDS").ok();
        let rounds = match asked {
            _ if is_smoke => 1,
            Some(number) => number.parse().map_err(|_| "BELLJAR_BENCH_ROUNDS is no number")?,
            None if is_quick => usual_rounds.div_ceil(10),
            None => usual_rounds,
        };
        Ok(Self { rounds: rounds.max(1), is_smoke })
    }
}

/// Does something once, and says how long it took.
type Act<'a> = Box<dyn FnMut() -> Result<Duration, Error> + 'a>;

/// Rows that are measured together.
#[derive(Default)]
pub struct Contest<'a> {
    contenders: Vec<(String, Act<'a>)>,
    rests: BTreeMap<String, Duration>,
}

impl<'a> Contest<'a> {
    /// Adds a row: the time that `act` takes.
    pub fn enter(&mut self, name: &str, mut act: impl FnMut() -> Result<(), Error> + 'a) {
        self.measure(name, move || {
            let started = Instant::now();
            act().map(|()| started.elapsed())
        });
    }

    /// Adds a row that knows itself what of its time counts.
    pub fn measure(&mut self, name: &str, act: impl FnMut() -> Result<Duration, Error> + 'a) {
        self.contenders.push((name.to_owned(), Box::new(act)));
    }

    /// Waits after every sample of the row that was entered last, because what it leaves to be done
    /// would be done in the next row's time.
    pub fn rest(&mut self, time: Duration) {
        if let Some((name, _)) = self.contenders.last() {
            self.rests.insert(name.clone(), time);
        }
    }

    /// Takes one sample of every row per round, after one round that does not count.
    ///
    /// # Errors
    /// The first row that fails: a time of something that did not work means nothing.
    pub fn hold(mut self, rounds: usize) -> Result<Table, Error> {
        let mut table = Table::default();
        for (name, act) in &mut self.contenders {
            table.samples.push((name.clone(), Vec::with_capacity(rounds)));
            act().map_err(|error| format!("{name}: {error}"))?;
            std::thread::sleep(self.rests.get(name).copied().unwrap_or_default());
        }
        let rows = self.contenders.len();
        for round in 0..rounds {
            for turn in 0..rows {
                // Forwards, then backwards, and never the same one first: no row always follows
                // another whose remains the kernel is still clearing away.
                let turn = if round % 2 == 0 { turn } else { rows - 1 - turn };
                let row = (turn + round / 2) % rows;
                let Some((name, act)) = self.contenders.get_mut(row) else { continue };
                let sample = act().map_err(|error| format!("{name}: {error}"))?;
                table.record(name, sample);
                std::thread::sleep(self.rests.get(name).copied().unwrap_or_default());
            }
        }
        Ok(table)
    }
}

impl std::fmt::Debug for Contest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.contenders.iter().map(|(name, _)| name).collect();
        f.debug_tuple("Contest").field(&names).finish()
    }
}

/// The samples of every row, those of one round at the same index.
#[derive(Debug, Default)]
pub struct Table {
    samples: Vec<(String, Vec<Duration>)>,
}

/// What a ratio is wanted to be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// At most this.
    AtMost(f64),
    /// Whatever it is.
    Told,
}

impl Table {
    /// The names of the rows, in the order in which they were entered.
    pub fn rows(&self) -> impl Iterator<Item = &str> {
        self.samples.iter().map(|(name, _)| name.as_str())
    }

    /// Samples of each row.
    pub fn rounds(&self) -> usize {
        self.samples.first().map_or(0, |(_, samples)| samples.len())
    }

    /// The median of a row.
    pub fn p50(&self, row: &str) -> Option<Duration> {
        let samples = self.samples.iter().find(|(name, _)| name == row);
        samples.map(|(_, samples)| at(samples, 50))
    }

    /// What so many percent of a row are not above.
    pub fn quantile(&self, row: &str, percent: usize) -> Duration {
        let samples = self.samples.iter().find(|(name, _)| name == row);
        samples.map(|(_, samples)| at(samples, percent)).unwrap_or_default()
    }

    /// Adds a sample.
    pub fn record(&mut self, row: &str, sample: Duration) {
        match self.samples.iter_mut().find(|(name, _)| name == row) {
            Some((_, samples)) => samples.push(sample),
            None => self.samples.push((row.to_owned(), vec![sample])),
        }
    }

    /// Prints every row; ratios are to `reference`.
    ///
    /// # Errors
    /// When nobody reads.
    pub fn print(&self, title: &str, reference: &str) -> io::Result<()> {
        let rounds = self.rounds();
        let mut out = io::stdout().lock();
        writeln!(out, "\n{title} ({rounds} rounds)")?;
        writeln!(out, "{:<52}{:>10}{:>10}{:>10}", "row", "p50 ms", "p90 ms", "ratio")?;
        for (name, samples) in &self.samples {
            let shown = |quantile| format!("{:.3}", at(samples, quantile).as_secs_f64() * 1e3);
            let ratio = self.ratio(name, &[reference]).unwrap_or(f64::NAN);
            writeln!(out, "{name:<52}{:>10}{:>10}{ratio:>9.2}x", shown(50), shown(90))?;
        }
        writeln!(out, "ratios are to {reference}, medians of the ratio within a round")
    }

    /// Prints the ratio of a row to the sum of others beside what is wanted of it; nothing when
    /// one of the rows was not measured.
    ///
    /// # Errors
    /// When nobody reads.
    pub fn compare(&self, row: &str, over: &[&str], goal: Goal) -> io::Result<()> {
        let Some(ratio) = self.ratio(row, over) else { return Ok(()) };
        let goal = match goal {
            Goal::AtMost(most) if ratio <= most => format!("<= {most:.2}x  met"),
            Goal::AtMost(most) => format!("<= {most:.2}x  MISSED"),
            Goal::Told => String::new(),
        };
        let what = format!("{row} / ({})", over.join(" + "));
        writeln!(io::stdout().lock(), "{what:<72}{ratio:>9.2}x  {goal}")
    }

    /// Prints how much longer a row takes than another, beside the most that it should: the median
    /// of the differences within a round.
    ///
    /// # Errors
    /// When nobody reads.
    pub fn exceed(&self, row: &str, other: &str, most: Duration) -> io::Result<()> {
        let samples = |name: &str| {
            let found = self.samples.iter().find(|(known, _)| known == name);
            found.map(|(_, samples)| samples.as_slice()).unwrap_or_default()
        };
        let pairs = samples(row).iter().zip(samples(other));
        let pairs = pairs.map(|(one, other)| (one.as_secs_f64() - other.as_secs_f64()) * 1e3);
        let mut added: Vec<f64> = pairs.collect();
        added.sort_by(f64::total_cmp);
        let Some(added) = added.get(added.len() / 2) else { return Ok(()) };
        let most = most.as_secs_f64() * 1e3;
        let word = if *added <= most { "met" } else { "MISSED" };
        let what = format!("{row} - ({other})");
        writeln!(io::stdout().lock(), "{what:<72}{added:>+8.3} ms  <= {most:.3} ms  {word}")
    }

    /// The ratio of a row to the sum of others within a round: the median over all rounds.
    pub fn ratio(&self, row: &str, over: &[&str]) -> Option<f64> {
        let rows: BTreeMap<_, _> =
            self.samples.iter().map(|(name, it)| (name.as_str(), it)).collect();
        let below = over.iter().map(|name| rows.get(name).copied()).collect::<Option<Vec<_>>>()?;
        let mut ratios: Vec<f64> = rows
            .get(row)?
            .iter()
            .enumerate()
            .filter_map(|(round, sample)| {
                let sum: Duration = below.iter().filter_map(|samples| samples.get(round)).sum();
                (!sum.is_zero()).then(|| sample.as_secs_f64() / sum.as_secs_f64())
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied()
    }
}

fn at(samples: &[Duration], percent: usize) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}
