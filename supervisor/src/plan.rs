//! Everything about one run that is decided before anything starts.

mod admit;
mod bounds;
mod wiring;

use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use belljar_protocol::{
    Authority, Ceilings, Contents, Delivery, Entry, Files, Jar, Link, Mount, Network,
    Scratch as Space, SecretMap, Stdin, Syscalls, Task, Waiting,
};

use crate::cgroup::Hierarchy;
use crate::glob::Pattern;
use crate::host::{self, Host, Lent};
use crate::input::Feed;
use crate::reach::Reach;
use crate::receipt::LANDLOCK_WITH_SCOPES;
use crate::redact::Redactor;
use crate::rich::RESULT;
use crate::runtime::{Launch, LaunchFile, replace};
use crate::sandbox::Settings;
use crate::scratch::Scratch;
use crate::session::Talk;
use crate::{Error, Floor, Language, Limits, Mode, Source};

pub(crate) use admit::{Checker, judge};
pub(crate) use wiring::Wiring;

/// A run that can be started: every default is decided, every bound checked.
pub(crate) struct Plan {
    pub(crate) id: String,
    pub(crate) runtime: String,
    pub(crate) accepted: Instant,
    pub(crate) host: &'static Host,
    pub(crate) limits: Limits,
    pub(crate) floor: Floor,
    pub(crate) redactor: Redactor,
    pub(crate) collect: Vec<Pattern>,
    /// Paths below /work that the caller filled.
    pub(crate) placed: Vec<String>,
    /// Whether its guest leaves what it has to tell.
    pub(crate) rich: bool,
    pub(crate) is_session: bool,
    /// The rules of its language that hold.
    pub(crate) mode: Mode,
    /// What looks at the calls of a session.
    pub(crate) checker: Option<Checker>,
}

/// What is done in the jar of a run, and the descriptors that travel with it.
pub(crate) struct Errand {
    pub(crate) task: Task,
    pub(crate) contents: Option<File>,
    pub(crate) stdin: Option<File>,
    /// What is written there while the payload runs.
    pub(crate) feed: Option<Feed>,
    /// Who is at its other end, for a session.
    pub(crate) talk: Option<Talk>,
}

/// Where a run takes place: a jar that is not built yet.
pub(crate) struct Site {
    pub(crate) worker: PathBuf,
    pub(crate) lent: Lent,
    pub(crate) jar: Jar,
    /// The bytes of the jar's files, if they are many.
    pub(crate) contents: Option<File>,
    /// What takes the place of a root where there are no namespaces.
    pub(crate) scratch: Option<Scratch>,
    /// What becomes of its network.
    pub(crate) wiring: Wiring,
}

/// Files up to this size travel within a message, which holds four times as much.
pub(crate) const INLINE_BYTES: usize = 64 * 1024;

