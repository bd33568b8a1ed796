//! From options to a source: everything that is read before a jar is raised.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use belljar::{Error, Runtimes, Source, SourceFile};
use nix::fcntl::OFlag;

use super::options::RunOptions;
use super::say;

/// More than any part of a request may have; the library knows each bound.
const MOST_BYTES: u64 = 64 << 20;
/// Enough for a `#!` line and for any magic number.
const HEAD_BYTES: u64 = 4096;
const ELF_MAGIC: &[u8] = b"\x7fELF";
/// Who waits longer may not know for what.
const SILENCE: Duration = Duration::from_secs(1);
/// When neither the caller nor the code says.
pub(super) const USUAL_RUNTIME: &str = "python";

/// Reads all that `options` name, and decides the runtime.
///
/// # Errors
/// [`Error::Invalid`], one line that says what to do.
pub(super) fn read(
    options: &mut RunOptions,
    runtimes: &Runtimes,
) -> Result<(String, Source), Error> {
    let (detected, mut source) = code(options.code.take(), options.file.as_deref(), runtimes)?;
    let runtime = options.runtime.take().or(detected);
    for arg in options.args.drain(..) {
        source = source.arg(arg);
    }
    for pair in options.env.drain(..) {
        let Some((name, value)) = pair.split_once('=') else {
            // What stands there may be the value.
            return invalid("--env: write NAME=VALUE".to_owned());
        };
        source = source.env(name, value);
    }
    for secret in options.secret.drain(..) {
        source = with_secret(source, secret)?;
    }
    for file in options.files.drain(..) {
        let (name, bytes) = input_file(&file)?;
        source = source.file(name, bytes);
    }
    for glob in options.collect.drain(..) {
        source = source.collect(glob);
    }
    if source.collect.is_empty() && options.out.is_some() {
        source = source.collect("**");
    }
    source = source.stdin(standard_input(options)?);
    Ok((runtime.unwrap_or_else(|| USUAL_RUNTIME.to_owned()), source))
}

/// The code, or else the file, and the runtime that it looks like.
///
/// # Errors
/// [`Error::Invalid`], one line that says what to do.
pub(super) fn code(
    code: Option<String>,
    file: Option<&Path>,
    runtimes: &Runtimes,
) -> Result<(Option<String>, Source), Error> {
    let detect = |name: &str, head: &[u8]| {
        runtimes.detect(name, head).map(|runtime| runtime.name().to_owned())
    };
    if let Some(code) = code {
        return Ok((detect("", code.as_bytes()), Source::code(code)));
    }
    let Some(path) = file else {
        return invalid("nothing to run: give -c CODE, a file, or - for standard input".to_owned());
    };
    if path.as_os_str() == "-" {
        let bytes = read_bounded(io::stdin(), "standard input")?;
        let text = String::from_utf8(bytes).map_err(|_| {
            Error::Invalid("the code on standard input is not valid UTF-8".to_owned())
        })?;
        return Ok((detect("", text.as_bytes()), Source::code(text)));
    }
    let shown = path.display().to_string();
    let mut file = open(path, &shown)?;
    let name = base_name(path)?;
    let mut bytes = Vec::new();
    (&mut file)
        .take(HEAD_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::Invalid(format!("cannot read {shown}: {error}")))?;
    let detected = detect(&name, &bytes);
    if bytes.starts_with(ELF_MAGIC) {
        return Ok((detected, Source::program(path)));
    }
    bytes.extend(read_bounded(file, &shown)?);
    let main = SourceFile { path: name.clone(), bytes };
    Ok((detected, Source::files(vec![main], name)))
}

/// `NAME=VALUE`, `NAME@FILE` or `NAME`. No complaint shows more than what can only be a name: who
/// leaves the name out, or hands over `P@ssword`, must not read it in a log.
fn with_secret(source: Source, secret: String) -> Result<Source, Error> {
    let mark = secret.find(['=', '@']).unwrap_or(secret.len());
    let mut name = secret;
    let rest = name.split_off(mark);
    if !is_secret_name(&name) {
        return invalid(
            "--secret: write NAME=VALUE, NAME@FILE, or NAME for a variable of the environment; \
             a name is capital letters, digits and _"
                .to_owned(),
        );
    }
    let value = if rest.is_empty() {
        let value = std::env::var_os(&name).ok_or_else(|| {
            Error::Invalid(format!(
                "--secret {name}: no such variable in the environment; set it, or write \
                 NAME=VALUE or NAME@FILE"
            ))
        })?;
        value.into_vec()
    } else if let Some(path) = rest.strip_prefix('@') {
        let shown = format!("the file of --secret {name}");
        read_bounded(open(Path::new(path), &shown)?, &shown)?
    } else {
        // Cuts the mark off in place: the library wipes what it is given, and this is all of it.
        let mut value = rest.into_bytes();
        value.remove(0);
        value
    };
    source.secret(&name, value)
}

