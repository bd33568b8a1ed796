//! What this host lets this process do, found once.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{fs, io};

use belljar_protocol::{Authority, Layer, Order, Report};
use nix::libc;
use nix::unistd::{Uid, User, getgid, getuid};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::cgroup::{self, Hierarchy};
use crate::identity::Identity;
use crate::reach::{Obstacle, Reach};
use crate::spawn::{self, Worker};
use crate::{Error, Floor};

/// Host ids that root lends to runs, one each, unless the operator names others. High enough to
/// collide with no account, and below the ids that systemd gives to containers (1 879 048 192 ends
/// its range; see systemd's UIDS-GIDS).
const ROOT_RANGE: Range<u32> = 1_900_000_000..1_900_065_536;
/// The first of them belongs to keepers: whoever keeps a jar is nobody in one.
const OF_KEEPERS: u32 = 1;
/// Subordinate ids in use at once: one per run.
const LOT_SIZE: u32 = 65_536;

/// What runs are built on.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) hierarchy: Hierarchy,
    pub(crate) ids: Ids,
    lot: OnceCell<Lot>,
    /// What runs get whose floor does not insist on namespaces, once one was started.
    pub(crate) reach: OnceCell<Reach>,
}

/// Where the identities of runs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// Root lends them.
    Range(Range<u32>),
    /// The caller has subordinate ones (subuid(5)).
    Subordinate(Subordinate),
    /// There is only the caller's own; the reason is for an operator.
    Own { why: &'static str },
}

/// The first subordinate user and group id, and how many there are of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subordinate {
    uid: u32,
    gid: u32,
    count: u32,
}

/// A user namespace in which subordinate ids exist. The open file alone keeps it.
#[derive(Debug)]
struct Lot {
    namespace: fs::File,
}

/// The ids of one run, as its authority counts and as the host does.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) authority: Authority,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) host_uid: u32,
    _identity: Identity,
}

impl Host {
    /// The host, looked at once per process; groups that a dead supervisor left are swept.
    pub(crate) fn get() -> &'static Self {
        static HOST: OnceLock<Host> = OnceLock::new();
        HOST.get_or_init(|| {
            let hierarchy = Hierarchy::find();
            cgroup::sweep(&hierarchy);
            tracing::debug!(hierarchy = hierarchy.name(), "looked at the host");
            let (lot, reach) = (OnceCell::new(), OnceCell::new());
            Self { hierarchy, ids: Ids::find(), lot, reach }
        })
    }

    /// Where the right to build jars may come from, the strongest first.
    pub(crate) fn authorities(&self) -> &'static [Authority] {
        match self.ids {
            // Without an id of its own the payload would be root.
            Ids::Range(_) => &[Authority::Host, Authority::Ids],
            Ids::Subordinate(_) => &[Authority::Lent, Authority::Own, Authority::Nothing],
            Ids::Own { .. } => &[Authority::Own, Authority::Nothing],
        }
    }

    /// The floor that runs with this authority can insist on.
    pub(crate) fn level(&self, authority: Authority) -> Floor {
        match (authority, &self.hierarchy) {
            (Authority::Nothing, _) => Floor::L1,
            (Authority::Ids, _) => Floor::L2,
            (_, Hierarchy::None { .. }) | (Authority::Own, _) => Floor::L3,
            (Authority::Lent, _) => Floor::L4,
            (Authority::Host, _) => Floor::L5,
        }
    }

    /// Why a floor above [`Host::level`] cannot be insisted on.
    pub(crate) fn below(&self, floor: Floor) -> Error {
        let (what, reason, errno, hint) = match (&self.hierarchy, &self.ids) {
            _ if let Some(Obstacle { what, reason, errno, hint }) = self.obstacle() => {
                (what.as_str(), reason.clone(), *errno, *hint)
            }
            (Hierarchy::None { why, errno, hint }, _) => {
                ("memory_bytes", why.clone(), *errno, *hint)
            }
            (_, Ids::Own { why }) => {
                ("namespaces", (*why).to_owned(), 0, "give the user subordinate ids")
            }
            _ => (
                "namespaces",
                "only root can lend ids of its own range".to_owned(),
                0,
                "run as root",
            ),
        };
        let reason = format!("floor {} is out of reach: {reason}", floor.name());
        Error::Unenforceable { what: what.to_owned(), reason, errno, hint }
    }

    /// Lends the ids of one run.
    pub(crate) fn lend(&self, authority: Authority) -> Result<Lent, Error> {
        let none_left = |error| Error::Worker("no identity is free for a run".into(), error);
        match (&self.ids, authority) {
            (Ids::Range(range), _) => {
                let range = range.start + OF_KEEPERS..range.end;
                let identity = Identity::lend(range).map_err(none_left)?;
                let id = identity.host;
                Ok(Lent::new(authority, id, id, identity))
            }
            (Ids::Subordinate(Subordinate { uid, count, .. }), Authority::Lent) => {
                let identity = Identity::lend(*uid..uid + count).map_err(none_left)?;
                // In the lot, 0 is the caller and 1 the first subordinate id.
                let inner = identity.host - uid + 1;
                Ok(Lent::new(authority, inner, inner, identity))
            }
            (_, Authority::Nothing) => {
                let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
                Ok(Lent::new(authority, uid, gid, Identity::own(uid)))
            }
            _ => Ok(Lent::new(Authority::Own, 0, 0, Identity::own(getuid().as_raw()))),
        }
    }

    /// The user namespace that lends subordinate ids, founded by the first run that needs it.
    pub(crate) async fn lot(
        &self,
        worker: &Path,
        authority: Authority,
    ) -> Result<Option<&fs::File>, Error> {
        let (Authority::Lent, Ids::Subordinate(_)) = (authority, &self.ids) else {
            return Ok(None);
        };
        let lot = self.lot.get_or_try_init(|| Lot::found(worker, &self.ids)).await?;
        Ok(Some(&lot.namespace))
    }

    /// The user namespace that a keeper lives in; none where it has to make one of its own.
    pub(crate) async fn lot_of_keepers(&self, worker: &Path) -> Result<Option<&fs::File>, Error> {
        if let Ids::Own { .. } = self.ids {
            return Ok(None);
        }
        let lot = self.lot.get_or_try_init(|| Lot::found(worker, &self.ids)).await?;
        Ok(Some(&lot.namespace))
    }

    /// What an id of the host is called in there.
    pub(crate) fn in_lot(&self, lent: &Lent) -> (u32, u32) {
        match &self.ids {
            Ids::Range(range) => {
                (lent.uid.saturating_sub(range.start), lent.gid.saturating_sub(range.start))
            }
            Ids::Subordinate(_) | Ids::Own { .. } => (lent.uid, lent.gid),
        }
    }
}