/// What a payload finds in /etc, whatever the host has there.
const ETC: [(&str, &str); 4] = [
    (
        "/etc/passwd",
        "belljar:x:1000:1000:belljar:/work:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    ),
    ("/etc/group", "belljar:x:1000:\nnogroup:x:65534:\n"),
    ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 belljar\n"),
    ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
];

impl Plan {
    /// # Errors
    /// [`Error::Invalid`] when the source exceeds a bound or makes no sense.
    pub(crate) fn new(
        settings: &Settings,
        source: &Source,
        launch: &Launch,
    ) -> Result<Self, Error> {
        let globs = source.collect.iter();
        let placed = launch.files.iter().filter_map(|file| file.path.strip_prefix("/work/"));
        Ok(Self {
            id: source.id.clone().unwrap_or_else(|| ulid::Ulid::generate().to_string()),
            runtime: settings.runtime.clone(),
            accepted: Instant::now(),
            host: settings.host,
            limits: settings.limits.clone(),
            floor: settings.floor,
            redactor: Redactor::new(&source.secrets),
            collect: globs.map(|glob| Pattern::parse(glob)).collect::<Result<_, _>>()?,
            placed: placed.chain(source.rich.then_some(RESULT)).map(ToOwned::to_owned).collect(),
            rich: source.rich,
            is_session: source.is_session,
            mode: settings.rules.mode.min(source.mode),
            checker: source.is_session.then(|| Checker::new(settings, source)),
        })
    }
}

/// Whether `source` is parsed before it is started.
pub(crate) fn is_read(settings: &Settings, source: &Source) -> bool {
    let is_typed =
        |path: &str| settings.interpreter.names().language(path) == Some(Language::TypeScript);
    settings.rules.mode.min(source.mode) != Mode::Full || source.code.paths().any(is_typed)
}

/// How `source` is started.
///
/// # Errors
/// [`Error::Invalid`] when it exceeds a bound or makes no sense.
pub(crate) fn launch(settings: &Settings, source: &Source) -> Result<Launch, Error> {
    bounds::check(source)?;
    bounds::fit(source, &settings.limits)?;
    let rules = admit::admit(settings, source)?;
    settings.interpreter.launch(source, &settings.limits, &rules)
}

impl Errand {
    /// What `launch` starts, for a payload that runs as a program of its own.
    pub(crate) fn new(
        settings: &Settings,
        source: &mut Source,
        launch: &mut Launch,
    ) -> Result<Self, Error> {
        let work = |file: &LaunchFile| file.path.starts_with("/work/");
        let (work, own): (Vec<_>, _) =
            std::mem::take(&mut launch.files).into_iter().partition(work);
        launch.files = own;
        let (files, contents) = pack(&work)?;
        let Ends { stdin, feed, talk } = Ends::of(source)?;
        let task = Task {
            files,
            stdin: if stdin.is_some() { Stdin::Sent } else { Stdin::Empty },
            program: std::mem::take(&mut launch.program),
            argv: std::mem::take(&mut launch.argv),
            env: std::mem::take(&mut launch.env),
            secrets: std::mem::take(&mut source.secrets),
            deadline_ms: u64::try_from(settings.limits.wall.as_millis()).unwrap_or(u64::MAX),
        };
        Ok(Self { task, contents, stdin, feed, talk })
    }

    /// The same for what waits in a jar: an interpreter that is up already takes a script alone.
    pub(crate) fn for_waiting(
        settings: &Settings,
        source: &mut Source,
        launch: &Launch,
        waiting: Waiting,
    ) -> Result<Self, Error> {
        let mut errand = Self::new(settings, source, &mut launch.clone())?;
        if waiting != Waiting::Empty {
            errand.task.argv.clone_from(&launch.script);
            replace(&mut errand.task.env, &launch.script_env);
        }
        Ok(errand)
    }
}

impl Site {
    /// A jar for one run.
    ///
    /// # Errors
    /// [`Error::Unenforceable`] when secrets would have to be written on a disk of the host.
    pub(crate) fn new(
        settings: &Settings,
        reach: &Reach,
        run_id: &str,
        mut launch: Launch,
        secrets: &SecretMap,
        wiring: Wiring,
    ) -> Result<(Self, Launch), Error> {
        let lent = settings.host.lend(reach.authority)?;
        let scratch = if reach.authority.makes_namespaces() {
            None
        } else {
            never_on_disk(&launch, secrets)?;
            launch.files.splice(..0, base_files(&launch));
            Some(Scratch::prepare(run_id, &lent, &mut launch)?)
        };
        let (mut jar, contents) = jar(settings, reach, &launch)?;
        jar.network = wiring.in_jar();
        let worker = settings.worker.clone();
        Ok((Self { worker, lent, jar, contents, scratch, wiring }, launch))
    }

    /// A jar that nothing will run in: its walls are raised, and that is all.
    pub(crate) fn probe(settings: &Settings, reach: &Reach) -> Result<(Self, Errand), Error> {
        let nothing = Launch {
            program: "/".to_owned(),
            argv: Vec::new(),
            env: Vec::new(),
            mounts: Vec::new(),
            links: Vec::new(),
            files: Vec::new(),
            exec_scratch: false,
            delivery: Delivery::Descriptor,
            script: Vec::new(),
            script_env: Vec::new(),
            has_secret_files: false,
        };
        let mut source = Source::code(String::new());
        let id = ulid::Ulid::generate().to_string();
        let (site, mut launch) =
            Self::new(settings, reach, &id, nothing, &source.secrets, Wiring::None)?;
        Ok((site, Errand::new(settings, &mut source, &mut launch)?))
    }
}

/// The jar in which `launch` can take place, and the bytes of its files if they are many.
pub(crate) fn jar(
    settings: &Settings,
    reach: &Reach,
    launch: &Launch,
) -> Result<(Jar, Option<File>), Error> {
    let limits = &settings.limits;
    let counted = !matches!(settings.host.hierarchy, Hierarchy::None { .. });
    let shown = settings.read_only.iter();
    let shown = shown.map(|path| Mount { source: path.clone(), target: path.clone() });
    let own = launch.files.iter().filter(|file| !file.path.starts_with("/work/")).cloned();
    let (files, contents) = if reach.authority.makes_namespaces() {
        pack(&base_files(launch).into_iter().chain(own).collect::<Vec<_>>())?
    } else {
        // They lie on the host already.
        pack(&[])?
    };
    let jar = Jar {
        authority: reach.authority,
        mounts: launch.mounts.iter().cloned().chain(shown).collect(),
        links: launch.links.iter().cloned().chain([localtime()]).collect(),
        files,
        scratch: Space {
            bytes: limits.disk_bytes,
            inodes: limits.inodes,
            exec: launch.exec_scratch,
        },
        delivery: launch.delivery,
        ceilings: ceilings(limits, counted),
        syscalls: syscalls(reach, counted, !settings.read_only.is_empty()),
        network: Network::None,
    };
    Ok((jar, contents))
}

/// Files as they travel: in the order itself, unless they are large.
fn pack(files: &[LaunchFile]) -> Result<(Files, Option<File>), Error> {
    let bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
    let entry = |file: &LaunchFile| Entry {
        path: file.path.clone(),
        mode: file.mode,
        bytes: file.bytes.len() as u64,
    };
    let entries = files.iter().map(entry).collect();
    let parts: Vec<&[u8]> = files.iter().map(|file| file.bytes.as_slice()).collect();
    if bytes <= INLINE_BYTES {
        return Ok((Files { entries, contents: Contents::Inline(parts.concat()) }, None));
    }
    let contents = in_memory("belljar-files", &parts)?;
    Ok((Files { entries, contents: Contents::Sent }, Some(contents)))
}

/// What a payload reads as standard input, and who is at the other end of it.
#[derive(Default)]
struct Ends {
    stdin: Option<File>,
    feed: Option<Feed>,
    talk: Option<Talk>,
}

impl Ends {
    fn of(source: &mut Source) -> Result<Self, Error> {
        if source.is_session {
            let (talk, theirs) = Talk::pair()?;
            return Ok(Self { stdin: Some(theirs.into()), talk: Some(talk), feed: None });
        }
        if source.stdin_open {
            let (feed, stdin) = Feed::pipe(std::mem::take(&mut source.stdin))?;
            return Ok(Self { stdin: Some(stdin), feed: Some(feed), talk: None });
        }
        let all = Some(&source.stdin).filter(|stdin| !stdin.is_empty());
        let stdin = all.map(|stdin| in_memory("belljar-stdin", &[stdin])).transpose()?;
        Ok(Self { stdin, ..Self::default() })
    }
}

fn in_memory(name: &str, parts: &[&[u8]]) -> Result<File, Error> {
    host::sealed_file(name, parts)
        .map_err(|error| Error::Internal("cannot make a file in memory".into(), error))
}

fn syscalls(reach: &Reach, counted: bool, shows_host: bool) -> Syscalls {
    match reach.authority {
        Authority::Ids => Syscalls::Exposed,
        Authority::Nothing if reach.landlock_abi < LANDLOCK_WITH_SCOPES => {
            Syscalls::SharedWithoutSignals
        }
        Authority::Nothing => Syscalls::Shared,
        // Memory files are charged to a cgroup, and to nothing where there is none.
        // Neither a read-only mount nor a network namespace stops a connection to a socket file.
        _ if shows_host && counted => Syscalls::WithoutSockets,
        _ if shows_host => Syscalls::Exposed,
        _ if counted => Syscalls::Standard,
        _ => Syscalls::WithoutMemfd,
    }
}

/// # Errors
/// [`Error::Unenforceable`] when secrets would have to be written into a directory of the host.
fn never_on_disk(launch: &Launch, secrets: &SecretMap) -> Result<(), Error> {
    if launch.delivery != Delivery::Files || secrets.is_empty() {
        return Ok(());
    }
    Err(Error::Unenforceable {
        what: "secrets".to_owned(),
        reason: "this runtime reads them from files, and a secret is never a file of the host"
            .to_owned(),
        errno: 0,
        hint: "use python, node or js, which take secrets from a pipe, or a host with namespaces",
    })
}

fn ceilings(limits: &Limits, counted: bool) -> Ceilings {
    // The kernel counts whole seconds, an interpreter that waits from its start, and in a machine
    // that is not its own also the time that was stolen: this net hangs a second below the
    // supervisor's own count.
    let rounded_up = limits.cpu.as_secs() + u64::from(limits.cpu.subsec_nanos() > 0);
    let cpu_seconds = rounded_up.saturating_add(1);
    Ceilings {
        cpu_seconds,
        descriptors: limits.descriptors.into(),
        // Init counts as one of its own.
        processes: u64::from(limits.processes) + 1,
        file_bytes: limits.file_bytes,
        // A net under the sampling: twice the limit, as address space is not memory in use.
        data_bytes: if counted { u64::MAX } else { limits.memory_bytes.saturating_mul(2) },
    }
}

fn base_files(launch: &Launch) -> Vec<LaunchFile> {
    let own = ETC.iter().filter(|(path, _)| launch.files.iter().all(|file| file.path != *path));
    own.map(|(path, text)| LaunchFile {
        path: (*path).to_owned(),
        mode: 0o644,
        bytes: text.as_bytes().to_vec(),
    })
    .collect()
}

fn localtime() -> Link {
    Link { path: "/etc/localtime".to_owned(), target: "/usr/share/zoneinfo/UTC".to_owned() }
}
