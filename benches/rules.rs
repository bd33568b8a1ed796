//! What a check of a source costs: an ordinary one by its length, and hostile ones of the largest size.

use std::hint::black_box;
use std::time::{Duration, Instant};

use belljar::{Language, Mode, Rules, check};
use belljar_benches::{Effort, Error};

/// As a model writes them, forty lines long.
const PROGRAM: &str = include_str!("src/checked.py");
const LARGEST_BYTES: usize = 1 << 20;
const LINES: [usize; 3] = [100, 1_000, 10_000];
const HOSTILE: [&str; 9] =
    ["(", "[", "f'{", "1+", "not ", "lambda a,b:", "a(", "1if 1else ", "if 1:a;"];

fn main() -> Result<(), Error> {
    let effort = Effort::asked_for(50)?;
    say(&format!("{:<34}{:>12}{:>18}", "source", "p50 ms", "us a line"))?;
    for mode in [Mode::Restricted, Mode::Standard] {
        for lines in LINES {
            let source = ordinary(lines);
            let time = median(effort, &source, mode)?;
            let each = time.as_secs_f64() * 1e6 / f64::from(u32::try_from(lines)?);
            let name = format!("python, {lines} lines, {mode}");
            say(&format!("{name:<34}{:>12.3}{each:>18.3}", time.as_secs_f64() * 1e3))?;
        }
    }
    for part in HOSTILE {
        let source = part.repeat(LARGEST_BYTES / part.len());
        let time = median(effort, &source, Mode::Standard)?;
        let name = format!("python, 1 MiB of {part:?}");
        say(&format!("{name:<34}{:>12.3}{:>18}", time.as_secs_f64() * 1e3, "-"))?;
    }
    Ok(())
}

fn ordinary(lines: usize) -> String {
    PROGRAM.lines().cycle().take(lines).flat_map(|line| [line, "\n"]).collect()
}

fn median(effort: Effort, source: &str, mode: Mode) -> Result<Duration, Error> {
    let rules = Rules { mode, ..Rules::default() };
    let mut samples = Vec::with_capacity(effort.rounds);
    for _ in 0..effort.rounds {
        let start = Instant::now();
        black_box(check(Language::Python, black_box(source), &rules));
        samples.push(start.elapsed());
    }
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().ok_or_else(|| "no rounds".into())
}

fn say(line: &str) -> Result<(), Error> {
    use std::io::Write as _;
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
