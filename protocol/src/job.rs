use serde::{Deserialize, Serialize};

use crate::SecretMap;

/// What a supervisor tells a worker.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Build a jar and become this job. Two descriptors travel with it: the contents of
    /// [`Job::files`], one after the other, and the payload's standard input. With
    /// [`Authority::Lent`] a third: the user namespace that lends it. Where no namespace can be
    /// made, the third is the directory of the host that takes the place of a root.
    Job(Box<Job>),
    /// The walls were seen from outside: the payload may start.
    Proceed,
    /// Empty the jar and report how it ended.
    End,
    /// Become an empty user namespace and hold it until the socket closes. Its maps are written
    /// from outside; jobs with [`Authority::Lent`] enter it.
    FoundLot,
}

/// Everything one run needs. Nothing optional; no string has a meaning of its own.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Where the right to build namespaces and to choose an identity comes from.
    pub authority: Authority,
    /// The user id, as the authority counts, that the payload has on the host. Never host 0.
    pub uid: u32,
    /// The group id, counted likewise.
    pub gid: u32,
    /// What of the host the payload may see, read-only.
    pub mounts: Vec<Mount>,
    /// Symbolic links of the new root.
    pub links: Vec<Link>,
    /// Files written into the new root; their bytes stand in the descriptor sent with the job.
    pub files: Vec<Entry>,
    /// The one writable place: `/work`, `/tmp` and `/dev/shm` share it.
    pub scratch: Scratch,
    /// The program, as a path inside the jar.
    pub program: String,
    /// Its arguments; the first is the name it sees as its own.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// What it may read and nobody else.
    pub secrets: SecretMap,
    /// How it gets to read them.
    pub delivery: Delivery,
    /// Per-process ceilings.
    pub ceilings: Ceilings,
    /// Which system calls exist for it.
    pub syscalls: Syscalls,
    /// What of a network exists for it.
    pub network: Network,
    /// Milliseconds after which the warden ends the run even if the supervisor has not.
    pub deadline_ms: u64,
}

/// Where a worker's right to build a jar comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authority {
    /// The worker is root on the host.
    Host,
    /// A user namespace with subordinate ids, founded by an earlier worker, is entered first.
    Lent,
    /// The worker founds a user namespace in which only its own id exists.
    Own,
    /// No namespace can be made. The worker is root, and may take an id that nobody else has.
    Ids,
    /// No namespace can be made, and the payload has the id of the supervisor.
    Nothing,
}

impl Authority {
    /// Whether there will be a jar with a root of its own. Without one the host's is in sight:
    /// mounts lie where they lie on the host, there are no links, and files are written before.
    pub fn makes_namespaces(self) -> bool {
        match self {
            Self::Host | Self::Lent | Self::Own => true,
            Self::Ids | Self::Nothing => false,
        }
    }
}

/// A file or directory of the host, shown read-only without its set-user-id bits or devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path on the host.
    pub source: String,
    /// Absolute path in the jar.
    pub target: String,
}

/// A symbolic link of the new root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Absolute path of the link in the jar.
    pub path: String,
    /// What it says.
    pub target: String,
}

/// A file to write into the new root before anything runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Absolute path in the jar.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Length of its part of the contents.
    pub bytes: u64,
}

/// The payload's writable tmpfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scratch {
    /// Size limit of the file system.
    pub bytes: u64,
    /// Limit on the number of files and directories.
    pub inodes: u64,
    /// Whether files in it may be executed (`noexec` otherwise).
    pub exec: bool,
}

/// How a payload gets to read its secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// A pipe at descriptor 3, closed by the runtime's bootstrap before any code runs. Each
    /// record is the length of the name as a little-endian `u32`, the name, and the value
    /// likewise.
    Descriptor,
    /// One file of mode 0400 per secret under `/run/secrets`.
    Files,
}

/// Per-process ceilings (setrlimit(2)); soft and hard alike except for processor time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceilings {
    /// Processor seconds before SIGXCPU; SIGKILL follows one second later.
    pub cpu_seconds: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Processes and threads of the payload's identity in its namespace; with
    /// [`Authority::Nothing`], beside those that its user has already.
    pub processes: u64,
    /// Bytes of one written file.
    pub file_bytes: u64,
    /// Bytes of private writable memory; `u64::MAX` where a cgroup counts the whole tree.
    pub data_bytes: u64,
}

/// Which system calls exist for a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Syscalls {
    /// What interpreters and ordinary programs use.
    Standard,
    /// The same without `memfd_create`: for hosts where no cgroup counts its pages.
    WithoutMemfd,
    /// Without sockets, too, but for connected pairs: where the host's servers are in sight.
    Exposed,
    /// Without what changes somebody's files or processes by sharing their user id.
    Shared,
    /// Without signals, too: where Landlock does not confine them.
    SharedWithoutSignals,
    /// As standard, without sockets but for connected pairs: where the caller shows directories
    /// of the host, in which servers may listen.
    WithoutSockets,
}

/// What of a network exists for a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// An empty network namespace, and no socket but those of the jar's own files.
    None,
}
