//! The command line.

mod attack;
mod check;
mod collected;
mod config;
mod dial;
mod doctor;
mod explain;
mod granted;
mod input;
mod interrupt;
mod limits;
mod logs;
mod manual;
mod mcp;
mod options;
mod place;
mod run;
mod runs;
mod runtimes;
mod say;
mod screen;
mod serve;
mod there;
pub(crate) mod words;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use belljar::{Error, Runtimes};
use clap::Parser;
use clap::error::ErrorKind;
use nix::sys::prctl;
use tokio::signal::unix::{SignalKind, signal};

use crate::json::{self, Problem};
use crate::logs::{Logs, listen};
use options::{Command, Options};

/// belljar refused or failed.
const REFUSED: u8 = 125;
/// The rules of a language, or the operator, do not let it run.
const NOT_ALLOWED: u8 = 126;
/// Findings that a person is told of.
const MOST_FINDINGS: usize = 20;
/// What a shell adds to the number of a signal.
const SIGNALLED: u8 = 128;

/// Does what the arguments of this process ask for.
pub fn main() -> ExitCode {
    let as_json = env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => return explain_usage(&error, as_json),
    };
    // What serves can be asked for what it said, and listens by itself.
    let is_asked = matches!(options.command, Command::Serve(_));
    let listening =
        keep_memory_private().and_then(|()| if is_asked { Ok(()) } else { listen_to_logs(None) });
    let done = listening.map_err(Problem::from);
    let done = done.and_then(|()| {
        Ok(match options.command {
            Command::Run(options) => run::main(*options)?,
            Command::Check(options) => check::main(options)?,
            Command::Serve(options) => serve::main(&options)?,
            Command::Mcp(options) => mcp::main(*options)?,
            Command::Config(options) => config::main(&options)?,
            Command::Runs(options) => return runs::main(&options),
            Command::Logs(options) => return logs::main(&options),
            Command::Completions { shell } => manual::completions(shell)?,
            Command::Man(options) => manual::main(&options)?,
            Command::Dial(options) => return dial::main(&options),
            Command::Doctor { json, attack: false } => doctor::main(json)?,
            Command::Doctor { json, attack: true } => attack::main(json)?,
            Command::Runtimes { json, directory } => runtimes::main(json, directory)?,
        })
    });
    done.unwrap_or_else(|problem| refuse(&problem, as_json))
}

/// Says why nothing was started, or why what was started came to nothing.
fn refuse(problem: &Problem, as_json: bool) -> ExitCode {
    let said = as_json && say::print(&format!("{}\n", json::line(problem))).is_ok();
    if !said {
        let findings = &problem.findings;
        for finding in findings.iter().take(MOST_FINDINGS) {
            say::complain(&check::line(finding));
        }
        if findings.len() > MOST_FINDINGS {
            say::complain(&format!("and {} more", findings.len() - MOST_FINDINGS));
        }
        if findings.is_empty() {
            say::complain(&problem.message);
        }
    }
    let is_allowed = problem.code != "policy_refused";
    ExitCode::from(if is_allowed { REFUSED } else { NOT_ALLOWED })
}

/// clap explains over several lines; here every error is one.
fn explain_usage(error: &clap::Error, as_json: bool) -> ExitCode {
    let text = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match say::print(&text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse(&error.into(), false),
        };
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let what = "say what to do, like run, serve or doctor; belljar --help tells more";
        return refuse(&Problem::invalid(what), as_json);
    }
    let told = text.lines().take_while(|line| !line.starts_with("Usage:"));
    let told = told.filter(|line| !line.starts_with("For more information"));
    let parts: Vec<_> = told.map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = parts.join("; ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    refuse(&Problem::invalid(format!("{line} (--help tells more)")), as_json)
}

/// `BELLJAR_LOG` is a filter such as `debug` or `belljar=info`; without it nothing is logged.
fn listen_to_logs(logs: Option<(&Logs, &str)>) -> Result<(), Error> {
    let Some(filter) = env::var_os("BELLJAR_LOG").filter(|filter| !filter.is_empty()) else {
        return logs.map_or(Ok(()), |logs| listen(None, Some(logs)));
    };
    let filter = filter.to_string_lossy();
    let filter = tracing_subscriber::EnvFilter::try_new(&*filter)
        .map_err(|error| Error::Invalid(format!("BELLJAR_LOG={filter}: {error}")))?;
    listen(Some(filter), logs)
}

/// No core dump and no debugger of the same user sees the secrets that belljar hands over.
fn keep_memory_private() -> Result<(), Error> {
    let refused = |errno| Error::Internal("cannot refuse core dumps".to_owned(), errno);
    prctl::set_dumpable(false).map_err(|errno| refused(errno.into()))
}

/// The built-in runtimes and those of the operator's directory.
fn known_runtimes(directory: Option<PathBuf>) -> Result<Runtimes, Error> {
    let directory = directory.or_else(|| env::var_os("BELLJAR_RUNTIMES").map(PathBuf::from));
    match directory.filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) => Runtimes::builtin().with_directory(&directory),
        None => Ok(Runtimes::builtin()),
    }
}

/// One thread is enough: whatever blocks for long does so on a thread of its own.
fn event_loop() -> Result<tokio::runtime::Runtime, Error> {
    let failed = |error| Error::Internal("cannot wait for events".to_owned(), error);
    let events =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    {
        let _inside = events.enter();
        hear_children()?;
    }
    Ok(events)
}

/// Who was started with SIGCHLD ignored cannot wait for a child; a handler, even one that nobody
/// listens to, is the only safe call that ends the ignoring. Needs the event loop.
fn hear_children() -> Result<(), Error> {
    let failed = |error| Error::Internal("cannot wait for events".to_owned(), error);
    drop(signal(SignalKind::child()).map_err(failed)?);
    Ok(())
}
