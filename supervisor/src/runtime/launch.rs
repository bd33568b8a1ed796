use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use belljar_protocol::{Delivery, Launch as Ahead, Link, Mount, Prime};

use super::ask::Facts;
use super::description::{Accepts, Contents, Description, Guest, Place, PrimeKind};
use super::elf::Executable;
use super::root::Root;
use super::slots::Slots;
use super::work::{code_files, fits, work_files};
use crate::source::{Code, Source};
use crate::{Error, Limits, Mode, Rules, rules, spawn};

/// An interpreter of this host, and what of the host it needs to see.
#[derive(Clone, Debug)]
pub struct Interpreter {
    runtime: Arc<Description>,
    /// On the host.
    path: PathBuf,
    /// In the jar.
    program: String,
    version: String,
    mounts: Vec<Mount>,
    links: Vec<Link>,
}

/// Everything that a runtime decides about a run. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) program: String,
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) links: Vec<Link>,
    pub(crate) files: Vec<LaunchFile>,
    pub(crate) exec_scratch: bool,
    pub(crate) delivery: Delivery,
    /// What an interpreter that is up already has to know: the entry, and the arguments.
    pub(crate) script: Vec<String>,
    /// What its environment has otherwise.
    pub(crate) script_env: Vec<(String, String)>,
    /// Whether some of the files are there for the sake of secrets.
    pub(crate) has_secret_files: bool,
}

/// A file to write into the jar before the payload starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LaunchFile {
    /// Absolute, in the jar.
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) bytes: Vec<u8>,
}

/// Where the worker puts the read end of the secrets' pipe.
const SECRETS_DESCRIPTOR: &str = "3";
const SEARCHED: &str = "/usr/local/bin:/usr/bin:/bin";
/// Where a template finds the library that it loads.
const LIBRARY: &str = "/run/belljar/libbelljar_worker.so";
/// Where a program given by path is shown.
const PROGRAM: &str = "/program";

impl Interpreter {
    /// The interpreter's path on the host; empty for a runtime that has none.
    pub fn program(&self) -> &Path {
        &self.path
    }

    /// The version it says it has.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `host` is the root directory against which the facts are checked.
    pub(super) fn new(
        runtime: &Arc<Description>,
        candidate: &Path,
        facts: &Facts,
        host: &Path,
    ) -> Result<Self, Error> {
        let path = PathBuf::from(&facts.program);
        let mut root = Root::new(host);
        show(&mut root, runtime, Some(facts));
        let program = root.follow(&path)?;
        // A shim is of no use inside; the name under which a system knows its interpreter is.
        if candidate != path && candidate.canonicalize().ok() == path.canonicalize().ok() {
            root.follow(candidate)?;
        }
        let (mounts, links) = root.finish();
        let version = facts.version.clone();
        Ok(Self { runtime: Arc::clone(runtime), path, program, version, mounts, links })
    }

    /// For a runtime whose code is a program of the host.
    pub(super) fn for_programs(runtime: &Arc<Description>) -> Self {
        Self {
            runtime: Arc::clone(runtime),
            path: PathBuf::new(),
            program: PROGRAM.to_owned(),
            version: String::new(),
            mounts: Vec::new(),
            links: Vec::new(),
        }
    }

    /// Decides how `source` is started.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the source does not fit the runtime or names an impossible file.
    pub(crate) fn launch(
        &self,
        source: &Source,
        limits: &Limits,
        rules: &Rules,
    ) -> Result<Launch, Error> {
        let (mut mounts, mut links) = (self.mounts.clone(), self.links.clone());
        let (entry, name, mut files) = match (&source.code, self.runtime.accepts) {
            (Code::Program(path), Accepts::Program) => {
                let program = Executable::open(path)?;
                (mounts, links) = program_root(&self.runtime, &program)?;
                (String::new(), program.name, work_files(&source.files, &[])?)
            }
            (Code::Program(path), Accepts::Source) => {
                return Err(Error::Invalid(format!(
                    "{} is a program, but runtime {} takes source code; use runtime native",
                    path.display(),
                    self.runtime.name
                )));
            }
            (_, Accepts::Program) => {
                return Err(Error::Invalid(format!(
                    "runtime {} takes the path of a compiled executable, not source code",
                    self.runtime.name
                )));
            }
            (_, Accepts::Source) if source.is_session => {
                (String::new(), String::new(), work_files(&source.files, &[])?)
            }
            (code, Accepts::Source) => {
                let (entry, code) = code_files(&self.runtime, code)?;
                (format!("/work/{entry}"), entry, work_files(&code, &source.files)?)
            }
        };
        fits(&files, limits)?;
        let slots = Slots { program: &self.program, name: &name, entry: &entry, source, limits };
        let guest = self.guest(source)?;
        let guard = self.runtime.guard.as_ref().filter(|_| rules.mode != Mode::Full);
        let started = self.started(&slots, guest, guard, rules);
        let argv = slots.argv(&self.runtime.argv, &started);
        no_nul(&argv)?;
        let secret_files = self.runtime.secret_files.iter();
        let secret_files = secret_files.filter(|_| !source.secrets.is_empty());
        let guest_files = guest.into_iter().chain(guard).flat_map(|guest| &guest.files);
        for (path, contents) in self.runtime.files.iter().chain(secret_files).chain(guest_files) {
            let bytes = contents.bytes().map_err(Error::Invalid)?.to_vec();
            files.push(LaunchFile { path: path.clone(), mode: 0o444, bytes });
        }
        let script_env = self.script_env(&slots);
        Ok(Launch {
            program: self.program.clone(),
            argv,
            script_env,
            env: self.env(&slots)?,
            mounts,
            links,
            files,
            exec_scratch: self.runtime.exec_scratch,
            delivery: self.runtime.delivery.into(),
            has_secret_files: !self.runtime.secret_files.is_empty() && !source.secrets.is_empty(),
            script: started.iter().chain(&source.args).cloned().collect(),
        })
    }

