//! Everything about one run that is decided before anything starts.

use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use belljar_protocol::{
    Authority, Ceilings, Delivery, Entry, Job, Link, Mount, Network, Order, Scratch as Space,
    SecretMap, Syscalls,
};

use crate::cgroup::Hierarchy;
use crate::glob::Pattern;
use crate::host::{self, Host, Lent};
use crate::limits::request;
use crate::reach::Reach;
use crate::receipt::LANDLOCK_WITH_SCOPES;
use crate::redact::Redactor;
use crate::runtime::{Launch, LaunchFile};
use crate::sandbox::Settings;
use crate::scratch::Scratch;
use crate::{Code, Error, Floor, Limits, Source};

/// A run that can be started: every default is decided, every bound checked.
pub(crate) struct Plan {
    pub(crate) id: String,
    pub(crate) runtime: String,
    pub(crate) accepted: Instant,
    pub(crate) host: &'static Host,
    pub(crate) worker: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) floor: Floor,
    pub(crate) lent: Lent,
    pub(crate) order: Order,
    /// The bytes of the job's files.
    pub(crate) contents: File,
    pub(crate) stdin: File,
    pub(crate) redactor: Redactor,
    pub(crate) collect: Vec<Pattern>,
    /// Paths below /work that the caller filled.
    pub(crate) placed: Vec<String>,
    /// What takes the place of a root where there are no namespaces.
    pub(crate) scratch: Option<Scratch>,
}

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
    pub(crate) fn new(settings: &Settings, source: Source, reach: &Reach) -> Result<Self, Error> {
        check(&source)?;
        fit(&source, &settings.limits)?;
        let launch = settings.interpreter.launch(&source, &settings.limits)?;
        Self::of(settings, source, launch, reach)
    }

    /// A run of nothing: its walls are raised, and it is never told to proceed.
    pub(crate) fn probe(settings: &Settings, reach: &Reach) -> Result<Self, Error> {
        let nothing = Launch {
            program: "/".to_owned(),
            argv: Vec::new(),
            env: Vec::new(),
            mounts: Vec::new(),
            links: Vec::new(),
            files: Vec::new(),
            exec_scratch: false,
            delivery: Delivery::Descriptor,
        };
        Self::of(settings, Source::code(String::new()), nothing, reach)
    }

    /// Removes what the run has on the host, off this thread.
    pub(crate) async fn discard(mut self) {
        if let Some(scratch) = self.scratch.take()
            && let Err(error) = tokio::task::spawn_blocking(move || drop(scratch)).await
        {
            tracing::warn!(%error, "the directory of a run stays");
        }
    }

    fn of(
        settings: &Settings,
        mut source: Source,
        mut launch: Launch,
        reach: &Reach,
    ) -> Result<Self, Error> {
        let (id, accepted) = (ulid::Ulid::generate().to_string(), Instant::now());
        let collect =
            source.collect.iter().map(|glob| Pattern::parse(glob)).collect::<Result<_, _>>()?;
        let secrets = std::mem::take(&mut source.secrets);
        let placed = launch.files.iter().filter_map(|file| file.path.strip_prefix("/work/"));
        let placed = placed.map(ToOwned::to_owned).collect();
        let lent = settings.host.lend(reach.authority)?;
        let redactor = Redactor::new(&secrets);

        launch.files.splice(..0, base_files(&launch));
        launch.links.push(localtime());
        let scratch = if reach.authority.makes_namespaces() {
            None
        } else {
            never_on_disk(&launch, &secrets)?;
            Some(Scratch::prepare(&id, &lent, &mut launch)?)
        };
        let parts: Vec<&[u8]> = launch.files.iter().map(|file| file.bytes.as_slice()).collect();
        let in_memory = |name, parts: &[&[u8]]| {
            host::sealed_file(name, parts)
                .map_err(|error| Error::Internal("cannot make a file in memory".into(), error))
        };
        let contents = in_memory("belljar-files", &parts)?;
        let stdin = in_memory("belljar-stdin", &[&source.stdin])?;
        Ok(Self {
            id,
            runtime: settings.runtime.clone(),
            accepted,
            host: settings.host,
            worker: settings.worker.clone(),
            limits: settings.limits.clone(),
            floor: settings.floor,
            order: Order::Job(Box::new(job(settings, reach, &lent, launch, secrets))),
            lent,
            contents,
            stdin,
            redactor,
            collect,
            placed,
            scratch,
        })
    }
}