impl Lent {
    fn new(authority: Authority, uid: u32, gid: u32, identity: Identity) -> Self {
        Self { authority, uid, gid, host_uid: identity.host, _identity: identity }
    }
}

impl Ids {
    fn find() -> Self {
        if Uid::effective().is_root() {
            return Self::Range(ROOT_RANGE);
        }
        if which("newuidmap").is_none() || which("newgidmap").is_none() {
            return Self::Own { why: "newuidmap and newgidmap are not installed (package uidmap)" };
        }
        let name = User::from_uid(getuid()).ok().flatten().map(|user| user.name);
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let own = |text: &str| subordinate(text, name.as_deref(), getuid().as_raw());
        match (own(&read("/etc/subuid")), own(&read("/etc/subgid"))) {
            (Some((uid, uids)), Some((gid, gids))) => {
                Self::Subordinate(Subordinate { uid, gid, count: uids.min(gids).min(LOT_SIZE) })
            }
            _ => Self::Own { why: "the user has no line in /etc/subuid and /etc/subgid" },
        }
    }
}

impl Lot {
    async fn found(program: &Path, ids: &Ids) -> Result<Self, Error> {
        let mut holder = spawn::worker(program)
            .map_err(|error| Error::Worker(format!("cannot start {}", program.display()), error))?;
        holder.channel.send(&Order::FoundLot, &[]).await?;
        match holder.channel.receive().await? {
            Some(heard) if heard.report == Report::LotFounded => {}
            Some(heard) => match heard.report {
                Report::Refused(refusal) => return Err(Error::refused(&refusal)),
                _ => return Err(Error::Protocol("a worker founded no lot".to_owned())),
            },
            None => return Err(Error::Protocol("a worker ended while founding a lot".to_owned())),
        }
        match ids {
            Ids::Range(range) => map_range(holder.pid, range)?,
            Ids::Subordinate(Subordinate { uid, gid, count }) => {
                let (user, group) = (getuid().as_raw(), getgid().as_raw());
                map_ids("newuidmap", holder.pid, user, *uid, *count).await?;
                map_ids("newgidmap", holder.pid, group, *gid, *count).await?;
            }
            Ids::Own { why } => return Err(Error::Protocol(format!("no ids to lend: {why}"))),
        }
        let path = format!("/proc/{}/ns/user", holder.pid);
        let namespace = fs::File::open(path)
            .map_err(|error| Error::Internal("cannot open a user namespace".into(), error))?;
        // Waited for, so that not even a zombie of it outlives this process.
        let Worker { mut child, channel, .. } = holder;
        drop(channel);
        let ended = child.wait().await;
        ended.map_err(|error| Error::Internal("cannot end the founder of a lot".into(), error))?;
        Ok(Self { namespace })
    }
}

