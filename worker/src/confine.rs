//! The order in which walls are raised: here, in `main`, and nowhere else.

use std::os::fd::OwnedFd;

use belljar_protocol::{Job, Layer, Refusal};

use crate::control::Luggage;
use crate::layers::{landlock, namespaces, privileges, rlimits, rootfs, seccomp};
use crate::payload;
use crate::stopwatch::{Failure, Stopwatch, doing};
use crate::sys::{self, Fork};

/// Outside the jar, where the host can still be seen.
pub(crate) fn warden(
    job: &Job,
    luggage: &Luggage,
    clock: &mut Stopwatch,
) -> Result<rootfs::Sources, Refusal> {
    clock.note(
        namespaces::claim_authority(job, luggage)
            .map_err(|failure| failure.of(Layer::Namespaces))?,
    );
    clock.prepare(Layer::Namespaces, || rootfs::open_sources(job))
}

/// Needs to be inside the new namespaces, and still privileged there.
pub(crate) fn init(
    job: &Job,
    luggage: &Luggage,
    tether: &OwnedFd,
    sources: rootfs::Sources,
    clock: &mut Stopwatch,
) -> Result<rootfs::HostProc, Refusal> {
    let memfd = clock.prepare(Layer::Rootfs, || namespaces::settle(job, tether))?;
    clock.note(memfd);
    let proc = clock.raise(Layer::Rootfs, || rootfs::build(job, &luggage.contents, sources))?;
    clock.raise(Layer::Privileges, || privileges::renounce(&proc))?;
    Ok(proc)
}

pub(crate) fn split_off_payload() -> Result<Fork, Refusal> {
    sys::fork()
        .map_err(doing("split off the payload"))
        .map_err(|failure: Failure| failure.of(Layer::Privileges))
}

/// What an unprivileged process can still do to itself. Seccomp ends it.
pub(crate) fn payload(
    job: &Job,
    proc: rootfs::HostProc,
    tether: &OwnedFd,
    clock: &mut Stopwatch,
) -> Result<(), Refusal> {
    clock.prepare(Layer::Rlimits, || payload::settle(proc))?;
    let core = clock.raise(Layer::Rlimits, || rlimits::lower(&job.ceilings))?;
    clock.note(core);
    let abi = clock.raise(Layer::Landlock, || landlock::restrict(job))?;
    clock.landlock_abi(abi);
    clock.raise(Layer::Seccomp, || seccomp::install(job.syscalls, tether))
}
