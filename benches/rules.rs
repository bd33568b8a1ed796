//! What a check of a source costs: an ordinary one by its length, and hostile ones of the largest size.

use std::hint::black_box;
use std::time::{Duration, Instant};

use belljar::{Language, Mode, Rules, check};
use belljar_benches::{Effort, Error};

/// As a model writes them.
const PROGRAM: &str = include_str!("src/checked.py");
const LARGEST_BYTES: usize = 1 << 20;
const LINES: [usize; 3] = [100, 1_000, 10_000];
/// What is repeated, each for its share of the source.
const HOSTILE: [(Language, &[&str]); 15] = [
    (Language::Python, &["("]),
    (Language::Python, &["["]),
    (Language::Python, &["f'{"]),
    (Language::Python, &["1+"]),
    (Language::Python, &["not "]),
    (Language::Python, &["lambda a,b:"]),
    (Language::Python, &["a("]),
    (Language::Python, &["1if 1else "]),
    (Language::Python, &["if 1:a;"]),
    (Language::Python, &["a=b\n", "a()\n"]),
    (Language::Python, &["s='{}'\n", "s.format()\n"]),
    (Language::JavaScript, &["var o={},c='a';", "o[c];\n"]),
    (Language::JavaScript, &["of\\/;"]),
    (Language::Bash, &["f() { :; }\n", "trap f EXIT\n"]),
    (Language::Bash, &["env "]),
];

fn main() -> Result<(), Error> {
    let effort = Effort::asked_for(50)?;
    say(&format!("{:<34}{:>12}{:>18}", "source", "p50 ms", "us a line"))?;
    for mode in [Mode::Restricted, Mode::Standard] {
        for lines in LINES {
            let source = ordinary(lines);
            let time = median(effort, Language::Python, &source, mode)?;
            let each = time.as_secs_f64() * 1e6 / f64::from(u32::try_from(lines)?);
            let name = format!("python, {lines} lines, {mode}");
            say(&format!("{name:<34}{:>12.3}{each:>18.3}", time.as_secs_f64() * 1e3))?;
        }
    }
    for (language, parts) in HOSTILE {
        let share = LARGEST_BYTES / parts.len();
        let source: String = parts.iter().map(|part| part.repeat(share / part.len())).collect();
        let time = median(effort, language, &source, Mode::Standard)?;
        let name = format!("{language:?}, 1 MiB of {parts:?}");
        say(&format!("{name:<34}{:>12.3}{:>18}", time.as_secs_f64() * 1e3, "-"))?;
    }
    Ok(())
}

/// Whole programs, and as many lines: a part of one might be no Python.
fn ordinary(lines: usize) -> String {
    let each = PROGRAM.lines().count();
    PROGRAM.repeat(lines / each) + &"# a comment\n".repeat(lines % each)
}

fn median(effort: Effort, language: Language, source: &str, mode: Mode) -> Result<Duration, Error> {
    let rules = Rules { mode, ..Rules::default() };
    let mut samples = Vec::with_capacity(effort.rounds);
    for _ in 0..effort.rounds {
        let start = Instant::now();
        black_box(check(language, black_box(source), &rules));
        samples.push(start.elapsed());
    }
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().ok_or_else(|| "no rounds".into())
}

fn say(line: &str) -> Result<(), Error> {
    use std::io::Write as _;
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
