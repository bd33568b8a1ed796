//! From options to a source: everything that is read before a jar is raised.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use belljar::{Error, Runtimes, Source, SourceFile};

use super::options::RunOptions;

/// More than any part of a request may have; the library knows each bound.
const MOST_BYTES: u64 = 64 << 20;
/// Enough for a `#!` line and for any magic number.
const HEAD_BYTES: u64 = 4096;
const ELF_MAGIC: &[u8] = b"\x7fELF";
/// When neither the caller nor the code says.
const USUAL_RUNTIME: &str = "python";

/// Reads all that `options` name, and decides the runtime.
///
/// # Errors
/// [`Error::Invalid`], one line that says what to do.
pub(super) fn read(
    options: &mut RunOptions,
    runtimes: &Runtimes,
) -> Result<(String, Source), Error> {
    let (detected, mut source) = code(options, runtimes)?;
    let runtime = options.runtime.take().or(detected);
    for arg in options.args.drain(..) {
        source = source.arg(arg);
    }
    for pair in options.env.drain(..) {
        let Some((name, value)) = pair.split_once('=') else {
            return invalid(format!("--env {pair}: write NAME=VALUE"));
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

fn code(options: &mut RunOptions, runtimes: &Runtimes) -> Result<(Option<String>, Source), Error> {
    let detect = |name: &str, head: &[u8]| {
        runtimes.detect(name, head).map(|runtime| runtime.name().to_owned())
    };
    if let Some(code) = options.code.take() {
        return Ok((detect("", code.as_bytes()), Source::code(code)));
    }
    let Some(path) = &options.file else {
        return invalid("nothing to run: give -c CODE, a file, or - for standard input".to_owned());
    };
    if path.as_os_str() == "-" {
        let bytes = read_bounded(io::stdin(), "standard input")?;
        let text = String::from_utf8(bytes).map_err(|_| {
            Error::Invalid("the code on standard input is not valid UTF-8".to_owned())
        })?;
        return Ok((detect("", text.as_bytes()), Source::code(text)));
    }
    let shown = path.display();
    let mut file = open(path)?;
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
    bytes.extend(read_bounded(file, &shown.to_string())?);
    let main = SourceFile { path: name.clone(), bytes };
    Ok((detected, Source::files(vec![main], name)))
}

/// `NAME=VALUE`, `NAME@FILE` or `NAME`. No complaint shows more than the name.
fn with_secret(source: Source, secret: String) -> Result<Source, Error> {
    let Some(mark) = secret.find(['=', '@']) else {
        let value = std::env::var_os(&secret).ok_or_else(|| {
            Error::Invalid(format!(
                "--secret {secret}: no such variable in the environment; set it, or write \
                 NAME=VALUE or NAME@FILE"
            ))
        })?;
        return source.secret(&secret, value.into_vec());
    };
    let mut name = secret;
    let rest = name.split_off(mark);
    let value = if let Some(path) = rest.strip_prefix('@') {
        read_bounded(open(Path::new(path))?, path)?
    } else {
        // Cuts the mark off in place: the library wipes what it is given, and this is all of it.
        let mut value = rest.into_bytes();
        value.remove(0);
        value
    };
    source.secret(&name, value)
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
    Ok((name, read_bounded(open(Path::new(path))?, path)?))
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
        Some(path) => read_bounded(open(path)?, &path.display().to_string()),
        None if is_code => Ok(Vec::new()),
        None if is_passed_on() => read_bounded(io::stdin(), "standard input"),
        None => Ok(Vec::new()),
    }
}

fn is_passed_on() -> bool {
    let metadata =
        io::stdin().as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
    metadata.is_ok_and(|found| found.is_file() || found.file_type().is_fifo())
}

fn open(path: &Path) -> Result<File, Error> {
    let shown = path.display();
    let file = File::open(path)
        .map_err(|error| Error::Invalid(format!("cannot read {shown}: {error}")))?;
    if file.metadata().is_ok_and(|found| found.is_dir()) {
        return invalid(format!(
            "{shown} is a directory: name its files one by one, or show it with --read-only"
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