fn job(settings: &Settings, reach: &Reach, lent: &Lent, launch: Launch, secrets: SecretMap) -> Job {
    let limits = &settings.limits;
    let counted = !matches!(settings.host.hierarchy, Hierarchy::None { .. });
    let shown = settings.read_only.iter();
    let shown = shown.map(|path| Mount { source: path.clone(), target: path.clone() });
    let entry = |file: &LaunchFile| Entry {
        path: file.path.clone(),
        mode: file.mode,
        bytes: file.bytes.len() as u64,
    };
    Job {
        authority: lent.authority,
        uid: lent.uid,
        gid: lent.gid,
        mounts: launch.mounts.into_iter().chain(shown).collect(),
        links: launch.links,
        files: launch.files.iter().map(entry).collect(),
        scratch: Space {
            bytes: limits.disk_bytes,
            inodes: limits.inodes,
            exec: launch.exec_scratch,
        },
        program: launch.program,
        argv: launch.argv,
        env: launch.env,
        secrets,
        delivery: launch.delivery,
        ceilings: ceilings(limits, counted),
        syscalls: syscalls(reach, counted, !settings.read_only.is_empty()),
        network: Network::None,
        deadline_ms: u64::try_from(limits.wall.as_millis()).unwrap_or(u64::MAX),
    }
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
    // The kernel counts whole seconds; rounding up never ends a payload early.
    let cpu_seconds = limits.cpu.as_secs() + u64::from(limits.cpu.subsec_nanos() > 0);
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

/// # Errors
/// [`Error::Invalid`] when the files of a source leave no room on its disk or in its memory.
fn fit(source: &Source, limits: &Limits) -> Result<(), Error> {
    const PAGE_BYTES: u64 = 4096;
    let code = match &source.code {
        Code::Files { files, .. } => files.as_slice(),
        Code::Snippet(_) | Code::Program(_) => &[],
    };
    let files = code.iter().chain(&source.files);
    let bytes: u64 = files.map(|file| (file.bytes.len() as u64).next_multiple_of(PAGE_BYTES)).sum();
    for (what, most) in [("disk_bytes", limits.disk_bytes), ("memory_bytes", limits.memory_bytes)] {
        if bytes >= most {
            let refused = format!("the files need {bytes} bytes, and limit {what} is {most}");
            return Err(Error::Invalid(refused));
        }
    }
    Ok(())
}

fn check(source: &Source) -> Result<(), Error> {
    let code = match &source.code {
        Code::Snippet(code) => code.len(),
        Code::Files { files, .. } => files.iter().map(|file| file.bytes.len()).sum(),
        Code::Program(_) => 0,
    };
    // As they travel: each with the lengths of its name and value, in what a pipe holds at once.
    let secrets = source.secrets.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    let env = source.env.iter().map(|(name, value)| name.len() + value.len()).sum();
    for (what, bytes, most) in [
        ("the source", code, request::SOURCE_BYTES),
        (
            "input files",
            source.files.iter().map(|file| file.bytes.len()).sum(),
            request::FILES_BYTES,
        ),
        ("standard input", source.stdin.len(), request::STDIN_BYTES),
        ("secrets", secrets, request::SECRETS_BYTES),
        ("arguments", source.args.iter().map(String::len).sum(), request::ARGV_BYTES),
        ("the environment", env, request::ARGV_BYTES),
    ] {
        if bytes as u64 > most {
            return Err(Error::Invalid(format!(
                "{what}: {bytes} bytes exceed the limit of {most}"
            )));
        }
    }
    Ok(())
}
