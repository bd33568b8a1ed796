//! Gathers what a run left, after everything in its jar is dead.
//!
//! The tree was made by the payload. No link in it is followed, nothing but regular files is
//! read, and every count has a bound: of entries, of depth, of files, of bytes, of complaints.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{DirEntry, File, FileType, ReadDir, read_dir};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use crate::Artifact;
use crate::glob::Pattern;

const MAX_DEPTH: usize = 32;
const MAX_ENTRIES: usize = 65_536;
const MAX_ERRORS: usize = 100;
/// Of a name in a complaint.
const MAX_NAME_CHARS: usize = 200;

/// Collects the regular files below `work` that `wanted` names: at most `most` of them, with at
/// most `most_bytes` together. What was wanted and not collected is said, one line each.
///
/// Files in `placed` came from the caller and are taken only by a pattern without wildcards.
/// Blocks, but only on a file system in memory.
pub(crate) fn collect(
    work: BorrowedFd<'_>,
    wanted: &[Pattern],
    placed: &HashSet<&str>,
    most: u32,
    most_bytes: u64,
) -> (Vec<Artifact>, Vec<String>) {
    if wanted.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut collector = Collector {
        work,
        wanted,
        placed,
        most: usize::try_from(most).unwrap_or(usize::MAX),
        left_bytes: most_bytes,
        matched: vec![false; wanted.len()],
        artifacts: Vec::new(),
        seen: HashMap::new(),
        errors: Vec::new(),
        unsaid: 0,
    };
    collector.walk();
    collector.report()
}

/// From the extension alone: the contents are hostile, and nobody has looked at them.
fn media_type(path: &str) -> &'static str {
    let extension = Path::new(path).extension().and_then(OsStr::to_str).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "json" | "ipynb" => "application/json",
        "jsonl" | "ndjson" => "application/x-ndjson",
        "csv" => "text/csv",
        "tsv" => "text/tab-separated-values",
        "txt" | "log" | "py" | "sh" | "toml" => "text/plain",
        "md" => "text/markdown",
        "htm" | "html" => "text/html",
        "css" => "text/css",
        "js" | "mjs" => "text/javascript",
        "xml" => "application/xml",
        "yaml" | "yml" => "application/yaml",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "tar" => "application/x-tar",
        "parquet" => "application/vnd.apache.parquet",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}

struct Collector<'a> {
    work: BorrowedFd<'a>,
    wanted: &'a [Pattern],
    placed: &'a HashSet<&'a str>,
    most: usize,
    left_bytes: u64,
    /// Which patterns found anything at all.
    matched: Vec<bool>,
    artifacts: Vec<Artifact>,
    /// Path by inode of files with several names.
    seen: HashMap<u64, String>,
    errors: Vec<String>,
    unsaid: usize,
}

