//! `belljar run`.

use std::future::pending;
use std::io;
use std::process::ExitCode;

use belljar::{Error, Outcome, Run, Sandbox, SandboxBuilder, Source, TimeLimit, Verdict};
use tokio::sync::oneshot::error::RecvError;

use super::interrupt::Signals;
use super::options::RunOptions;
use super::screen::Screen;
use super::{
    REFUSED, SIGNALLED, collected, event_loop, explain, input, known_runtimes, refuse, say,
};
use crate::json;

/// As timeout(1) has it.
const TIME_IS_UP: u8 = 124;
/// As a shell shows a process that the kernel killed.
const MEMORY_IS_UP: u8 = SIGNALLED + 9;
/// As a shell shows a process that wrote beyond `RLIMIT_FSIZE` (SIGXFSZ).
const TOO_MUCH_OUTPUT: u8 = SIGNALLED + 25;
/// As a shell shows a writer whose reader has gone (SIGPIPE).
const READER_GONE: u8 = SIGNALLED + 13;
/// Denials shown unasked.
const MOST_HINTS: usize = 3;

/// Why a run was not left to its end.
#[derive(Debug)]
enum Interruption {
    Signal(u8),
    ReaderGone,
    CannotWrite(io::Error),
}

/// How far it came.
enum End {
    Outcome(Box<Outcome>, Option<Interruption>),
    /// A signal came first.
    NotStarted(u8),
}

pub(super) fn main(mut options: RunOptions) -> Result<ExitCode, Error> {
    if let Some(host) = options.allow_net.first() {
        let what =
            format!("--allow-net {host}: networks cannot be granted yet; pass data as files");
        return Err(Error::Invalid(what));
    }
    if let Some(directory) = &options.out {
        collected::check(directory)?;
    } else if !options.collect.is_empty() && !options.json {
        let what = "--collect: say where to with --out DIR, or use --json";
        return Err(Error::Invalid(what.to_owned()));
    }
    // Until all is read, which may take its time, a signal ends belljar by itself.
    let (builder, source) = prepare(&mut options)?;
    let events = event_loop()?;
    let status = events.block_on(attend(options, builder, source));
    // A writer whose reader does not read may be left behind.
    events.shutdown_background();
    status
}

fn prepare(options: &mut RunOptions) -> Result<(SandboxBuilder, Source), Error> {
    let runtimes = known_runtimes(options.runtimes.take())?;
    let (runtime, source) = input::read(options, &runtimes)?;
    let mut builder = Sandbox::builder(runtimes.get(&runtime)?.clone())
        .limits(options.limits.limits())
        .floor(options.floor);
    if let Some(program) = &options.program {
        builder = builder.program(program);
    }
    for directory in &options.read_only {
        builder = builder.read_only(input::absolute(directory)?);
    }
    Ok((builder, source))
}

/// Runs, and says what came of it.
async fn attend(
    options: RunOptions,
    builder: SandboxBuilder,
    source: Source,
) -> Result<ExitCode, Error> {
    let mut signals = Signals::new()?;
    let ended = run(&mut signals, builder, source, options.json).await;
    let say = move || match ended {
        Ok(End::Outcome(outcome, interruption)) => {
            finish(&options, *outcome, interruption.as_ref())
        }
        Ok(End::NotStarted(signal)) => {
            say::complain("was cancelled before it had started");
            ExitCode::from(SIGNALLED + signal)
        }
        Err(error) => refuse(&error, options.json),
    };
    signals.last_words(say).await
}

/// Runs to the end, or to the interruption; output is shown as it comes unless it goes into JSON.
async fn run(
    signals: &mut Signals,
    builder: SandboxBuilder,
    source: Source,
    quiet: bool,
) -> Result<End, Error> {
    let (built, signal) = signals.settle_blocking(|| builder.build()).await?;
    if let Some(signal) = signal {
        return Ok(End::NotStarted(signal));
    }
    let sandbox = built?;
    let mut screen = if quiet { None } else { Some(Screen::open()?) };
    let (started, signal) = signals.settle(sandbox.start(source)).await;
    let mut run = match (started, signal) {
        // One that was typed at a terminal is the worker's as well, and may be why.
        (Err(_), Some(signal)) => return Ok(End::NotStarted(signal)),
        (started, _) => started?,
    };
    let mut interruption = signal.map(Interruption::Signal);
    if interruption.is_none() {
        interruption = watch(&mut run, signals, screen.as_mut()).await;
    }
    let outcome = if interruption.is_some() { run.kill().await? } else { run.wait().await? };
    if let Some(screen) = screen
        && !matches!(interruption, Some(Interruption::ReaderGone | Interruption::CannotWrite(_)))
    {
        // Until the last byte is written, for as long as nobody loses patience.
        let late = tokio::select! {
            biased;
            written = screen.close(&outcome) => failure(written),
            signal = signals.next() => Some(Interruption::Signal(signal)),
        };
        interruption = interruption.or(late);
    }
    Ok(End::Outcome(Box::new(outcome), interruption))
}

