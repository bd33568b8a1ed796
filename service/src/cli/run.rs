//! `belljar run`.

use std::future::pending;
use std::io;
use std::process::ExitCode;

use belljar::{Error, Runtimes, Sandbox, SandboxBuilder, Source};
use tokio::sync::oneshot::error::RecvError;

use super::interrupt::Signals;
use super::options::RunOptions;
use super::place::{self, Live};
use super::screen::Screen;
use super::{
    REFUSED, SIGNALLED, collected, event_loop, explain, input, known_runtimes, refuse, say,
};
use crate::client::Service;
use crate::json::{self, Outcome, Problem, Request};

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

/// How a start ended.
enum Started {
    /// It runs, and a signal came meanwhile.
    Live(Live, Option<u8>),
    /// A signal came first.
    Not(u8),
}

/// How far it came.
enum End {
    Outcome(Box<Outcome>, Option<Interruption>),
    /// A signal came first.
    NotStarted(u8),
}

pub(super) fn main(mut options: RunOptions) -> Result<ExitCode, Error> {
    if let Some(directory) = &options.out {
        collected::check(directory)?;
    } else if !options.collect.is_empty() && !options.json {
        let what = "--collect: say where to with --out DIR, or use --json";
        return Err(Error::Invalid(what.to_owned()));
    }
    // Until all is read, which may take its time, a signal ends belljar by itself.
    let runtimes = known_runtimes(options.runtimes.clone())?;
    let (runtime, source) = input::read(&mut options, &runtimes)?;
    let source = options.grants.grant(source, &options.bind_secret)?;
    let events = event_loop()?;
    let status = events.block_on(attend(options, Wanted { runtimes, runtime, source }));
    // A writer whose reader does not read may be left behind.
    events.shutdown_background();
    status
}

/// What is to be run.
struct Wanted {
    runtimes: Runtimes,
    runtime: String,
    source: Source,
}

/// Runs, and says what came of it.
async fn attend(options: RunOptions, wanted: Wanted) -> Result<ExitCode, Error> {
    let mut signals = Signals::new()?;
    let ended = Box::pin(run(&mut signals, &options, wanted)).await;
    let heard = match &ended {
        Ok(End::Outcome(_, interruption)) => signal_of(interruption.as_ref()),
        Ok(End::NotStarted(signal)) => Some(*signal),
        Err(_) => None,
    };
    let say = move || match ended {
        Ok(End::Outcome(outcome, interruption)) => {
            finish(&options, *outcome, interruption.as_ref())
        }
        Ok(End::NotStarted(signal)) => {
            say::complain("was cancelled before it had started");
            ExitCode::from(SIGNALLED + signal)
        }
        Err(problem) => refuse(&problem, options.json),
    };
    signals.last_words(say, heard).await
}

/// Runs to the end, or to the interruption; output is shown as it comes unless it goes into JSON.
async fn run(signals: &mut Signals, options: &RunOptions, wanted: Wanted) -> Result<End, Problem> {
    let mut screen = if options.json { None } else { Some(Screen::open()?) };
    let started = match place::service(options, &wanted.source).await? {
        Some(service) => start_there(signals, options, wanted, service).await?,
        None => Box::pin(start_here(signals, options, wanted)).await?,
    };
    let (mut live, signal) = match started {
        Started::Live(live, signal) => (live, signal),
        Started::Not(signal) => return Ok(End::NotStarted(signal)),
    };
    let mut interruption = signal.map(Interruption::Signal);
    if interruption.is_none() {
        interruption = watch(&mut live, signals, screen.as_mut()).await;
    }
    let outcome = if interruption.is_some() { live.kill().await? } else { live.wait().await? };
    if let Some(screen) = screen
        && !matches!(interruption, Some(Interruption::ReaderGone | Interruption::CannotWrite(_)))
    {
        // Until the last byte is written, for as long as nobody loses patience.
        let late = tokio::select! {
            biased;
            written = screen.close(&outcome) => failure(written),
            signal = signals.next_after(signal_of(interruption.as_ref())) => {
                Some(Interruption::Signal(signal))
            }
        };
        interruption = interruption.or(late);
    }
    Ok(End::Outcome(outcome, interruption))
}

