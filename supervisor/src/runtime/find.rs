use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use nix::unistd::{AccessFlags, access, geteuid};

use super::ask::Facts;
use super::cache::Cache;
use super::description::{Accepts, Description, Version};
use super::launch::Interpreter;
use crate::Error;

/// Finds a usable interpreter, or judges the one the operator chose.
pub(super) fn interpreter(
    runtime: &Arc<Description>,
    chosen: Option<&Path>,
) -> Result<Interpreter, Error> {
    match (runtime.accepts, chosen) {
        (Accepts::Program, None) => Ok(Interpreter::for_programs(runtime)),
        (Accepts::Program, Some(path)) => Err(Error::Invalid(format!(
            "runtime {} has no interpreter, so it cannot be {}",
            runtime.name,
            path.display()
        ))),
        (Accepts::Source, Some(path)) => {
            let path = chosen_program(runtime, path)?;
            let facts = examine(runtime, &path).map_err(Error::Invalid)?;
            Interpreter::new(runtime, &path, &facts, Path::new("/"))
        }
        (Accepts::Source, None) => first_usable(runtime, &env::var_os("PATH").unwrap_or_default()),
    }
}

/// The first candidate that answers; what PATH holds first may be broken, too old, or out of the
/// caller's reach.
pub(super) fn first_usable(
    runtime: &Arc<Description>,
    searched: &OsStr,
) -> Result<Interpreter, Error> {
    let mut seen = Vec::new();
    let mut refusal = None;
    for path in candidates(runtime, searched) {
        let Ok(metadata) = fs::metadata(&path) else { continue };
        let identity = (metadata.dev(), metadata.ino(), path.file_name().map(ToOwned::to_owned));
        if !is_executable(&path, &metadata) || seen.contains(&identity) {
            continue;
        }
        seen.push(identity);
        match examine(runtime, &path) {
            Ok(facts) => return Interpreter::new(runtime, &path, &facts, Path::new("/")),
            Err(reason) => refusal = refusal.or(Some(reason)),
        }
    }
    let Description { name, package, .. } = &**runtime;
    Err(Error::UnknownRuntime(match refusal {
        Some(reason) => format!("{name} is not usable: {reason}; install {package}"),
        None => format!("{name} is not installed: install {package}"),
    }))
}

fn candidates(runtime: &Description, searched: &OsStr) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    if runtime.beside
        && let Some(own) = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned))
    {
        let above = own.parent().unwrap_or(&own);
        directories.push(own.clone());
        directories.push(above.join("libexec/belljar"));
        // Where cargo puts tests and examples, one below the programs.
        if own.ends_with("deps") || own.ends_with("examples") {
            directories.push(above.to_owned());
        }
    }
    directories.extend(env::split_paths(searched).filter(|directory| directory.is_absolute()));
    directories.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from));
    let in_all = |name: &String| directories.iter().map(|at| at.join(name)).collect::<Vec<_>>();
    runtime.find.iter().flat_map(in_all).collect()
}

/// The interpreter that an operator means by a file or a directory.
fn chosen_program(runtime: &Description, path: &Path) -> Result<PathBuf, Error> {
    let shown = path.display();
    let invalid = |reason: &dyn std::fmt::Display| {
        Error::Invalid(format!("{shown} is not a {} interpreter: {reason}", runtime.title))
    };
    // Never resolved: a virtual environment is known by where its links lie.
    let path = std::path::absolute(path).map_err(|error| invalid(&error))?;
    let mut metadata = fs::metadata(&path).map_err(|error| invalid(&error))?;
    let mut program = path;
    if metadata.is_dir() {
        let inner = runtime.directory_program.as_ref().ok_or_else(|| invalid(&"a directory"))?;
        program.push(inner);
        metadata =
            fs::metadata(&program).map_err(|_| invalid(&format!("a directory without {inner}")))?;
    }
    if is_executable(&program, &metadata) {
        Ok(program)
    } else {
        Err(invalid(&"not an executable file"))
    }
}

/// What a candidate says about itself; a refusal is one whole sentence.
fn examine(runtime: &Description, candidate: &Path) -> Result<Facts, String> {
    let shown = candidate.display();
    let facts = Cache::of_this_user()
        .facts(runtime, candidate)
        .map_err(|reason| format!("{shown} is not a {} interpreter: {reason}", runtime.title))?;
    if runtime.minimum > Version::of(&facts.version) {
        return Err(format!(
            "{shown} is {} {}, but {} or newer is needed",
            runtime.title, facts.version, runtime.minimum
        ));
    }
    let metadata = fs::metadata(&facts.program)
        .map_err(|error| format!("{shown} leads to {}: {error}", facts.program))?;
    // Root sees everything, but its payloads are nobody in particular.
    if geteuid().is_root() {
        let prefixes = facts.prefixes.iter().filter_map(|prefix| fs::metadata(prefix).ok());
        let closed =
            metadata.mode() & 0o001 == 0 || prefixes.into_iter().any(|m| m.mode() & 0o005 != 0o005);
        if closed {
            return Err(format!("{shown} is closed to other users, and no payload runs as root"));
        }
    }
    Ok(facts)
}

fn is_executable(path: &Path, metadata: &fs::Metadata) -> bool {
    metadata.is_file()
        && metadata.permissions().mode() & 0o111 != 0
        && access(path, AccessFlags::X_OK).is_ok()
}
