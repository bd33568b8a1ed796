//! Holds against: every kernel path that asks for a capability, and every way to get one back.

use nix::libc;
use nix::sched::{CloneFlags, unshare};

use crate::layers::rootfs::HostProc;
use crate::stopwatch::{Failure, Step, doing};
use crate::sys;

/// The id the payload sees as its own.
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

/// Gives up every privilege that is left inside the jar, and the right to nest another.
pub(crate) fn renounce(proc: &HostProc) -> Step {
    forbid_namespaces(proc)?;
    // The keys of whoever started the supervisor stay out of reach.
    match sys::join_new_session_keyring() {
        Err(error) if error.raw_os_error() != Some(libc::ENOSYS) => {
            return Err(doing("leave the session keyring")(error));
        }
        _ => {}
    }
    sink_into_inner_namespace(proc)?;

    let ambient_clear_all = libc::PR_CAP_AMBIENT_CLEAR_ALL;
    sys::prctl(libc::PR_CAP_AMBIENT, ambient_clear_all.cast_unsigned().into())
        .map_err(doing("clear ambient capabilities"))?;
    // Needs CAP_SETPCAP, so it comes before that goes, too.
    for capability in 0.. {
        if sys::prctl(libc::PR_CAPBSET_READ, capability).is_err() {
            break;
        }
        sys::prctl(libc::PR_CAPBSET_DROP, capability).map_err(doing("drop the bounding set"))?;
    }
    sys::prctl(libc::PR_SET_SECUREBITS, SECUREBITS).map_err(doing("lock the securebits"))?;
    sys::clear_capabilities().map_err(doing("drop capabilities"))?;
    if sys::has_capabilities().map_err(doing("read capabilities"))? {
        return Err(Failure::because("drop capabilities", "some are left"));
    }
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(doing("set no_new_privs")).map(drop)
}

/// The kernel's own limit, under seccomp's: no nested namespace of any kind. One user namespace
/// is left, for the next step.
fn forbid_namespaces(proc: &HostProc) -> Step {
    for kind in ["mnt", "net", "pid", "ipc", "uts", "cgroup", "time"] {
        let setting = format!("sys/user/max_{kind}_namespaces");
        proc.write(&setting, "0").map_err(doing(format!("set {setting}")))?;
    }
    let setting = "sys/user/max_user_namespaces";
    proc.write(setting, "1").map_err(doing(format!("set {setting}")))
}

/// A user namespace that owns nothing: a capability regained through a kernel bug would count for
/// no mount, network or IPC namespace.
fn sink_into_inner_namespace(proc: &HostProc) -> Step {
    unshare(CloneFlags::CLONE_NEWUSER).map_err(doing("make the inner user namespace"))?;
    for (file, text) in [
        ("setgroups", "deny"),
        ("uid_map", &format!("{UID} 0 1")),
        ("gid_map", &format!("{UID} 0 1")),
    ] {
        proc.write(&format!("self/{file}"), text).map_err(doing(format!("write {file}")))?;
    }
    Ok(())
}
