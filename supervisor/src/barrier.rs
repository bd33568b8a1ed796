//! The look from outside: before a payload may start, the supervisor reads in /proc whether its
//! process is confined. What a worker says about itself is not evidence.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::LazyLock;

use belljar_protocol::{Authority, Ceilings, Layer, Refusal};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::cgroup::Jar;
use crate::scratch::Scratch;

/// What a payload process has to look like.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) authority: Authority,
    pub(crate) host_uid: u32,
    pub(crate) ceilings: &'a Ceilings,
    pub(crate) jar: Option<&'a Jar>,
    /// Where it runs if it has no root of its own.
    pub(crate) scratch: Option<&'a Scratch>,
}

/// A payload process that was looked at.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Whoever started it, as the host counts: process 1 of the jar, unless it was forked into it.
    pub(crate) parent: i32,
    /// Its /work, held: it can be read after everything in the jar is dead.
    pub(crate) work: OwnedFd,
    /// Its mount namespace, held: taking one down waits for the whole kernel, and whoever closes
    /// this last waits.
    _mounts: Option<File>,
}

const NAMESPACES: [&str; 7] = ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup"];

/// Looks at the process `pid`, which waits to become a payload.
///
/// # Errors
/// The first wall that does not stand.
pub(crate) fn check(pid: i32, expected: &Expected<'_>) -> Result<Seen, Refusal> {
    let process = Process { pid };
    let status = process.read("status", Layer::Privileges)?;
    if expected.authority.makes_namespaces() {
        namespaces(&process)?;
        rootfs(&process)?;
    }
    cgroup(&process, expected.jar)?;
    privileges(&status, expected)?;
    rlimits(&process, expected)?;
    demand(Layer::Seccomp, "Seccomp", field(&status, "Seccomp:"), "2")?;
    let parent = field(&status, "PPid:").parse().map_err(|_| {
        refusal(Layer::Namespaces, "find process 1 of the jar", "no parent is named".to_owned())
    })?;
    let work = expected
        .scratch
        .map_or_else(|| work_in_jar(&process), |scratch| work_on_host(&process, scratch))
        .map_err(|error| refusal(Layer::Rootfs, "open /work from outside", error.to_string()))?;
    let mounts = File::open(process.path("ns/mnt")).ok();
    Ok(Seen { parent, work, _mounts: mounts.filter(|_| expected.authority.makes_namespaces()) })
}

fn work_in_jar(process: &Process) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(open(process.path("cwd").as_str(), flags, Mode::empty())?)
}

/// What was made for it; and it is there, if that can be seen: the root of a container may not
/// look into processes of another id.
fn work_on_host(process: &Process, scratch: &Scratch) -> io::Result<OwnedFd> {
    match fs::read_link(process.path("cwd")) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        Ok(path) if path == scratch.work_path() => {}
        Ok(path) => return Err(io::Error::other(format!("it is at {}", path.display()))),
        Err(error) => return Err(error),
    }
    scratch.work()
}

struct Process {
    pid: i32,
}

impl Process {
    fn path(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.pid)
    }

    fn read(&self, name: &str, layer: Layer) -> Result<String, Refusal> {
        read_once(&self.path(name)).map_err(|error| {
            refusal(layer, &format!("read {name} from outside"), error.to_string())
        })
    }
}

/// Those of the supervisor, which never leaves them.
static OWN: LazyLock<Option<Vec<PathBuf>>> = LazyLock::new(|| {
    NAMESPACES.iter().map(|name| fs::read_link(format!("/proc/self/ns/{name}")).ok()).collect()
});

fn namespaces(process: &Process) -> Result<(), Refusal> {
    for name in NAMESPACES {
        let namespace = |path: String| {
            fs::read_link(path).map_err(|error| {
                refusal(
                    Layer::Namespaces,
                    &format!("look up the {name} namespace"),
                    error.to_string(),
                )
            })
        };
        let theirs = namespace(process.path(&format!("ns/{name}")))?;
        // What cannot be told from ours counts as ours.
        if OWN.as_ref().is_none_or(|own| own.contains(&theirs)) {
            let reason = format!("the payload is in the {name} namespace of the supervisor");
            return Err(refusal(Layer::Namespaces, "see the jar from outside", reason));
        }
    }
    Ok(())
}

fn cgroup(process: &Process, jar: Option<&Jar>) -> Result<(), Refusal> {
    let Some(jar) = jar else { return Ok(()) };
    let groups = process.read("cgroup", Layer::Namespaces)?;
    if jar.holds(&groups) {
        return Ok(());
    }
    let reason = format!("the payload is in {}", groups.trim().replace('\n', ", "));
    Err(refusal(Layer::Namespaces, "see the payload in its cgroup", reason))
}

