//! Asks the kernel whether the walls stand, once there is no way back. The supervisor asks again
//! from outside.

use belljar_protocol::{Identity, Jar, Layer, Refusal};
use nix::libc;
use nix::unistd::{getegid, geteuid, getgid, getppid, getuid};

use crate::layers::privileges::UID;
use crate::layers::rlimits;
use crate::stopwatch::{Failure, Step, doing};
use crate::sys;

/// # Errors
/// The first wall that is not where it was put.
pub(crate) fn hold(jar: &Jar, identity: Identity, parent: i32) -> Result<(), Refusal> {
    ask(Layer::Namespaces, || namespaces(jar, parent))?;
    ask(Layer::Privileges, || privileges(jar, identity))?;
    ask(Layer::Rlimits, || rlimits::stand(jar))?;
    ask(Layer::Seccomp, seccomp)
}

fn ask(layer: Layer, wall: impl FnOnce() -> Step) -> Result<(), Refusal> {
    #[cfg(feature = "walls-down")]
    let wall = crate::walls::unless_down(layer, wall);
    wall().map_err(|failure| failure.of(layer))
}

/// Whoever started it counts as 1 inside, and as 0 if it is outside.
fn namespaces(jar: &Jar, expected: i32) -> Step {
    match getppid().as_raw() {
        _ if !jar.authority.makes_namespaces() => Ok(()),
        parent if parent == expected => Ok(()),
        parent => Err(Failure::because("find itself in the jar", format!("process {parent}"))),
    }
}

fn privileges(jar: &Jar, own: Identity) -> Step {
    let (uid, gid) = if jar.authority.makes_namespaces() { (UID, UID) } else { (own.uid, own.gid) };
    let ids = [getuid().as_raw(), geteuid().as_raw(), getgid().as_raw(), getegid().as_raw()];
    if ids != [uid, uid, gid, gid] {
        return Err(Failure::because("find its own id", format!("ids {ids:?}")));
    }
    if sys::has_capabilities().map_err(doing("read capabilities"))?
        || sys::prctl(libc::PR_GET_NO_NEW_PRIVS, 0).map_err(doing("read no_new_privs"))? != 1
    {
        return Err(Failure::because("find privileges gone", "some are left"));
    }
    Ok(())
}

fn seccomp() -> Step {
    // SECCOMP_MODE_FILTER of prctl(2).
    match sys::prctl(libc::PR_GET_SECCOMP, 0).map_err(doing("read the seccomp mode"))? {
        2 => Ok(()),
        mode => Err(Failure::because("find a filter", format!("the mode is {mode}"))),
    }
}
