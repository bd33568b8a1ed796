//! Holds against: every kernel path that asks for a capability, and every way to get one back.

use std::io;

use belljar_protocol::{Identity, Note};
use nix::libc;
use nix::sched::{CloneFlags, unshare};

use crate::layers::namespaces::take_ids;
use crate::layers::rootfs::Ground;
use crate::stopwatch::{Failure, Step, best_effort, doing};
use crate::sys;

/// The id the payload of a jar sees as its own.
pub(crate) const UID: u32 = 1000;

const SECUREBITS: u64 = {
    let noroot = 1 << 0;
    let no_setuid_fixup = 1 << 2;
    let no_ambient_raise = 1 << 6;
    let keep_caps_locked = 1 << 5;
    let bits = noroot | no_setuid_fixup | no_ambient_raise;
    // Each bit's lock is the bit above it (capabilities(7)).
    bits | bits << 1 | keep_caps_locked
};

/// Gives up every privilege that is left, and the right to nest another jar: in a user namespace
/// that is the jar's own.
pub(crate) fn renounce(ground: &Ground) -> Step {
    forbid_namespaces(ground, "1")?;
    leave_keyring()?;
    sink_into_inner_namespace(ground, Identity { uid: 0, gid: 0 })?;
    lower_bounding_set().map_err(doing("drop the bounding set"))?;
    drop_capabilities()
}

/// The same in a user namespace that many jars share: its identity is taken here, and what is
/// forbidden is so in the inner one alone.
pub(crate) fn renounce_in_lot(identity: Identity, ground: &Ground) -> Step {
    leave_keyring()?;
    take_ids(identity)?;
    sink_into_inner_namespace(ground, identity)?;
    forbid_namespaces(ground, "0")?;
    lower_bounding_set().map_err(doing("drop the bounding set"))?;
    drop_capabilities()
}

/// The keys of whoever started the supervisor stay out of reach.
fn leave_keyring() -> Step {
    match sys::join_new_session_keyring() {
        Err(error) if error.raw_os_error() != Some(libc::ENOSYS) => {
            Err(doing("leave the session keyring")(error))
        }
        _ => Ok(()),
    }
}

/// The same where there is no namespace to be root in: what takes a privilege comes before the id
/// of the payload, with which the privilege goes.
pub(crate) fn renounce_on_host(identity: Identity) -> Step<Option<Note>> {
    // A container may forbid it, and seccomp closes all keyrings to the payload anyway.
    best_effort(sys::join_new_session_keyring());
    let kept = match lower_bounding_set() {
        Ok(()) => None,
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Some(Note::BoundingSetKept),
        Err(error) => return Err(doing("drop the bounding set")(error)),
    };
    take_ids(identity)?;
    drop_capabilities()?;
    Ok(kept)
}

/// Takes `CAP_SETPCAP`, so it comes before that goes, too.
fn lower_bounding_set() -> io::Result<()> {
    let ambient_clear_all = libc::PR_CAP_AMBIENT_CLEAR_ALL;
    sys::prctl(libc::PR_CAP_AMBIENT, ambient_clear_all.cast_unsigned().into())?;
    for capability in 0.. {
        if sys::prctl(libc::PR_CAPBSET_READ, capability).is_err() {
            break;
        }
        sys::prctl(libc::PR_CAPBSET_DROP, capability)?;
    }
    sys::prctl(libc::PR_SET_SECUREBITS, SECUREBITS).map(drop)
}

fn drop_capabilities() -> Step {
    sys::clear_capabilities().map_err(doing("drop capabilities"))?;
    if sys::has_capabilities().map_err(doing("read capabilities"))? {
        return Err(Failure::because("drop capabilities", "some are left"));
    }
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(doing("set no_new_privs")).map(drop)
}

/// The kernel's own limit, under seccomp's: no nested namespace of any kind, but for as many user
/// namespaces as the next step needs.
fn forbid_namespaces(ground: &Ground, user_namespaces: &str) -> Step {
    for kind in ["mnt", "net", "pid", "ipc", "uts", "cgroup", "time"] {
        let setting = format!("sys/user/max_{kind}_namespaces");
        ground.write_proc(&setting, "0").map_err(doing(format!("set {setting}")))?;
    }
    // Counted per user of the host, and a payload that hoards them takes them from its caller.
    for (kind, most) in [("instances", "32"), ("watches", "8192")] {
        let setting = format!("sys/user/max_inotify_{kind}");
        ground.write_proc(&setting, most).map_err(doing(format!("set {setting}")))?;
    }
    let setting = "sys/user/max_user_namespaces";
    ground.write_proc(setting, user_namespaces).map_err(doing(format!("set {setting}")))
}

/// A user namespace that owns nothing: a capability regained through a kernel bug would count for
/// no mount, network or IPC namespace.
fn sink_into_inner_namespace(ground: &Ground, outer: Identity) -> Step {
    unshare(CloneFlags::CLONE_NEWUSER).map_err(doing("make the inner user namespace"))?;
    for (file, text) in [
        ("setgroups", "deny"),
        ("uid_map", &format!("{UID} {} 1", outer.uid)),
        ("gid_map", &format!("{UID} {} 1", outer.gid)),
    ] {
        ground.write_proc(&format!("self/{file}"), text).map_err(doing(format!("write {file}")))?;
    }
    Ok(())
}