/// What root may write itself (`user_namespaces(7)`): the whole range, from 0 on.
fn map_range(pid: i32, range: &Range<u32>) -> Result<(), Error> {
    let line = format!("0 {} {}", range.start, range.end - range.start);
    for file in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{pid}/{file}"), &line)
            .map_err(|error| Error::Internal(format!("cannot write {file}"), error))?;
    }
    Ok(())
}

/// Runs one of the set-user-id helpers of shadow (newuidmap(1)): 0 becomes the caller, the ids
/// from 1 the subordinate ones.
async fn map_ids(helper: &str, pid: i32, own: u32, first: u32, count: u32) -> Result<(), Error> {
    let numbers = [pid.cast_unsigned(), 0, own, 1, 1, first, count];
    let output = Command::new(helper)
        .args(numbers.map(|number| number.to_string()))
        .output()
        .await
        .map_err(|error| Error::Worker(format!("cannot run {helper}"), error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Unenforceable {
        what: Layer::Namespaces.to_string(),
        reason: format!("{helper} failed: {}", String::from_utf8_lossy(&output.stderr).trim()),
        errno: 0,
        hint: "check that /etc/subuid and /etc/subgid list ids that nobody else has",
    })
}

/// The first range of a subuid(5) file that belongs to a user, by name or by number.
fn subordinate(text: &str, name: Option<&str>, uid: u32) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let ours = Some(owner) == name || owner.parse() == Ok(uid);
        let first: u32 = fields.next()?.parse().ok()?;
        let count: u32 = fields.next()?.parse().ok()?;
        (ours && first > 0 && count > 0 && first.checked_add(count).is_some())
            .then_some((first, count))
    })
}

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|place| place.join(program)).find(|place| place.is_file())
}

/// What an operator can do about a layer that could not be raised.
pub(crate) fn hint(layer: Layer, errno: i32) -> &'static str {
    match (layer, errno) {
        (Layer::Namespaces, libc::EPERM | libc::EACCES | libc::ENOSYS) => {
            "allow unprivileged user namespaces: sysctl kernel.unprivileged_userns_clone=1 (Debian), \
             an AppArmor profile with `userns,` for belljar-worker (Ubuntu 23.10 and later), or \
             --security-opt seccomp=unconfined in a container; or accept a weaker floor, L2 as root \
             and L1 otherwise"
        }
        (Layer::Namespaces, libc::ENOSPC) => {
            "raise user.max_user_namespaces, user.max_pid_namespaces and the like with sysctl; or \
             accept a weaker floor, L2 as root and L1 otherwise"
        }
        (Layer::Rootfs, libc::EPERM) => {
            "in a container, start it with --security-opt systempaths=unconfined so that a fresh \
             /proc can be mounted"
        }
        (Layer::Rootfs, libc::ENOENT) => "check that the runtime is installed where it says it is",
        (Layer::Privileges, libc::EPERM) => {
            "run belljar as an ordinary user, or as root with CAP_CHOWN, CAP_KILL, CAP_SETGID and \
             CAP_SETUID"
        }
        (Layer::Landlock, libc::EACCES) => {
            "use an interpreter outside the directories of a user: the payload has another id"
        }
        (Layer::Landlock, _) => "use Linux 5.13 or newer with landlock in the lsm= boot parameter",
        (Layer::Seccomp, libc::EINVAL | libc::ENOSYS) => {
            "use Linux 5.19 or newer with CONFIG_SECCOMP_FILTER"
        }
        _ => "",
    }
}

/// A regular file in memory, sealed: whoever gets it can only read it.
pub(crate) fn sealed_file(name: &str, parts: &[&[u8]]) -> io::Result<fs::File> {
    use std::io::{Seek, Write};

    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};

    // Without the right to be executed (Linux 6.3), where the kernel knows that flag.
    let base = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let noexec = base | MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    let file = memfd_create(name, noexec).or_else(|_| memfd_create(name, base))?;
    let mut file = fs::File::from(file);
    for part in parts {
        file.write_all(part)?;
    }
    file.rewind()?;
    let seals = SealFlag::F_SEAL_SEAL
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subordinate_ids_are_found_by_name_or_number_and_root_is_never_among_them() {
        let text = "other:100000:65536\nme:165536:1000\n\nbroken\n7:300000:5\nme:1:1";
        assert_eq!(subordinate(text, Some("me"), 99), Some((165_536, 1000)));
        assert_eq!(subordinate(text, None, 7), Some((300_000, 5)));
        assert_eq!(subordinate(text, Some("nobody"), 65534), None);
        assert_eq!(subordinate("me:0:65536", Some("me"), 1), None);
        assert_eq!(subordinate("me:4294967295:2", Some("me"), 1), None);
    }

    #[test]
    fn a_sealed_file_reads_back_and_cannot_grow() {
        use std::io::{Read, Write};
        let mut file = sealed_file("test", &[b"one ", b"two"]).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
        assert!(file.write_all(b"three").is_err());
    }
}
