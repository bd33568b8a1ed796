use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{env, fs, process};

use nix::libc;
use nix::unistd::geteuid;

use super::ask::Facts;
use super::description::Description;

/// Answers of interpreters, kept in this process and on disk.
///
/// Asking costs as much as starting the interpreter, and through a shim several times that.
/// Failing to keep an answer is never an error. An answer decides what a jar shows of the host, so
/// one that somebody else could have written is not believed.
pub(super) struct Cache {
    directory: Option<PathBuf>,
}

const ENTRY_BYTES: u64 = 256 * 1024;
const WRITABLE_BY_OTHERS: u32 = 0o022;

impl Cache {
    pub(super) fn of_this_user() -> Self {
        let directory = if geteuid().is_root() {
            Some(PathBuf::from("/var/cache/belljar"))
        } else {
            let from =
                |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
            let base =
                from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")));
            base.map(|base| base.join("belljar"))
        };
        Self { directory: directory.map(|directory| directory.join("interpreters")) }
    }

    #[cfg(test)]
    pub(super) fn at(directory: &Path) -> Self {
        Self { directory: Some(directory.to_owned()) }
    }

    /// What the candidate says, or said when it and all that its answer hangs on were the same.
    pub(super) fn facts(&self, runtime: &Description, candidate: &Path) -> Result<Facts, String> {
        static ANSWERS: Mutex<BTreeMap<String, Facts>> = Mutex::new(BTreeMap::new());
        let answers = || ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = key(runtime, candidate).filter(|_| !runtime.ask.is_empty()) else {
            return Facts::ask(runtime, candidate);
        };
        // In this process the directory is part of the key: another user's is another cache.
        let local = format!("{:?}\n{key}", self.directory);
        let known = answers().get(&local).cloned();
        if let Some(facts) = known.filter(|facts| Path::new(&facts.program).exists()) {
            return Ok(facts);
        }
        let facts = if let Some(facts) = self.load(&key) {
            facts
        } else {
            let facts = Facts::ask(runtime, candidate)?;
            // Not kept is asked again; there is nothing else to do about it.
            drop(self.store(&key, &facts));
            facts
        };
        answers().insert(local, facts.clone());
        Ok(facts)
    }

    fn load(&self, key: &str) -> Option<Facts> {
        let directory = self.directory.as_ref()?;
        let is_ours = |metadata: &fs::Metadata| {
            metadata.uid() == geteuid().as_raw() && metadata.mode() & WRITABLE_BY_OTHERS == 0
        };
        if !is_ours(&fs::symlink_metadata(directory).ok()?) {
            return None;
        }
        let file = fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(directory.join(file_name(key)))
            .ok()?;
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || !is_ours(&metadata) {
            return None;
        }
        let mut text = String::new();
        file.take(ENTRY_BYTES).read_to_string(&mut text).ok()?;
        let (answered, lines) = text.strip_prefix(key)?.split_once('\n')?;
        let facts = Facts::parse(lines, "").ok()?;
        (answered == witness(Path::new(&facts.program))).then_some(facts)
    }

    fn store(&self, key: &str, facts: &Facts) -> io::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let name = file_name(key);
        // Renamed into place: a reader sees a whole answer or none.
        let draft = directory.join(format!(".{name}.{}", process::id()));
        let answered = witness(Path::new(&facts.program));
        let written = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .and_then(|mut file| write!(file, "{key}{answered}\n{}", facts.to_lines()))
            .and_then(|()| fs::rename(&draft, directory.join(name)));
        if written.is_err() {
            fs::remove_file(&draft)?;
        }
        written
    }
}

/// The question and everything its answer hangs on. None when a path cannot stand on a line.
fn key(runtime: &Description, candidate: &Path) -> Option<String> {
    let mut question = DefaultHasher::new();
    runtime.ask.hash(&mut question);
    let mut key = format!(
        "belljar {} {} {:016x}\n",
        env!("CARGO_PKG_VERSION"),
        runtime.name,
        question.finish()
    );
    let above = candidate.parent()?.parent()?;
    let home = env::home_dir().unwrap_or_default();
    let witnesses = [
        candidate.to_owned(),
        // What a virtual environment hangs on, and where version managers keep their user's choice.
        above.join("pyvenv.cfg"),
        above.join("version"),
        home.join(".tool-versions"),
        home.join(".config/mise/config.toml"),
    ];
    for path in witnesses {
        writeln!(key, "{}", witness(&path)).ok()?;
    }
    (key.lines().count() == 6).then_some(key)
}

/// A file and the state it is in, as one line.
fn witness(path: &Path) -> String {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(m) => format!(
            "{shown} {} {} {} {}.{} {}.{}",
            m.dev(),
            m.ino(),
            m.size(),
            m.mtime(),
            m.mtime_nsec(),
            m.ctime(),
            m.ctime_nsec()
        ),
        Err(_) => format!("{shown} -"),
    }
}

fn file_name(key: &str) -> String {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