/// As the library has it.
fn is_secret_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// The name under which a file of the host appears, and its contents.
fn input_file(option: &str) -> Result<(String, Vec<u8>), Error> {
    let (path, name) = match option.rsplit_once(':') {
        Some((path, name)) if !path.is_empty() && !name.is_empty() => (path, Some(name)),
        _ => (option, None),
    };
    let name = match name {
        Some(name) => name.to_owned(),
        None => base_name(Path::new(path))?,
    };
    Ok((name, read_bounded(open(Path::new(path), path)?, path)?))
}

/// What the payload reads: a named file, or belljar's own standard input if someone put a pipe or
/// a file there. Never a terminal or a socket unasked, whose end may not come.
fn standard_input(options: &RunOptions) -> Result<Vec<u8>, Error> {
    let is_code = options.file.as_deref() == Some(Path::new("-"));
    match options.stdin.as_deref() {
        Some(path) if path.as_os_str() == "-" && is_code => {
            invalid("--stdin -: standard input holds the code already".to_owned())
        }
        Some(path) if path.as_os_str() == "-" => read_bounded(io::stdin(), "standard input"),
        Some(path) if path == Path::new("/dev/null") => Ok(Vec::new()),
        Some(path) => {
            let shown = path.display().to_string();
            read_bounded(open(path, &shown)?, &shown)
        }
        None if is_code => Ok(Vec::new()),
        None if is_passed_on() => {
            let read = tell_if_silent()?;
            let bytes = read_bounded(io::stdin(), "standard input");
            drop(read);
            bytes
        }
        None => Ok(Vec::new()),
    }
}

fn is_passed_on() -> bool {
    let metadata =
        io::stdin().as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
    metadata.is_ok_and(|found| found.is_file() || found.file_type().is_fifo())
}

/// Tells a person what belljar waits for, until what it returns is dropped.
fn tell_if_silent() -> Result<mpsc::Sender<()>, Error> {
    let (reading, read) = mpsc::channel();
    if io::stderr().is_terminal() {
        let tell = move || {
            if read.recv_timeout(SILENCE) == Err(RecvTimeoutError::Timeout) {
                say::complain("waiting for standard input (use --stdin /dev/null to run without)");
            }
        };
        thread::Builder::new()
            .spawn(tell)
            .map_err(|error| Error::Internal("cannot start a thread".to_owned(), error))?;
    }
    Ok(reading)
}

/// A file, and nothing else that has a name: a FIFO may never have a writer, and a device never an
/// end.
fn open(path: &Path, shown: &str) -> Result<File, Error> {
    let cannot = |error| Error::Invalid(format!("cannot read {shown}: {error}"));
    // Without O_NONBLOCK, looking at a FIFO is waiting for its writer. Files do not care.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file =
        OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).map_err(cannot)?;
    let found = file.metadata().map_err(cannot)?;
    if found.is_dir() {
        return invalid(format!(
            "{shown} is a directory: name its files one by one, or show it with --read-only"
        ));
    }
    if !found.is_file() {
        return invalid(format!(
            "{shown} is not a regular file: a pipe is read as standard input only"
        ));
    }
    Ok(file)
}

fn base_name(path: &Path) -> Result<String, Error> {
    let name = path.file_name().and_then(OsStr::to_str).map(ToOwned::to_owned);
    name.ok_or_else(|| {
        Error::Invalid(format!("{} has no name that could be used in the jar", path.display()))
    })
}

fn read_bounded(from: impl Read, name: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    from.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::Invalid(format!("cannot read {name}: {error}")))?;
    if bytes.len() as u64 > MOST_BYTES {
        return invalid(format!("{name} is longer than {} MiB", MOST_BYTES >> 20));
    }
    Ok(bytes)
}

/// The path as the library wants it: absolute.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|error| Error::Invalid(format!("{}: {error}", path.display())))
}

fn invalid<T>(what: String) -> Result<T, Error> {
    Err(Error::Invalid(what))
}