impl Collector<'_> {
    /// Depth first with one open directory per level: no recursion, no list that grows with the
    /// tree.
    fn walk(&mut self) {
        let mut visited = 0;
        let mut open: Vec<(ReadDir, String)> = Vec::new();
        match self.list(".") {
            Ok(entries) => open.push((entries, String::new())),
            Err(reason) => self.complain("/work", &reason),
        }
        while let Some((entries, directory)) = open.last_mut() {
            let entry = match entries.next() {
                None => {
                    open.pop();
                    continue;
                }
                Some(Ok(entry)) => entry,
                Some(Err(reason)) => {
                    let directory = std::mem::take(directory);
                    open.pop();
                    self.complain(&directory, &reason);
                    continue;
                }
            };
            visited += 1;
            if visited > MAX_ENTRIES {
                self.say(format!(
                    "more than {MAX_ENTRIES} files and directories: not searched further"
                ));
                return;
            }
            let name = entry.file_name();
            // Lossy only to see whether someone wanted it; what is opened has an honest name.
            let path = join(directory, &name.to_string_lossy());
            let depth = open.len();
            match self.visit(&entry, &path, depth) {
                Ok(Some(entries)) => open.push((entries, path)),
                Ok(None) => {}
                Err(reason) => self.complain(&path, &reason),
            }
        }
    }

    /// Collects a wanted file, or opens a directory that may hold some.
    fn visit(&mut self, entry: &DirEntry, path: &str, depth: usize) -> io::Result<Option<ReadDir>> {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            self.explain_directory(path);
            if !self.wanted.iter().any(|pattern| pattern.reaches_below(depth)) {
                return Ok(None);
            }
            if depth >= MAX_DEPTH {
                self.complain(path, &format!("deeper than {MAX_DEPTH} directories, not searched"));
                return Ok(None);
            }
            if self.is_hostile(entry, path) {
                return Ok(None);
            }
            return self.list(path).map(Some);
        }
        if !self.is_wanted(path) || self.is_hostile(entry, path) {
            return Ok(None);
        }
        if kind.is_file() {
            self.take(path)?;
        } else {
            self.complain(path, &format!("{} is never collected", describe(kind)));
        }
        Ok(None)
    }

    /// Someone who names a directory wants its files, and is told how to say so.
    fn explain_directory(&mut self, path: &str) {
        let named = |pattern: &Pattern| pattern.is_literal() && pattern.matches(path);
        for (pattern, matched) in self.wanted.iter().zip(&mut self.matched) {
            *matched |= named(pattern);
        }
        if self.wanted.iter().any(named) {
            self.complain(path, &"a directory; add /** for all files in it");
        }
    }

    fn is_wanted(&mut self, path: &str) -> bool {
        let placed = self.placed.contains(path);
        let mut wanted = false;
        for (pattern, matched) in self.wanted.iter().zip(&mut self.matched) {
            if pattern.matches(path) {
                *matched = true;
                wanted |= !placed || pattern.is_literal();
            }
        }
        wanted
    }

    /// A name that could pass for another, or break the line it is printed on, is not collected.
    fn is_hostile(&mut self, entry: &DirEntry, path: &str) -> bool {
        let name = entry.file_name();
        let honest = name.to_str().is_some_and(|name| !name.chars().any(misleads));
        if !honest {
            self.complain(path, &"a name that is not plain text is never collected");
        }
        !honest
    }

    fn take(&mut self, path: &str) -> io::Result<()> {
        if self.artifacts.len() >= self.most {
            self.complain(path, &format!("more than {} files match", self.most));
            return Ok(());
        }
        let file = File::from(self.open(path, OFlag::O_RDONLY)?);
        // Asked of the descriptor, whatever the directory said of the name.
        let found = file.metadata()?;
        if !found.is_file() {
            self.complain(path, &format!("{} is never collected", describe(found.file_type())));
            return Ok(());
        }
        if found.nlink() > 1 {
            if let Some(first) = self.seen.get(&found.ino()) {
                let first = printable(first);
                self.complain(path, &format!("the same file as {first}, collected once"));
                return Ok(());
            }
            self.seen.insert(found.ino(), path.to_owned());
        }
        // A sparse file costs its writer nothing and its reader all of its size.
        if found.len() > self.left_bytes {
            let left = self.left_bytes;
            self.complain(
                path,
                &format!("{} bytes, and {left} may still be collected", found.len()),
            );
            return Ok(());
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(usize::try_from(found.len()).unwrap_or(usize::MAX))?;
        file.take(found.len()).read_to_end(&mut bytes)?;
        self.left_bytes -= bytes.len() as u64;
        self.artifacts.push(Artifact { path: path.into(), bytes, media_type: media_type(path) });
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<ReadDir> {
        let directory = self.open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        // Opens the very directory that the descriptor stands for, not a name again.
        read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()))
    }

    fn open(&self, path: &str, flags: OFlag) -> io::Result<OwnedFd> {
        // O_NONBLOCK: a FIFO named like a result would otherwise wait for a writer.
        let flags =
            flags | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let resolve = ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS
            | ResolveFlag::RESOLVE_NO_XDEV;
        let how = OpenHow::new().flags(flags).resolve(resolve);
        loop {
            match openat2(self.work, path, how) {
                Err(Errno::EINTR) => {}
                opened => return opened.map_err(io::Error::from),
            }
        }
    }

    fn complain(&mut self, path: &str, reason: &impl ToString) {
        self.say(format!("{}: {}", printable(path), reason.to_string()));
    }

    fn say(&mut self, line: String) {
        if self.errors.len() + 1 < MAX_ERRORS {
            self.errors.push(line);
        } else {
            self.unsaid += 1;
        }
    }

    fn report(mut self) -> (Vec<Artifact>, Vec<String>) {
        let unmatched: Vec<_> = self
            .wanted
            .iter()
            .zip(&self.matched)
            .filter(|(_, matched)| !**matched)
            .map(|(pattern, _)| pattern.text().to_owned())
            .collect();
        for pattern in unmatched {
            self.complain(&pattern, &"no such file was left");
        }
        if self.unsaid > 0 {
            self.errors.push(format!("and {} more", self.unsaid));
        }
        // The order of a directory is an accident.
        self.artifacts.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        (self.artifacts, self.errors)
    }
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

/// Control characters, and those that reorder or hide what stands around them.
fn misleads(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn printable(path: &str) -> String {
    let mut short: String = path.escape_debug().take(MAX_NAME_CHARS).collect();
    if path.escape_debug().nth(MAX_NAME_CHARS).is_some() {
        short.push('…');
    }
    short
}

fn describe(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_symlink() => "a symbolic link",
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_dir() => "a directory",
        _ => "a device",
    }
}

#[cfg(test)]
mod tests;
