//! Holds against: one process spinning, filling a disk, or hoarding what the kernel counts per
//! process. The tree as a whole is the cgroup's.

use belljar_protocol::{Authority, Jar, Note};
use nix::libc;
use nix::sys::wait::waitpid;
use rlimit::Resource;

use crate::stopwatch::{Failure, Step, doing};
use crate::sys::{self, Fork};

const STACK_BYTES: u64 = 8 << 20;
/// Bounds posix timers and queued signals, 96 thousand of which are allowed otherwise.
const PENDING_SIGNALS: u64 = 256;

/// Lowers the ceilings for good: hard limits cannot be raised again (setrlimit(2)).
pub(crate) fn lower(jar: &Jar) -> Step<[Option<Note>; 2]> {
    let ceilings = &jar.ceilings;
    let processes = match jar.authority {
        Authority::Nothing => others_of_the_user()?.saturating_add(ceilings.processes),
        _ => ceilings.processes,
    };
    let mut inherited = false;
    for (resource, ceiling) in [
        (Resource::NOFILE, ceilings.descriptors),
        (Resource::NPROC, processes),
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
        inherited |= set(resource, ceiling, ceiling)?;
    }
    // A soft limit below the hard one makes the end a tell-tale SIGXCPU.
    let cpu_seconds = ceilings.cpu_seconds;
    inherited |= set(Resource::CPU, cpu_seconds, cpu_seconds.saturating_add(1))?;
    // Not 0: with a piped core_pattern that still runs the helper, and 1 does not (core(5)).
    set(Resource::CORE, 1, 1)?;
    let core = Resource::CORE.get().map_err(doing("read the core limit"))?;
    Ok([
        (core != (1, 1)).then_some(Note::CoreHelperMayRun),
        inherited.then_some(Note::LowerLimitsInherited),
    ])
}

/// Bounds the memory of a process that is trusted, and whose children will have limits of their own.
pub(crate) fn bound(data_bytes: u64) -> Step {
    let (_, most) = Resource::DATA.get().map_err(doing("read RLIMIT_DATA"))?;
    Resource::DATA.set(data_bytes.min(most), most).map_err(doing("bound the memory of a template"))
}

/// Reads back those limits that a payload would raise first.
pub(crate) fn stand(jar: &Jar) -> Step {
    let processes = match jar.authority {
        // Counted from a number that only forking told.
        Authority::Nothing => u64::MAX,
        _ => jar.ceilings.processes,
    };
    for (resource, ceiling) in
        [(Resource::NOFILE, jar.ceilings.descriptors), (Resource::NPROC, processes)]
    {
        let (_, hard) = resource.get().map_err(doing("read a limit"))?;
        if hard > ceiling {
            let reason = format!("{} is {hard}, not {ceiling}", resource.as_name());
            return Err(Failure::because("find limits lowered", reason));
        }
    }
    Ok(())
}

/// Whether the limit was lower already, and stays: to raise it takes a privilege, and nobody asked.
fn set(resource: Resource, soft: u64, hard: u64) -> Step<bool> {
    let failed = || doing(format!("lower {}", resource.as_name()));
    let (_, most) = resource.get().map_err(failed())?;
    resource.set(soft.min(most), hard.min(most)).map_err(failed())?;
    // What the supervisor may not have either, such as locked memory, is no news.
    Ok(most < soft && matches!(resource, Resource::NOFILE | Resource::CPU | Resource::FSIZE))
}

/// How many processes and threads this user has beside this one and init: the largest soft limit
/// with which a fork fails, less two. The kernel counts them beyond any pid namespace, and tells nobody.
fn others_of_the_user() -> Step<u64> {
    let (_, hard) = Resource::NPROC.get().map_err(doing("read RLIMIT_NPROC"))?;
    let allows = |most| -> Step<bool> {
        Resource::NPROC.set(most, hard).map_err(doing("try RLIMIT_NPROC"))?;
        can_fork()
    };
    // Every question is a fork, and most users have few processes.
    let (mut fails, mut works) = (0, hard.min(64));
    while works < hard && !allows(works)? {
        (fails, works) = (works, works.saturating_mul(2).min(hard));
    }
    while works - fails > 1 {
        let middle = fails.midpoint(works);
        if allows(middle)? { works = middle } else { fails = middle }
    }
    Resource::NPROC.set(hard, hard).map_err(doing("restore RLIMIT_NPROC"))?;
    Ok(fails.saturating_sub(2))
}

#[expect(clippy::exit, reason = "the child is there only to have been made")]
fn can_fork() -> Step<bool> {
    match sys::fork() {
        Ok(Fork::Child) => std::process::exit(0),
        Ok(Fork::Parent(child)) => {
            waitpid(child, None).map_err(doing("reap a child"))?;
            Ok(true)
        }
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(false),
        Err(error) => Err(doing("count the processes of the user")(error)),
    }
}
