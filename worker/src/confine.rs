//! The order in which walls are raised: here, in `main`, and nowhere else.

use std::os::fd::OwnedFd;

use belljar_protocol::{Jar, Job, Layer, Note, Refusal};

use crate::control::Luggage;
use crate::layers::{landlock, namespaces, privileges, rlimits, rootfs, seccomp};
use crate::stopwatch::{Failure, Stopwatch, doing};
use crate::sys::{self, Fork};
use crate::{network, payload};

/// Outside the jar, where the host can still be seen.
pub(crate) fn warden(
    job: &Job,
    luggage: &Luggage,
    clock: &mut Stopwatch,
) -> Result<rootfs::Sources, Refusal> {
    let failed = |failure: Failure| failure.of(Layer::Namespaces);
    let authority = job.jar.authority;
    clock.note(namespaces::claim_authority(authority, luggage.ground.as_ref()).map_err(failed)?);
    namespaces::hand_over_output(job.identity).map_err(failed)?;
    clock.prepare(Layer::Namespaces, || rootfs::open_sources(&job.jar))
}

/// Needs to be inside the new namespaces, and still privileged there.
pub(crate) fn init(
    job: &Job,
    luggage: &Luggage,
    tether: &OwnedFd,
    sources: rootfs::Sources,
    clock: &mut Stopwatch,
) -> Result<rootfs::Ground, Refusal> {
    let authority = job.jar.authority;
    let memfd = clock.prepare(Layer::Rootfs, || namespaces::settle(authority, tether))?;
    clock.note(memfd);
    clock.prepare(Layer::Namespaces, || network::open(&job.jar, luggage.gate.as_ref()))?;
    let ground = clock.raise(Layer::Rootfs, || rootfs::build(job, luggage, sources))?;
    let bounding: Option<Note> = clock.raise(Layer::Privileges, || {
        if authority.makes_namespaces() {
            privileges::renounce(&ground).map(|()| None)
        } else {
            privileges::renounce_on_host(job.identity)
        }
    })?;
    clock.note(bounding);
    Ok(ground)
}

pub(crate) fn split_off_payload() -> Result<Fork, Refusal> {
    sys::fork()
        .map_err(doing("split off the payload"))
        .map_err(|failure: Failure| failure.of(Layer::Privileges))
}

/// What an unprivileged process can still do to itself. Seccomp ends it. What is left of the
/// ground is where secrets can be written, if they come as files.
pub(crate) fn payload(
    jar: &Jar,
    ground: rootfs::Ground,
    tether: &OwnedFd,
    clock: &mut Stopwatch,
) -> Result<Option<OwnedFd>, Refusal> {
    clock.prepare(Layer::Rlimits, || payload::settle(&ground))?;
    let notes = clock.raise(Layer::Rlimits, || rlimits::lower(jar))?;
    for note in notes {
        clock.note(note);
    }
    let abi = clock.raise(Layer::Landlock, || landlock::restrict(jar, &ground))?;
    let hatch = ground.into_hatch();
    clock.landlock_abi(abi);
    clock.raise(Layer::Seccomp, || seccomp::install(jar, tether))?;
    Ok(hatch)
}
