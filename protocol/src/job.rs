use serde::{Deserialize, Serialize};

use crate::SecretMap;

/// What a supervisor tells a worker.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Build a jar and become this job. With it travel the descriptors that it speaks of, in the
    /// order of its fields, and what the jar stands on: with [`Authority::Lent`] the user namespace
    /// that lends it; where no namespace can be made, the directory of the host that takes the
    /// place of a root.
    Job(Box<Job>),
    /// The walls were seen from outside: the payload may start.
    Proceed,
    /// Empty the jar and report how it ended.
    End,
    /// Become an empty user namespace and hold it until the socket closes. Its maps are written
    /// from outside; jars with [`Authority::Lent`] are built in it.
    FoundLot,
    /// Become the keeper of many jars like this one. The descriptors are those of a job.
    Keep(Box<Keep>),
    /// To a keeper: raise one jar. With it travel the jar's control socket, the payload's line, its
    /// two output pipes, and one `tasks` or `cgroup.procs` file for each cgroup of the jar.
    Raise(Raise),
    /// To a keeper: the payload of this jar has begun.
    Began {
        /// The jar.
        serial: u64,
        /// Milliseconds after which the keeper ends it even if the supervisor has not.
        deadline_ms: u64,
    },
    /// To a keeper: end everything in this jar.
    Finish {
        /// The jar.
        serial: u64,
    },
    /// To what waits at the end of a line: the first and only task. With it travel the descriptors
    /// that it speaks of.
    Run(Box<Task>),
    /// To a keeper, and from it to its template: fork a child into this jar, which stands. To the
    /// template it comes with the namespaces of the jar, and with what came with the order to raise
    /// it.
    Fork(Fork),
}

/// Everything one run needs. Nothing optional; no string has a meaning of its own.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Whose the payload is.
    pub identity: Identity,
    /// The confinement.
    pub jar: Jar,
    /// What is done in it.
    pub task: Task,
}

/// The ids of a payload, as its authority counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Never 0 of the host.
    pub uid: u32,
    /// Likewise.
    pub gid: u32,
}

/// The confinement around one run: everything that can be built before it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jar {
    /// Where the right to build namespaces and to choose an identity comes from.
    pub authority: Authority,
    /// What of the host the payload may see, read-only.
    pub mounts: Vec<Mount>,
    /// Symbolic links of the new root.
    pub links: Vec<Link>,
    /// Files of the new root, all of them read-only.
    pub files: Files,
    /// The one writable place: `/work`, `/tmp` and `/dev/shm` share it.
    pub scratch: Scratch,
    /// How a payload gets to read its secrets.
    pub delivery: Delivery,
    /// Per-process ceilings.
    pub ceilings: Ceilings,
    /// Which system calls exist for it.
    pub syscalls: Syscalls,
    /// What of a network exists for it.
    pub network: Network,
}

/// What is done in a jar: one program, or one script for an interpreter that is already up.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Files below `/work`.
    pub files: Files,
    /// What the payload reads as its standard input.
    pub stdin: Stdin,
    /// The program, as a path inside the jar.
    pub program: String,
    /// Its arguments; the first is the name it sees as its own.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// What it may read and nobody else.
    pub secrets: SecretMap,
    /// Milliseconds after which the warden ends the run even if the supervisor has not.
    pub deadline_ms: u64,
}

/// Files to write, and their bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// In the order of their bytes.
    pub entries: Vec<Entry>,
    /// All of them, one after the other.
    pub contents: Contents,
}

/// Where the bytes of files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Contents {
    /// Here.
    Inline(Vec<u8>),
    /// In a descriptor that travels with the order.
    Sent,
}

/// What a payload reads as its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    /// Nothing.
    Empty,
    /// A descriptor that travels with the order.
    Sent,
}

/// What a keeper keeps.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// What every one of its jars is like.
    pub jar: Jar,
    /// What waits in them.
    pub prime: Prime,
    /// Whether each is to have an empty network of its own, where one for all would do.
    pub own_networks: bool,
    /// Bytes of private memory that a template may have.
    pub template_bytes: u64,
}

/// What can wait in a jar for its task.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prime {
    /// Nothing: a process that will execute the task's program.
    Nothing,
    /// A program that was executed ahead, with its line at descriptor 3.
    Program(Launch),
    /// A child of a program that loads the worker's library and lets it fork.
    Template(Launch),
}

/// How a program is started ahead of its task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// As a path inside the jar.
    pub program: String,
    /// Its arguments.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
}

/// One jar to raise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    /// Its name between keeper and supervisor.
    pub serial: u64,
    /// Whose its payload is.
    pub identity: Identity,
    /// What is to wait in it.
    pub waiting: Waiting,
}

/// One child of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The jar.
    pub serial: u64,
    /// Whose its payload is.
    pub identity: Identity,
    /// Whether somebody waits for it: then it does not go through its paces first.
    pub hurry: bool,
}

/// What waits in a jar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    /// Nothing that was executed: the task's program will be.
    Empty,
    /// An interpreter that was executed.
    Primed,
    /// Nothing, until a child of the template is asked for.
    Forked,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// An empty network namespace, and no socket but those of the jar's own files.
    None,
    /// A network namespace in which the loopback interface is up.
    Loopback,
    /// The same, and listening sockets in it that are handed out before the payload starts, over a
    /// socket that travels with the order.
    Gate(Gateway),
}

/// What a worker opens in a jar's network and hands out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// Addresses beyond 127.0.0.0/8 that the loopback interface has.
    pub addresses: Vec<Subnet>,
    /// The sockets, in the order in which they are handed out.
    pub doors: Vec<Door>,
    /// How many bytes of TCP the loopback interface passes on in one piece; 64 KiB otherwise.
    pub piece_bytes: u32,
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// The first of them.
    pub address: [u8; 4],
    /// How many bits are alike.
    pub prefix: u8,
}

/// A socket that is opened in a jar's network, and handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// Where; all zero for every address of the jar.
    pub address: [u8; 4],
    /// The port.
    pub port: u16,
    /// Of which kind.
    pub transport: Transport,
}

/// The kind of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
    /// What the jar's own kernel answers to whoever knocks where nobody listens: resets of TCP and
    /// unreachable ports, as packets, and nothing else that passes. Every address of the world is
    /// the jar's own then, so that every attempt is answered. Address and port mean nothing.
    Refusals,
}
