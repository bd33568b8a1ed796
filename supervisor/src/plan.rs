//! Everything about one run that is decided before anything starts.

use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use belljar_protocol::{
    Ceilings, Entry, Job, Link, Mount, Network, Order, Scratch, SecretMap, Syscalls,
};

use crate::cgroup::Hierarchy;
use crate::glob::Pattern;
use crate::host::{self, Host, Lent};
use crate::limits::request;
use crate::redact::Redactor;
use crate::runtime::{Launch, LaunchFile};
use crate::sandbox::Settings;
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
    pub(crate) fn new(settings: &Settings, mut source: Source) -> Result<Self, Error> {
        let accepted = Instant::now();
        check(&source)?;
        let collect =
            source.collect.iter().map(|glob| Pattern::parse(glob)).collect::<Result<_, _>>()?;
        let launch = settings.interpreter.launch(&source, &settings.limits)?;
        let secrets = std::mem::take(&mut source.secrets);
        let placed = launch.files.iter().filter_map(|file| file.path.strip_prefix("/work/"));
        let placed = placed.map(ToOwned::to_owned).collect();
        let lent = settings.host.lend()?;
        let redactor = Redactor::new(&secrets);

        let files: Vec<LaunchFile> = base_files(&launch);
        let parts: Vec<&[u8]> =
            files.iter().chain(&launch.files).map(|file| file.bytes.as_slice()).collect();
        let in_memory = |name, parts: &[&[u8]]| {
            host::sealed_file(name, parts)
                .map_err(|error| Error::Internal("cannot make a file in memory".into(), error))
        };
        let contents = in_memory("belljar-files", &parts)?;
        let stdin = in_memory("belljar-stdin", &[&source.stdin])?;
        Ok(Self {
            id: ulid::Ulid::generate().to_string(),
            runtime: settings.runtime.clone(),
            accepted,
            host: settings.host,
            worker: settings.worker.clone(),
            limits: settings.limits.clone(),
            floor: settings.floor,
            order: Order::Job(Box::new(job(settings, &lent, launch, &files, secrets))),
            lent,
            contents,
            stdin,
            redactor,
            collect,
            placed,
        })
    }
}

fn job(
    settings: &Settings,
    lent: &Lent,
    launch: Launch,
    base: &[LaunchFile],
    secrets: SecretMap,
) -> Job {
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
        links: launch.links.into_iter().chain([localtime()]).collect(),
        files: base.iter().chain(&launch.files).map(entry).collect(),
        scratch: Scratch {
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
        // Memory files are charged to a cgroup, and to nothing where there is none.
        syscalls: if counted { Syscalls::Standard } else { Syscalls::WithoutMemfd },
        network: Network::None,
        deadline_ms: u64::try_from(limits.wall.as_millis()).unwrap_or(u64::MAX),
    }
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

fn check(source: &Source) -> Result<(), Error> {
    let code = match &source.code {
        Code::Snippet(code) => code.len(),
        Code::Files { files, .. } => files.iter().map(|file| file.bytes.len()).sum(),
        Code::Program(_) => 0,
    };
    let env = source.env.iter().map(|(name, value)| name.len() + value.len()).sum();
    for (what, bytes, most) in [
        ("the source", code, request::SOURCE_BYTES),
        (
            "input files",
            source.files.iter().map(|file| file.bytes.len()).sum(),
            request::FILES_BYTES,
        ),
        ("standard input", source.stdin.len(), request::STDIN_BYTES),
        ("secrets", source.secrets.len_bytes(), request::SECRETS_BYTES),
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
