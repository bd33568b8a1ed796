use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use crate::plan::judge;
use crate::{Error, Rules, Source};

mod ask;
mod cache;
mod description;
mod elf;
mod find;
mod language;
mod launch;
mod root;
mod slots;
#[cfg(test)]
mod tests;
#[cfg(feature = "rules")]
mod typescript;
mod work;

use description::Accepts;
pub(crate) use description::Description;
pub use launch::Interpreter;
pub(crate) use launch::{Launch, LaunchFile, replace};

/// How to launch one language: pure data, parsed from TOML.
#[derive(Clone, Debug)]
pub struct Runtime(Arc<Description>);

/// Every runtime that a sandbox can be asked for, in order.
///
/// ```
/// let runtimes = belljar::Runtimes::builtin();
/// assert_eq!(runtimes.detect("report.py", b"").map(|runtime| runtime.name()), Some("python"));
/// ```
#[derive(Clone, Debug)]
pub struct Runtimes(Vec<Runtime>);

/// The largest description that is read.
const DESCRIPTION_BYTES: u64 = 256 * 1024;

impl Runtimes {
    /// The runtimes that belljar knows by itself.
    pub fn builtin() -> Self {
        static BUILTIN: LazyLock<Vec<Runtime>> = LazyLock::new(|| {
            // A unit test parses every one of them.
            let parsed = BUILTIN_TEXTS.iter().filter_map(|text| Description::parse(text).ok());
            parsed.map(|description| Runtime(Arc::new(description))).collect()
        });
        Self(BUILTIN.clone())
    }

    /// Adds the `*.toml` files of an operator's directory; one with a known name replaces it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the directory or one of its files cannot be read or makes no sense.
    pub fn with_directory(mut self, directory: &Path) -> Result<Self, Error> {
        let unreadable = |path: &Path, error: &dyn std::fmt::Display| {
            Error::Invalid(format!("{}: {error}", path.display()))
        };
        let entries = fs::read_dir(directory).map_err(|error| unreadable(directory, &error))?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| unreadable(directory, &error))?.path();
            if path.extension().is_some_and(|extension| extension == "toml") && path.is_file() {
                paths.push(path);
            }
        }
        paths.sort();
        let mut named = BTreeSet::new();
        for path in paths {
            let text = read_bounded(&path).map_err(|error| unreadable(&path, &error))?;
            let parsed = Description::parse(&text).map_err(|error| unreadable(&path, &error))?;
            if !named.insert(parsed.name.clone()) {
                let twice = format!("{:?} is described twice in this directory", parsed.name);
                return Err(unreadable(&path, &twice));
            }
            let runtime = Runtime(Arc::new(parsed));
            match self.0.iter_mut().find(|known| known.name() == runtime.name()) {
                Some(known) => *known = runtime,
                None => self.0.push(runtime),
            }
        }
        Ok(self)
    }

    /// The runtime of this name.
    ///
    /// # Errors
    /// [`Error::UnknownRuntime`], listing the known names.
    pub fn get(&self, name: &str) -> Result<&Runtime, Error> {
        self.0.iter().find(|runtime| runtime.name() == name).ok_or_else(|| {
            let known = self.names().collect::<Vec<_>>().join(", ");
            Error::UnknownRuntime(format!("there is no runtime {name:?}; known: {known}"))
        })
    }

    /// The runtime of a file, by its extension, else by what it begins with: a `#!` line, or the
    /// magic number of an executable.
    pub fn detect(&self, file_name: &str, first_line: &[u8]) -> Option<&Runtime> {
        let extension = Path::new(file_name).extension().and_then(|extension| extension.to_str());
        let by_extension = self.0.iter().find(|runtime| {
            runtime.0.extensions.iter().any(|known| Some(known.as_str()) == extension)
        });
        by_extension.or_else(|| {
            if first_line.starts_with(elf::MAGIC) {
                return self.0.iter().find(|runtime| runtime.0.accepts == Accepts::Program);
            }
            let name = interpreter_name(first_line)?;
            self.0.iter().find(|runtime| runtime.0.shebangs.contains(&name))
        })
    }

    /// The names of all runtimes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Runtime::name)
    }
}

impl Runtime {
    /// The word that callers use.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Finds the interpreter and asks it about itself; blocks, and remembers the answer.
    ///
    /// The interpreter is started outside any jar: `program` (an interpreter or, for Python, the
    /// directory of a virtual environment) is the operator's choice, never a payload's.
    ///
    /// # Errors
    /// [`Error::UnknownRuntime`] when no usable interpreter is installed; [`Error::Invalid`] when
    /// `program` is not one.
    pub fn resolve(&self, program: Option<&Path>) -> Result<Interpreter, Error> {
        find::interpreter(&self.0, program)
    }

    /// Whether `rules` let `source` run, whatever its own mode: what a run is asked first, without one.
    ///
    /// # Errors
    /// [`Error::Refused`] with where it breaks them; without findings where nothing may run, or
    /// this runtime has no rules.
    pub fn admit(&self, source: &Source, rules: &Rules) -> Result<(), Error> {
        judge(&self.0, source, rules)
    }
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    file.take(DESCRIPTION_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > DESCRIPTION_BYTES {
        return Err(format!("longer than {DESCRIPTION_BYTES} bytes"));
    }
    Ok(text)
}

/// The interpreter of a `#!` line without its directory and version: `#!/usr/bin/env -S python3.11
/// -u` names `python`.
fn interpreter_name(first_line: &[u8]) -> Option<String> {
    let line = first_line.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let base = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    let mut name = base(words.next()?);
    if name == "env" {
        name = base(words.find(|word| !word.starts_with('-') && !word.contains('='))?);
    }
    Some(name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').to_owned())
}

const BUILTIN_TEXTS: [&str; 10] = [
    include_str!("runtime/builtin/python.toml"),
    include_str!("runtime/builtin/node.toml"),
    include_str!("runtime/builtin/bash.toml"),
    include_str!("runtime/builtin/sh.toml"),
    include_str!("runtime/builtin/native.toml"),
    include_str!("runtime/builtin/ruby.toml"),
    include_str!("runtime/builtin/perl.toml"),
    include_str!("runtime/builtin/lua.toml"),
    include_str!("runtime/builtin/php.toml"),
    include_str!("runtime/builtin/js.toml"),
];
