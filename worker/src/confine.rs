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
) -> Result<rootfs::Ground, Refusal> {
    let memfd = clock.prepare(Layer::Rootfs, || namespaces::settle(job, tether))?;
    clock.note(memfd);
    let ground = clock.raise(Layer::Rootfs, || rootfs::build(job, luggage, sources))?;
    let bounding = clock.raise(Layer::Privileges, || privileges::renounce(job, &ground))?;
    clock.note(bounding);
    Ok(ground)
}

pub(crate) fn split_off_payload() -> Result<Fork, Refusal> {
    sys::fork()
        .map_err(doing("split off the payload"))
        .map_err(|failure: Failure| failure.of(Layer::Privileges))
}

/// What an unprivileged process can still do to itself. Seccomp ends it.
pub(crate) fn payload(
    job: &Job,
    ground: rootfs::Ground,
    tether: &OwnedFd,
    clock: &mut Stopwatch,
) -> Result<(), Refusal> {
    clock.prepare(Layer::Rlimits, || payload::settle(&ground))?;
    let notes = clock.raise(Layer::Rlimits, || rlimits::lower(job))?;
    for note in notes {
        clock.note(note);
    }
    let abi = clock.raise(Layer::Landlock, || landlock::restrict(job, &ground))?;
    drop(ground);
    clock.landlock_abi(abi);
    clock.raise(Layer::Seccomp, || seccomp::install(job.syscalls, tether))
}
