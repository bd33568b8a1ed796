//! What a source puts below `/work`.

use std::collections::BTreeSet;
use std::path::Path;

use super::description::Description;
use super::launch::LaunchFile;
use crate::source::{Code, SourceFile};
use crate::{Error, Limits};

/// The code as files below `/work`, and the one to start with.
pub(super) fn code_files(
    runtime: &Description,
    code: &Code,
) -> Result<(String, Vec<SourceFile>), Error> {
    let (entry, files) = match code {
        Code::Snippet(text) => {
            let module = runtime.module.as_ref().filter(|module| {
                let first = first_statement(text);
                module.starts.iter().any(|start| first.starts_with(start))
            });
            let path = module.map_or(&runtime.entry, |module| &module.entry).clone();
            (path.clone(), vec![SourceFile { path, bytes: text.clone().into_bytes() }])
        }
        Code::Files { files, entry } => (entry.clone(), files.clone()),
        Code::Program(_) => (String::new(), Vec::new()),
    };
    let main = files
        .iter()
        .find(|file| file.path == entry)
        .ok_or_else(|| Error::Invalid(format!("entry {entry:?} is not among the source files")))?;
    if std::str::from_utf8(&main.bytes).is_err() {
        return Err(Error::Invalid(format!("{entry}: source code is not valid UTF-8")));
    }
    if main.bytes.contains(&0) {
        return Err(Error::Invalid(format!("{entry}: source code contains a NUL")));
    }
    #[cfg(feature = "rules")]
    return super::typescript::strip(runtime, entry, files);
    #[cfg(not(feature = "rules"))]
    match entry.rsplit_once('.') {
        Some((_, "ts" | "mts" | "cts")) if runtime.rules == Some(crate::Language::JavaScript) => {
            Err(Error::Invalid(format!("{entry}: this belljar was built without TypeScript")))
        }
        _ => Ok((entry, files)),
    }
}

/// The text from its first statement on, for languages with comments as in C.
fn first_statement(text: &str) -> &str {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map(|(_, after)| after)
        } else if rest.starts_with("//") || rest.starts_with("#!") {
            rest.split_once('\n').map(|(_, after)| after)
        } else {
            return rest;
        };
        rest = after.unwrap_or_default().trim_start();
    }
}

/// The bytes and names of files below `/work` come out of what the payload may use there.
pub(super) fn fits(files: &[LaunchFile], limits: &Limits) -> Result<(), Error> {
    const PAGE_BYTES: u64 = 4096;
    let size = |file: &LaunchFile| (file.bytes.len() as u64).next_multiple_of(PAGE_BYTES);
    let bytes: u64 = files.iter().map(size).sum();
    let names: BTreeSet<_> =
        files.iter().flat_map(|file| Path::new(&file.path).ancestors()).collect();
    for (limit, needed, most) in [
        ("disk_bytes", bytes, limits.disk_bytes),
        // Beside /work there are /tmp and /dev/shm.
        ("inodes", names.len() as u64 + 2, limits.inodes),
    ] {
        if needed > most {
            return Err(Error::Invalid(format!(
                "the files take {needed} of {limit}, and the limit is {most}"
            )));
        }
    }
    Ok(())
}

pub(super) fn work_files(
    code: &[SourceFile],
    input: &[SourceFile],
) -> Result<Vec<LaunchFile>, Error> {
    let mut paths = BTreeSet::new();
    let mut files = Vec::with_capacity(code.len() + input.len());
    for file in code.iter().chain(input) {
        let path = file.path.as_str();
        let refuse = |reason: &str| Error::Invalid(format!("file {path:?}: {reason}"));
        if path.len() > 1024 || path.contains('\0') {
            return Err(refuse("not a usable path"));
        }
        if path
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == ".." || part.len() > 255)
        {
            return Err(refuse("not a plain relative path"));
        }
        if !paths.insert(path) {
            return Err(refuse("given twice"));
        }
        let (path, bytes) = (format!("/work/{path}"), file.bytes.clone());
        files.push(LaunchFile { path, mode: 0o644, bytes });
    }
    for path in &paths {
        let mut above = Path::new(path).ancestors().skip(1).filter_map(Path::to_str);
        if let Some(file) = above.find(|above| paths.contains(above)) {
            return Err(Error::Invalid(format!("file {file:?} is also a directory, of {path:?}")));
        }
    }
    Ok(files)
}
