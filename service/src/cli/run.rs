//! `belljar run`.

use std::future::pending;
use std::io;

use std::pin::pin;
use std::process::ExitCode;

use belljar::{Error, Outcome, Run, Sandbox, Source, TimeLimit, Verdict};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::options::RunOptions;
use super::screen::Screen;
use super::{REFUSED, collected, event_loop, explain, input, known_runtimes, say};
use crate::json;

/// As timeout(1) has it.
const TIME_IS_UP: u8 = 124;
/// As a shell shows a process that the kernel killed.
const MEMORY_IS_UP: u8 = SIGNALLED + 9;
/// As a shell shows a process that wrote beyond `RLIMIT_FSIZE` (SIGXFSZ).
const TOO_MUCH_OUTPUT: u8 = SIGNALLED + 25;
/// As a shell shows a writer whose reader has gone (SIGPIPE).
const READER_GONE: u8 = SIGNALLED + 13;
const SIGNALLED: u8 = 128;
/// Denials shown unasked.
const MOST_HINTS: usize = 3;

/// Why a run was not left to its end.
#[derive(Clone, Copy, Debug)]
enum Interruption {
    Signal(u8),
    ReaderGone,
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
    let everything = options.collect.is_empty();
    let (sandbox, source) = prepare(&mut options)?;
    let (mut outcome, interruption) = {
        let events = event_loop()?;
        let attended = events.block_on(attend(&sandbox, source, options.json));
        // A writer whose reader does not read may be left behind.
        events.shutdown_background();
        attended?
    };
    if everything {
        // Nobody asked for something that is not there.
        outcome.artifact_errors.retain(|line| !line.starts_with("**: "));
    }
    Ok(finish(&options, outcome, interruption))
}

fn prepare(options: &mut RunOptions) -> Result<(Sandbox, Source), Error> {
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
    Ok((builder.build()?, source))
}

/// Runs to the end, or to the interruption; output is shown as it comes unless it goes into JSON.
async fn attend(
    sandbox: &Sandbox,
    source: Source,
    quiet: bool,
) -> Result<(Outcome, Option<Interruption>), Error> {
    let mut signals = Signals::new()?;
    let mut screen = if quiet { None } else { Some(Screen::open()?) };
    let mut interruption = None;
    let mut start = pin!(sandbox.start(source));
    let mut run = loop {
        // A start is let come to its end, which is near, so that what it made is unmade in order.
        tokio::select! {
            started = &mut start => break started?,
            signal = signals.next(), if interruption.is_none() => interruption = Some(signal),
        }
    };
    if interruption.is_none() {
        interruption = watch(&mut run, &mut signals, screen.as_mut()).await;
    }
    let outcome = if interruption.is_some() { run.kill().await? } else { run.wait().await? };
    if let Some(screen) = screen
        && !matches!(interruption, Some(Interruption::ReaderGone))
    {
        let late = drain(screen.close(&outcome), &mut signals).await;
        interruption = interruption.or(late);
    }
    Ok((outcome, interruption))
}

async fn watch(
    run: &mut Run,
    signals: &mut Signals,
    mut screen: Option<&mut Screen>,
) -> Option<Interruption> {
    loop {
        let reader_gone = async {
            match &mut screen {
                Some(screen) => drop((&mut screen.ended).await),
                None => pending().await,
            }
        };
        let chunk = tokio::select! {
            chunk = run.output() => chunk?,
            () = reader_gone => return Some(Interruption::ReaderGone),
            signal = signals.next() => return Some(signal),
        };
        if let Some(screen) = &mut screen {
            screen.show(chunk);
        }
    }
}

/// Waits until the last byte is written, for as long as nobody loses patience.
async fn drain(
    ended: oneshot::Receiver<io::Result<()>>,
    signals: &mut Signals,
) -> Option<Interruption> {
    tokio::select! {
        biased;
        written = ended => match written {
            Ok(Ok(())) => None,
            _ => Some(Interruption::ReaderGone),
        },
        signal = signals.next() => Some(signal),
    }
}

/// Writes what came out, says why, and tells the exit status.
fn finish(
    options: &RunOptions,
    mut outcome: Outcome,
    interruption: Option<Interruption>,
) -> ExitCode {
    let unwritten = match options.out.as_deref() {
        Some(directory) => collected::write(directory, &outcome.artifacts),
        None => Vec::new(),
    };
    let incomplete = !unwritten.is_empty();
    outcome.artifact_errors.extend(unwritten);
    if options.json {
        say::print(&format!("{}\n", json::outcome(&outcome, options.out.is_none())));
    } else {
        tell(&outcome, interruption);
    }
    if options.explain {
        say::explain(&explain::text(&outcome));
    }
    let status = match interruption {
        Some(Interruption::Signal(number)) => SIGNALLED + number,
        Some(Interruption::ReaderGone) => READER_GONE,
        None if incomplete => REFUSED,
        None if options.json => 0,
        None => status(outcome.verdict),
    };
    ExitCode::from(status)
}

/// One line on what came of it; where the payload's own exit status says it all, none.
fn tell(outcome: &Outcome, interruption: Option<Interruption>) {
    for line in &outcome.artifact_errors {
        say::complain(&format!("not collected: {line}"));
    }
    for (name, output) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        let dropped = output.dropped_bytes;
        if dropped > 0 && outcome.verdict != Verdict::OutputLimit {
            say::complain(&format!("{dropped} bytes of {name} dropped; raise --{name}-limit"));
        }
    }
    if let Verdict::Exited { code } = outcome.verdict {
        let shown = if code == 0 { 0 } else { MOST_HINTS };
        for denial in outcome.denials.iter().take(shown) {
            say::complain(&format!("refused: {}: {}", denial.what, denial.hint));
        }
    } else if !matches!(interruption, Some(Interruption::ReaderGone)) {
        let message = outcome.verdict.message(&outcome.limits);
        say::complain(&format!("{message} ({})", outcome.verdict.status()));
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

/// The signals by which someone asks belljar to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let listen = |kind| {
            signal(kind).map_err(|error| Error::Internal("cannot listen to signals".into(), error))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Interruption {
        let number = tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
            _ = self.hang_up.recv() => 1,
        };
        Interruption::Signal(number)
    }
}
