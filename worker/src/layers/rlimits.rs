//! Holds against: one process spinning, filling a disk, or hoarding what the kernel counts per
//! process. The tree as a whole is the cgroup's.

use belljar_protocol::{Ceilings, Note};
use rlimit::Resource;

use crate::stopwatch::{Failure, Step, doing};

const STACK_BYTES: u64 = 8 << 20;
/// Bounds posix timers and queued signals, 96 thousand of which are allowed otherwise.
const PENDING_SIGNALS: u64 = 256;

/// Lowers the ceilings for good: hard limits cannot be raised again (setrlimit(2)).
pub(crate) fn lower(ceilings: &Ceilings) -> Step<Option<Note>> {
    for (resource, ceiling) in [
        (Resource::NOFILE, ceilings.descriptors),
        (Resource::NPROC, ceilings.processes),
        (Resource::FSIZE, ceilings.file_bytes),
        (Resource::DATA, ceilings.data_bytes),
        (Resource::STACK, STACK_BYTES),
        (Resource::SIGPENDING, PENDING_SIGNALS),
        (Resource::MEMLOCK, 0),
        (Resource::MSGQUEUE, 0),
        (Resource::NICE, 0),
        (Resource::RTPRIO, 0),
        (Resource::RTTIME, 0),
    ] {
        set(resource, ceiling, ceiling)?;
    }
    // A soft limit below the hard one makes the end a tell-tale SIGXCPU.
    set(Resource::CPU, ceilings.cpu_seconds, ceilings.cpu_seconds.saturating_add(1))?;
    // Not 0: with a piped core_pattern that still runs the helper, and 1 does not (core(5)).
    set(Resource::CORE, 1, 1)?;
    let core = Resource::CORE.get().map_err(doing("read the core limit"))?;
    Ok((core != (1, 1)).then_some(Note::CoreHelperMayRun))
}

/// Reads back those limits that a payload would raise first.
pub(crate) fn stand(ceilings: &Ceilings) -> Step {
    for (resource, ceiling) in
        [(Resource::NOFILE, ceilings.descriptors), (Resource::NPROC, ceilings.processes)]
    {
        let (_, hard) = resource.get().map_err(doing("read a limit"))?;
        if hard > ceiling {
            let reason = format!("{} is {hard}, not {ceiling}", resource.as_name());
            return Err(Failure::because("find limits lowered", reason));
        }
    }
    Ok(())
}

/// What is already lower stays: raising a hard limit takes a privilege, and nobody asked for it.
fn set(resource: Resource, soft: u64, hard: u64) -> Step {
    let failed = || doing(format!("lower {}", resource.as_name()));
    let (_, most) = resource.get().map_err(failed())?;
    resource.set(soft.min(most), hard.min(most)).map_err(failed())
}