    /// A jar for sources that are not known yet, and what is to wait in it. Nothing for a runtime
    /// whose jars depend on the program that runs in them.
    ///
    /// `preload` replaces the modules that the runtime names.
    pub(crate) fn ahead(
        &self,
        preload: Option<&[String]>,
        limits: &Limits,
    ) -> Result<(Launch, Prime), Error> {
        let source = Source::code(String::new());
        let slots = Slots { program: &self.program, name: "", entry: "", source: &source, limits };
        let mut files = self.runtime.files.clone();
        let runtime = &self.runtime;
        let guests = runtime.session.iter().chain(&runtime.rich).chain(&runtime.guard);
        files.extend(guests.flat_map(|guest| guest.files.clone()));
        let mut prime = Prime::Nothing;
        let script_env = self.script_env(&slots);
        let mut env = self.env(&slots)?;
        replace(&mut env, &script_env);
        let mut mounts = self.mounts.clone();
        if let Some(described) = &self.runtime.prime {
            files.extend(described.files.clone());
            let mut argv = slots.argv(&described.argv, &[]);
            let launch = |argv| Ahead { program: self.program.clone(), argv, env: env.clone() };
            prime = match described.kind {
                PrimeKind::Program => Prime::Program(launch(argv)),
                PrimeKind::Template => {
                    let source = library()?;
                    mounts.push(Mount { source, target: LIBRARY.to_owned() });
                    argv.push(LIBRARY.to_owned());
                    argv.extend(preload.unwrap_or(&described.preload).iter().cloned());
                    Prime::Template(launch(argv))
                }
            };
        }
        let file = |(path, contents): (&String, &Contents)| {
            let bytes = contents.bytes().map_err(Error::Invalid)?.to_vec();
            Ok(LaunchFile { path: path.clone(), mode: 0o444, bytes })
        };
        let launch = Launch {
            program: self.program.clone(),
            argv: Vec::new(),
            env,
            mounts,
            links: self.links.clone(),
            files: files.iter().map(file).collect::<Result<_, Error>>()?,
            exec_scratch: self.runtime.exec_scratch,
            delivery: self.runtime.delivery.into(),
            script: Vec::new(),
            script_env,
            has_secret_files: false,
        };
        Ok((launch, prime))
    }

    /// What is started in place of the code.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a runtime that has nothing like it.
    fn guest(&self, source: &Source) -> Result<Option<&Guest>, Error> {
        let (guest, what) = match source {
            Source { is_session: true, .. } => (&self.runtime.session, "no sessions"),
            Source { rich: true, .. } => (&self.runtime.rich, "no rich results"),
            _ => return Ok(None),
        };
        let refused = || Error::Invalid(format!("runtime {} has {what}", self.runtime.name));
        guest.as_ref().map(Some).ok_or_else(refused)
    }

    /// What stands in place of the entry.
    fn started(
        &self,
        slots: &Slots<'_>,
        guest: Option<&Guest>,
        guard: Option<&Guest>,
        rules: &Rules,
    ) -> Vec<String> {
        let render = |guest: &Guest| guest.script.iter().map(|it| slots.render(it)).collect();
        let mut started: Vec<_> = guard.map(render).unwrap_or_default();
        if let (Some(_), Some(language)) = (guard, self.runtime.rules) {
            let beside = slots.source.files.iter().map(|file| file.path.as_str());
            let beside = beside.filter(|path| self.runtime.is_code(path));
            started.push(rules::guard(language, rules, slots.source.code.paths().chain(beside)));
        }
        started.extend(guest.map_or_else(|| vec![slots.entry.to_owned()], render));
        started
    }

    fn script_env(&self, slots: &Slots<'_>) -> Vec<(String, String)> {
        let described = self.runtime.prime.iter().flat_map(|prime| &prime.env);
        described.map(|(name, template)| (name.clone(), slots.render(template))).collect()
    }

