//! Asks the kernel whether the walls stand, once there is no way back. The supervisor asks again
//! from outside.

use belljar_protocol::{Job, Layer, Refusal};
use nix::libc;
use nix::unistd::{getegid, geteuid, getgid, getppid, getuid};
use rlimit::Resource;

use crate::layers::privileges::UID;
use crate::stopwatch::{Failure, Step, doing};
use crate::sys;

/// # Errors
/// The first wall that is not where it was put.
pub(crate) fn hold(job: &Job) -> Result<(), Refusal> {
    namespaces().map_err(|failure| failure.of(Layer::Namespaces))?;
    privileges().map_err(|failure| failure.of(Layer::Privileges))?;
    rlimits(job).map_err(|failure| failure.of(Layer::Rlimits))?;
    seccomp().map_err(|failure| failure.of(Layer::Seccomp))
}

fn namespaces() -> Step {
    let ids = [getuid().as_raw(), geteuid().as_raw(), getgid().as_raw(), getegid().as_raw()];
    if ids != [UID; 4] || getppid().as_raw() != 1 {
        return Err(Failure::because("find itself in the jar", format!("ids {ids:?}")));
    }
    Ok(())
}

fn privileges() -> Step {
    if sys::has_capabilities().map_err(doing("read capabilities"))?
        || sys::prctl(libc::PR_GET_NO_NEW_PRIVS, 0).map_err(doing("read no_new_privs"))? != 1
    {
        return Err(Failure::because("find privileges gone", "some are left"));
    }
    Ok(())
}

fn rlimits(job: &Job) -> Step {
    for (resource, ceiling) in
        [(Resource::NOFILE, job.ceilings.descriptors), (Resource::NPROC, job.ceilings.processes)]
    {
        let (_, hard) = resource.get().map_err(doing("read a limit"))?;
        if hard > ceiling {
            let reason = format!("{} is {hard}, not {ceiling}", resource.as_name());
            return Err(Failure::because("find limits lowered", reason));
        }
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