async fn start_here(
    signals: &mut Signals,
    options: &RunOptions,
    wanted: Wanted,
) -> Result<Started, Problem> {
    let builder = builder(options, &wanted)?;
    let (built, signal) = signals.settle_blocking(|| builder.build()).await?;
    if let Some(signal) = signal {
        return Ok(Started::Not(signal));
    }
    let sandbox = built?;
    match signals.settle(Box::pin(sandbox.start(wanted.source))).await {
        // One that was typed at a terminal is the worker's as well, and may be why.
        (Err(_), Some(signal)) => Ok(Started::Not(signal)),
        (started, signal) => Ok(Started::Live(Live::Here(started?), signal)),
    }
}

async fn start_there(
    signals: &mut Signals,
    options: &RunOptions,
    wanted: Wanted,
    service: Service,
) -> Result<Started, Problem> {
    let (limits, floor) = (options.limits.named(), options.floor);
    let request = Request::new(wanted.runtime, wanted.source, limits, floor)?;
    tokio::select! {
        biased;
        started = service.start(&request) => {
            Ok(Started::Live(Live::There(Box::new(started?)), None))
        }
        // What has begun over there ends with the connection.
        signal = signals.next() => Ok(Started::Not(signal)),
    }
}

fn builder(options: &RunOptions, wanted: &Wanted) -> Result<SandboxBuilder, Error> {
    let mut builder = Sandbox::builder(wanted.runtimes.get(&wanted.runtime)?.clone())
        .limits(options.limits.limits())
        .floor(options.floor)
        .egress(options.grants.egress())
        .rules(options.grants.rules());
    if let Some(program) = &options.program {
        builder = builder.program(program);
    }
    for directory in &options.read_only {
        builder = builder.read_only(input::absolute(directory)?);
    }
    Ok(builder)
}

async fn watch(
    run: &mut Live,
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

fn signal_of(interruption: Option<&Interruption>) -> Option<u8> {
    match interruption {
        Some(Interruption::Signal(signal)) => Some(*signal),
        _ => None,
    }
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
    if options.out.is_some() {
        outcome.artifacts.iter_mut().for_each(|artifact| artifact.content = None);
    }
    let mut incomplete = !unwritten.is_empty();
    outcome.artifact_errors.extend(unwritten);
    if options.json {
        let line = format!("{}\n", json::line(&outcome));
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
        None => status(&outcome),
    };
    ExitCode::from(status)
}

/// One line on what came of it; where the payload's own exit status says it all, none.
fn tell(outcome: &Outcome, interruption: Option<&Interruption>) {
    for line in &outcome.artifact_errors {
        say::complain(&format!("not collected: {line}"));
    }
    let output = &outcome.output;
    for (name, dropped) in
        [("stdout", output.stdout_dropped_bytes), ("stderr", output.stderr_dropped_bytes)]
    {
        if dropped > 0 && outcome.status != "output" {
            say::complain(&format!("{dropped} bytes of {name} dropped; raise --{name}-limit"));
        }
    }
    match (interruption, outcome.exit_code) {
        (Some(Interruption::ReaderGone), _) => {}
        (Some(Interruption::CannotWrite(error)), _) => {
            say::complain(&format!("cannot write its output: {error}"));
        }
        (_, Some(code)) => {
            let shown = if code == 0 { 0 } else { MOST_HINTS };
            for denial in outcome.denials.iter().take(shown) {
                say::complain(&format!("refused: {}: {}", denial.what, denial.hint));
            }
        }
        (_, None) => say::complain(&format!("{} ({})", outcome.message, outcome.status)),
    }
}

/// The exit status that stands for a verdict.
fn status(outcome: &Outcome) -> u8 {
    let signalled = |signal: i32| u8::try_from(signal).map_or(REFUSED, |n| SIGNALLED | n);
    match (&*outcome.status, outcome.exit_code, outcome.signal) {
        (_, Some(code), _) => u8::try_from(code).unwrap_or(REFUSED),
        (_, _, Some(signal)) => signalled(signal),
        ("cpu_time" | "wall_time", ..) => TIME_IS_UP,
        ("memory", ..) => MEMORY_IS_UP,
        ("output", ..) => TOO_MUCH_OUTPUT,
        _ => REFUSED,
    }
}
