//! Holds against: seeing, signalling, mounting over or talking to anything of the host; and, as
//! every id in the jar maps to one unprivileged id, against the host's own file permissions.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use belljar_protocol::{Authority, Identity, Jar, Note};
use nix::errno::Errno;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Gid, Pid, Uid, fchown, getgid, getuid, setgroups, setresgid, setresuid, setsid};

use crate::control::{receive_with, send_with};
use crate::stopwatch::{Failure, Step, doing};
use crate::sys::{self, Fork};

/// Which side of the jar's wall a process is on.
pub(crate) enum Side {
    Warden { init: Pid, tether: OwnedFd },
    Init { tether: OwnedFd },
}

/// Gains the right to build namespaces and to choose an identity.
pub(crate) fn claim_authority(
    authority: Authority,
    ground: Option<&OwnedFd>,
) -> Step<Option<Note>> {
    match (authority, ground) {
        (Authority::Host | Authority::Ids | Authority::Nothing, _) => {}
        (Authority::Lent, Some(lot)) => {
            enter_lot(lot)?;
            unshare(CloneFlags::CLONE_NEWNS).map_err(doing("make a mount namespace"))?;
        }
        (Authority::Lent, None) => {
            return Err(Failure::because("enter the lot of ids", "no lot came with the job"));
        }
        (Authority::Own, _) => {
            let (uid, gid) = (getuid(), getgid());
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
                .map_err(doing("make a user namespace"))?;
            write_maps("/proc/self", 0, uid.as_raw(), gid.as_raw())?;
        }
    }
    // Without subordinate ids setgroups is forbidden for good (user_namespaces(7)).
    match setgroups(&[]) {
        Ok(()) => Ok(None),
        Err(Errno::EPERM) if matches!(authority, Authority::Own | Authority::Nothing) => {
            Ok(Some(Note::SupplementaryGroupsKept))
        }
        Err(errno) => Err(doing("drop supplementary groups")(errno)),
    }
}

/// Enters the user namespace that lends ids.
pub(crate) fn enter_lot(lot: &OwnedFd) -> Step {
    setns(lot, CloneFlags::CLONE_NEWUSER).map_err(doing("enter the lot of ids"))
}

/// The payload may open its own output again by name, as `/dev/stdout`, only if it owns it. Pipes
/// alone: anything else that a worker could be started with is somebody else's.
pub(crate) fn hand_over_output(identity: Identity) -> Step {
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    for stream in [std::io::stdout().as_fd(), std::io::stderr().as_fd()] {
        let status = fstat(stream).map_err(doing("inspect the output pipes"))?;
        let is_pipe = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO;
        if is_pipe && status.st_uid != identity.uid {
            fchown(stream, Some(uid), Some(gid)).map_err(doing("hand over the output pipes"))?;
        }
    }
    Ok(())
}

/// Splits into the warden, which stays, and init, alone in new namespaces with one id, or in those
/// of the host.
pub(crate) fn fork_into_jar(
    jar: &Jar,
    identity: Identity,
    warden_end: OwnedFd,
    init_end: OwnedFd,
) -> Step<Side> {
    let namespaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWCGROUP;
    if !jar.authority.makes_namespaces() {
        return fork_on_host(warden_end, init_end);
    }
    match sys::fork_into(namespaces).map_err(doing("make namespaces"))? {
        Fork::Parent(init) => {
            drop(init_end);
            write_maps(&format!("/proc/{init}"), 0, identity.uid, identity.gid)?;
            send_with(&warden_end, b"mapped", &[]).map_err(doing("release init"))?;
            Ok(Side::Warden { init, tether: warden_end })
        }
        Fork::Child => {
            drop(warden_end);
            let mut word = [0; 8];
            match receive_with(&init_end, &mut word).map_err(doing("await the id maps"))? {
                (0, _) => Err(Failure::because("await the id maps", "the warden is gone")),
                _ => Ok(Side::Init { tether: init_end }),
            }
        }
    }
}

/// Whoever loses its parent is given to init, and to the warden should init be gone.
fn fork_on_host(warden_end: OwnedFd, init_end: OwnedFd) -> Step<Side> {
    let adopt_orphans = || prctl::set_child_subreaper(true).map_err(doing("adopt orphans"));
    adopt_orphans()?;
    match sys::fork().map_err(doing("split off init"))? {
        Fork::Parent(init) => Ok(Side::Warden { init, tether: warden_end }),
        Fork::Child => adopt_orphans().map(|()| Side::Init { tether: init_end }),
    }
}

/// Takes the new identity, and cuts what still ties init to the host.
pub(crate) fn settle(authority: Authority, tether: &OwnedFd) -> Step<Option<Note>> {
    if !authority.makes_namespaces() {
        // Never to die with the warden: nobody would be left to end the payload.
        return setsid().map_err(doing("leave the terminal")).map(|_| None);
    }
    // Before the identity changes: only host root may, and only for its own new pid namespace.
    // Executable memory files pass both noexec mounts and Landlock.
    let executable_memfd_stays = !(authority == Authority::Host && forbid_executable_memfd());
    // Required: with an unmapped id every create fails with EOVERFLOW.
    take_ids(Identity { uid: 0, gid: 0 })?;
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(doing("die with the warden"))?;
    // It may have died before the signal was asked for, and its pid means nothing in here.
    if is_closed(tether).map_err(doing("look after the warden"))? {
        return Err(Failure::because("die with the warden", "it is already gone"));
    }
    part_with_the_host()?;
    Ok(executable_memfd_stays.then_some(Note::MemfdBySeccompOnly))
}

/// Whether memory files cannot be executed in this pid namespace from now on.
pub(crate) fn forbid_executable_memfd() -> bool {
    fs::write("/proc/sys/vm/memfd_noexec", "2").is_ok()
}

/// Cuts what new namespaces still share with those that they were copied from.
pub(crate) fn part_with_the_host() -> Step {
    setsid().map_err(doing("leave the terminal"))?;
    nix::unistd::sethostname("belljar").map_err(doing("name the host"))?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(doing("make mounts private"))
}

/// Takes an identity for good, as this user namespace counts.
pub(crate) fn take_ids(identity: Identity) -> Step {
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    setresgid(gid, gid, gid).map_err(doing("take the group id"))?;
    setresuid(uid, uid, uid).map_err(doing("take the user id"))?;
    // Cleared by setresuid, like the parent-death signal: needed to write its own files in /proc.
    prctl::set_dumpable(true).map_err(doing("own /proc/self"))
}

fn is_closed(tether: &OwnedFd) -> nix::Result<bool> {
    let mut end = [PollFd::new(tether.as_fd(), PollFlags::empty())];
    Ok(poll(&mut end, PollTimeout::ZERO)? > 0)
}

/// Maps `inner` to one id of the parent namespace, for users and groups.
pub(crate) fn write_maps(process: &str, inner: u32, uid: u32, gid: u32) -> Step {
    let write = |name: &str, text: String| {
        let path = format!("{process}/{name}");
        fs::write(&path, text).map_err(doing(format!("write {path}")))
    };
    // In this order: a group map is refused to the unprivileged until setgroups is given up.
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{inner} {uid} 1"))?;
    write("gid_map", format!("{inner} {gid} 1"))
}
