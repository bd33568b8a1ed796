//! Asks the kernel whether the walls stand, once there is no way back. The supervisor asks again
//! from outside.

use belljar_protocol::{Job, Layer, Refusal};
use nix::libc;
use nix::unistd::{getegid, geteuid, getgid, getppid, getuid};

use crate::layers::privileges::UID;
use crate::layers::rlimits;
use crate::stopwatch::{Failure, Step, doing};
use crate::sys;

/// # Errors
/// The first wall that is not where it was put.
pub(crate) fn hold(job: &Job) -> Result<(), Refusal> {
    ask(Layer::Namespaces, || namespaces(job))?;
    ask(Layer::Privileges, || privileges(job))?;
    ask(Layer::Rlimits, || rlimits::stand(job))?;
    ask(Layer::Seccomp, seccomp)
}

fn ask(layer: Layer, wall: impl FnOnce() -> Step) -> Result<(), Refusal> {
    #[cfg(feature = "walls-down")]
    let wall = crate::walls::unless_down(layer, wall);
    wall().map_err(|failure| failure.of(layer))
}

fn namespaces(job: &Job) -> Step {
    match getppid().as_raw() {
        _ if !job.authority.makes_namespaces() => Ok(()),
        1 => Ok(()),
        parent => Err(Failure::because("find itself in the jar", format!("process {parent}"))),
    }
}

fn privileges(job: &Job) -> Step {
    let (uid, gid) = if job.authority.makes_namespaces() { (UID, UID) } else { (job.uid, job.gid) };
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