    /// Whether an interpreter that is up already would miss what this environment says.
    pub(crate) fn reads_at_start(&self, name: &str) -> bool {
        const BY_PREFIX: [&str; 9] =
            ["PYTHON", "NODE_", "LD_", "LC_", "MALLOC_", "GLIBC_", "OMP_", "MKL_", "OPENBLAS_"];
        BY_PREFIX.iter().any(|prefix| name.starts_with(prefix))
            || ["LANG", "LANGUAGE", "TZ"].contains(&name)
            || self.runtime.env.contains_key(name)
    }

    /// What tells what is installed now, and what a jar shows of the host, from what was before.
    pub(crate) fn stamp(&self, shown: &[Mount]) -> Vec<Option<(u64, u64, i64, i64)>> {
        let sources = shown.iter().map(|mount| Path::new(&mount.source));
        let stamp = |path: &Path| {
            let status = std::fs::metadata(path).ok()?;
            Some((status.dev(), status.ino(), status.ctime(), status.ctime_nsec()))
        };
        std::iter::once(self.path.as_path()).chain(sources).map(stamp).collect()
    }

    /// What the names of its source files mean.
    pub(crate) fn names(&self) -> &Arc<Description> {
        &self.runtime
    }

    /// Whether the jars of this runtime depend on the program that runs in them.
    pub(crate) fn takes_programs(&self) -> bool {
        self.runtime.accepts == Accepts::Program
    }

    fn env(&self, slots: &Slots) -> Result<Vec<(String, String)>, Error> {
        let directory = Path::new(&self.program).parent().and_then(Path::to_str).unwrap_or("/");
        let searched = if directory == "/" || SEARCHED.split(':').any(|known| known == directory) {
            SEARCHED.to_owned()
        } else {
            format!("{directory}:{SEARCHED}")
        };
        let mut env: BTreeMap<String, String> = [
            ("PATH", searched.as_str()),
            ("HOME", "/work"),
            ("TMPDIR", "/tmp"),
            ("LANG", "C.UTF-8"),
            ("TZ", "UTC"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (name, template) in &self.runtime.env {
            env.insert(name.clone(), slots.render(template));
        }
        for (name, value) in &slots.source.env {
            let shown = name.escape_debug();
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(Error::Invalid(format!(
                    "environment variable \"{shown}\" cannot exist"
                )));
            }
            if name.starts_with("BELLJAR_") {
                return Err(Error::Invalid(format!(
                    "environment variable {shown} is belljar's own"
                )));
            }
            let own = env.get(name).filter(|_| self.runtime.joined.contains(name));
            let value = own.map_or_else(|| value.clone(), |own| format!("{own}:{value}"));
            env.insert(name.clone(), value);
        }
        let by_descriptor = Delivery::from(self.runtime.delivery) == Delivery::Descriptor;
        if by_descriptor && !slots.source.secrets.is_empty() {
            env.insert("BELLJAR_SECRETS_FD".to_owned(), SECRETS_DESCRIPTOR.to_owned());
        }
        Ok(env.into_iter().collect())
    }
}

/// Gives variables that exist other values.
pub(crate) fn replace(env: &mut [(String, String)], values: &[(String, String)]) {
    for (name, value) in env {
        if let Some((_, other)) = values.iter().find(|(other, _)| other == name) {
            value.clone_from(other);
        }
    }
}

fn no_nul(argv: &[String]) -> Result<(), Error> {
    if argv.iter().any(|argument| argument.contains('\0')) {
        return Err(Error::Invalid("an argument contains a NUL".to_owned()));
    }
    Ok(())
}

fn library() -> Result<String, Error> {
    let path = spawn::shipped("libbelljar_worker.so")?;
    let text = path.to_str().map(ToOwned::to_owned);
    text.ok_or_else(|| Error::Invalid(format!("{} is not valid UTF-8", path.display())))
}

fn show(root: &mut Root, runtime: &Description, facts: Option<&Facts>) {
    let (prefixes, directories) = facts
        .map(|facts| (facts.prefixes.as_slice(), facts.directories.as_slice()))
        .unwrap_or_default();
    let program = facts.map_or(Path::new("/"), |facts| Path::new(&facts.program));
    for place in &runtime.read_only {
        match place {
            Place::Path(path) => root.show(path),
            Place::Prefix => prefixes.iter().for_each(|path| root.show(path)),
            Place::Directories => directories.iter().for_each(|path| root.show(path)),
            Place::Group(paths) => paths.iter().for_each(|path| root.show(path)),
            Place::Libraries => root.show_libraries(program),
            // Shown in any case, once it is known what shows it already.
            Place::Program => {}
        }
    }
}

fn program_root(
    runtime: &Description,
    program: &Executable,
) -> Result<(Vec<Mount>, Vec<Link>), Error> {
    let mut root = Root::new(Path::new("/"));
    show(&mut root, runtime, None);
    if let Some(loader) = &program.loader {
        root.follow(Path::new(loader))?;
    }
    root.mount(&program.path, Path::new(PROGRAM));
    Ok(root.finish())
}