async fn watch(
    run: &mut Run,
    signals: &mut Signals,
    mut screen: Option<&mut Screen>,
) -> Option<Interruption> {
    loop {
        let screen_ended = async {
            match &mut screen {
                Some(screen) => (&mut screen.ended).await,
                None => pending().await,
            }
        };
        let chunk = tokio::select! {
            chunk = run.output() => chunk?,
            written = screen_ended => return failure(written),
            signal = signals.next() => return Some(Interruption::Signal(signal)),
        };
        if let Some(screen) = &mut screen {
            screen.show(chunk);
        }
    }
}

fn failure(written: Result<io::Result<()>, RecvError>) -> Option<Interruption> {
    let error = written.map_err(io::Error::other).flatten().err()?;
    Some(match error.kind() {
        io::ErrorKind::BrokenPipe => Interruption::ReaderGone,
        _ => Interruption::CannotWrite(error),
    })
}

/// Writes what came out, says why, and tells the exit status.
fn finish(
    options: &RunOptions,
    mut outcome: Outcome,
    interruption: Option<&Interruption>,
) -> ExitCode {
    if options.collect.is_empty() {
        // Nobody asked for something that is not there.
        outcome.artifact_errors.retain(|line| !line.starts_with("**: "));
    }
    let unwritten = match options.out.as_deref() {
        Some(directory) => collected::write(directory, &outcome.artifacts),
        None => Vec::new(),
    };
    let mut incomplete = !unwritten.is_empty();
    outcome.artifact_errors.extend(unwritten);
    if options.json {
        let line = format!("{}\n", json::outcome(&outcome, options.out.is_none()));
        if let Err(error) = say::print(&line) {
            say::complain(&error.to_string());
            incomplete = true;
        }
    } else {
        tell(&outcome, interruption);
    }
    if options.explain {
        say::explain(&explain::text(&outcome));
    }
    let status = match interruption {
        Some(Interruption::Signal(number)) => SIGNALLED + number,
        Some(Interruption::ReaderGone) => READER_GONE,
        Some(Interruption::CannotWrite(_)) => REFUSED,
        None if incomplete => REFUSED,
        None if options.json => 0,
        None => status(outcome.verdict),
    };
    ExitCode::from(status)
}

/// One line on what came of it; where the payload's own exit status says it all, none.
fn tell(outcome: &Outcome, interruption: Option<&Interruption>) {
    for line in &outcome.artifact_errors {
        say::complain(&format!("not collected: {line}"));
    }
    for (name, output) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        let dropped = output.dropped_bytes;
        if dropped > 0 && outcome.verdict != Verdict::OutputLimit {
            say::complain(&format!("{dropped} bytes of {name} dropped; raise --{name}-limit"));
        }
    }
    match (interruption, outcome.verdict) {
        (Some(Interruption::ReaderGone), _) => {}
        (Some(Interruption::CannotWrite(error)), _) => {
            say::complain(&format!("cannot write its output: {error}"));
        }
        (_, Verdict::Exited { code }) => {
            let shown = if code == 0 { 0 } else { MOST_HINTS };
            for denial in outcome.denials.iter().take(shown) {
                say::complain(&format!("refused: {}: {}", denial.what, denial.hint));
            }
        }
        (_, verdict) => {
            let message = verdict.message(&outcome.limits);
            say::complain(&format!("{message} ({})", verdict.status()));
        }
    }
}

/// The exit status that stands for a verdict.
fn status(verdict: Verdict) -> u8 {
    let signalled = |signal: i32| u8::try_from(signal).map_or(REFUSED, |n| SIGNALLED | n);
    match verdict {
        Verdict::Exited { code } => u8::try_from(code).unwrap_or(REFUSED),
        Verdict::Signalled { signal } => signalled(signal),
        Verdict::TimedOut(TimeLimit::Cpu | TimeLimit::Wall) => TIME_IS_UP,
        Verdict::OutOfMemory => MEMORY_IS_UP,
        Verdict::OutputLimit => TOO_MUCH_OUTPUT,
        Verdict::Denied => verdict.signal().map_or(REFUSED, signalled),
        _ => REFUSED,
    }
}