/// The root is a read-only tmpfs, and not even the supervisor's own.
fn rootfs(process: &Process) -> Result<(), Refusal> {
    // Longer than what one read gives.
    let mounts = fs::read_to_string(process.path("mountinfo")).map_err(|error| {
        refusal(Layer::Rootfs, "read mountinfo from outside", error.to_string())
    })?;
    // proc(5): the fifth field is the mount point, the sixth its options, the type follows a dash.
    let root = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| fields.get(4) == Some(&"/"));
    let stands = root.is_some_and(|fields| {
        let read_only = fields.get(5).is_some_and(|options| options.split(',').any(|o| o == "ro"));
        let kind = fields.iter().position(|field| *field == "-");
        read_only && kind.and_then(|dash| fields.get(dash + 1)) == Some(&"tmpfs")
    });
    if stands {
        return Ok(());
    }
    let reason = "the payload's root is no read-only tmpfs".to_owned();
    Err(refusal(Layer::Rootfs, "see the root from outside", reason))
}

fn privileges(status: &str, expected: &Expected<'_>) -> Result<(), Refusal> {
    let uid = expected.host_uid.to_string();
    let ids = [uid.as_str(); 4].join("\t");
    demand(Layer::Privileges, "Uid", field(status, "Uid:"), &ids)?;
    demand(Layer::Privileges, "NoNewPrivs", field(status, "NoNewPrivs:"), "1")?;
    if !matches!(expected.authority, Authority::Own | Authority::Nothing) {
        demand(Layer::Privileges, "Groups", field(status, "Groups:"), "")?;
    }
    // Whoever has no privilege cannot lower the bounding set, and gains none by it.
    let bounding = (expected.authority != Authority::Nothing).then_some("CapBnd:");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"].into_iter().chain(bounding) {
        demand(Layer::Privileges, set, field(status, set), "0000000000000000")?;
    }
    Ok(())
}

fn rlimits(process: &Process, expected: &Expected<'_>) -> Result<(), Refusal> {
    let ceilings = expected.ceilings;
    // Where the user has other processes, the worker alone knows how many.
    let processes = match expected.authority {
        Authority::Nothing => u64::MAX,
        _ => ceilings.processes,
    };
    let text = process.read("limits", Layer::Rlimits)?;
    for (name, most) in [
        ("Max open files", ceilings.descriptors),
        ("Max processes", processes),
        ("Max file size", ceilings.file_bytes),
        ("Max cpu time", ceilings.cpu_seconds.saturating_add(1)),
        ("Max data size", ceilings.data_bytes),
        ("Max core file size", 1),
        ("Max locked memory", 0),
    ] {
        let hard = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().nth(1));
        let holds = match hard {
            Some("unlimited") => most == u64::MAX,
            Some(number) => number.parse::<u64>().is_ok_and(|number| number <= most),
            None => false,
        };
        if !holds {
            let reason = format!("{name} is {}, not {most}", hard.unwrap_or("unknown"));
            return Err(refusal(Layer::Rlimits, "see the limits from outside", reason));
        }
    }
    Ok(())
}

/// A file of /proc that is one record: it is given as a whole, where there is room for it.
fn read_once(path: &str) -> io::Result<String> {
    const ROOM_BYTES: usize = 32 * 1024;
    let mut text = vec![0; ROOM_BYTES];
    let bytes = File::open(path)?.read(&mut text)?;
    if bytes == ROOM_BYTES {
        return fs::read_to_string(path);
    }
    text.truncate(bytes);
    String::from_utf8(text).map_err(io::Error::other)
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)).map_or("", str::trim)
}

fn demand(layer: Layer, what: &str, found: &str, wanted: &str) -> Result<(), Refusal> {
    if found == wanted {
        return Ok(());
    }
    Err(refusal(layer, "see the wall from outside", format!("{what} is {found:?}, not {wanted:?}")))
}

fn refusal(layer: Layer, attempt: &str, reason: String) -> Refusal {
    Refusal { layer, attempt: attempt.to_owned(), reason, errno: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_a_jar_does_not_pass() {
        let me = i32::try_from(std::process::id()).unwrap();
        let ceilings =
            Ceilings { cpu_seconds: 1, descriptors: 1, processes: 1, file_bytes: 1, data_bytes: 1 };
        let authority = Authority::Host;
        let (jar, scratch) = (None, None);
        let expected = Expected { authority, host_uid: 1, ceilings: &ceilings, jar, scratch };
        assert_eq!(check(me, &expected).unwrap_err().layer, Layer::Namespaces);
        let process = Process { pid: me };
        assert_eq!(rootfs(&process).unwrap_err().layer, Layer::Rootfs);
        let status = process.read("status", Layer::Privileges).unwrap();
        assert_eq!(privileges(&status, &expected).unwrap_err().layer, Layer::Privileges);
        assert_eq!(rlimits(&process, &expected).unwrap_err().layer, Layer::Rlimits);
    }
}
