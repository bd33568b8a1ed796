//! One throwaway process that confines itself and becomes a payload.
//!
//! It reads one job from its standard input, splits into three (the warden outside the jar, init
//! inside it, the payload), raises seven walls in the order of [`belljar_protocol::Layer::ALL`],
//! asks the kernel whether they stand, and executes what the job names. Or it becomes the keeper of
//! many jars that are built ahead of their tasks: `keeper`.
//!
//! Never: a thread, a log, an argument, an environment variable or a configuration file. Its one
//! voice is [`belljar_protocol::Report`]; when it cannot report it exits with 70 and says nothing.

mod confine;
mod control;
mod denials;
mod descendants;
mod files;
mod init;
mod keeper;
mod kept;
mod layers;
mod network;
mod payload;
mod stopwatch;
mod sys;
mod verify;
#[cfg(feature = "walls-down")]
mod walls;
mod warden;

use std::convert::Infallible;
use std::process::ExitCode;

use belljar_protocol::{Layer, Refusal, Report};

use nix::sys::stat::{Mode, umask};

use crate::control::{Control, Errand};
use crate::layers::{descriptors, namespaces};
use crate::stopwatch::{Stopwatch, best_effort};
use crate::sys::Fork;

/// `EX_SOFTWARE` of sysexits.h: a worker that never became a payload.
const FAILED: u8 = 70;

fn main() -> ExitCode {
    // What a caller ignores or masks would stay so through every exec: init has to hear of its
    // children, whatever was done about SIGCHLD.
    sys::reset_signals();
    umask(Mode::from_bits_truncate(0o022));
    if let Ok(control) = descriptors::close_all_but_control()
        && let Err(refusal) = live(&control)
    {
        // Nobody is left to hear that this failed, too.
        best_effort(control.send(&Report::Refused(refusal)));
    }
    ExitCode::from(FAILED)
}

fn live(control: &Control) -> Result<Infallible, Refusal> {
    let mut clock = Stopwatch::default();
    clock.raise(Layer::Descriptors, descriptors::nothing_else_is_open)?;
    let (job, luggage) = match control.receive_errand()? {
        Errand::Job(job, luggage) => (job, luggage),
        Errand::Keep(keep, luggage) => return keeper::keep(*keep, luggage, control),
        Errand::FoundLot => return warden::hold_lot(control),
    };

    let sources = confine::warden(&job, &luggage, &mut clock)?;
    let (warden_end, init_end) = control::tether()?;
    let side = clock.raise(Layer::Namespaces, || {
        namespaces::fork_into_jar(&job.jar, job.identity, warden_end, init_end)
    })?;
    let tether = match side {
        namespaces::Side::Warden { init, tether } => {
            let deadline_ms = job.task.deadline_ms;
            // With the job go its secrets: only the payload-to-be keeps a copy.
            drop((sources, luggage, job));
            warden::outlive(init, &tether, control, deadline_ms); // -> !
        }
        namespaces::Side::Init { tether } => tether,
    };

    let ground = confine::init(&job, &luggage, &tether, sources, &mut clock)?;
    let (payload_gone, payload_here) = control::exec_pipe()?;
    if let Fork::Parent(payload) = confine::split_off_payload()? {
        let authority = job.jar.authority;
        drop((ground, luggage, tether, payload_here, job));
        init::reap_until_ended(Some(payload), Some(&payload_gone), control, authority); // -> !
    }
    drop(payload_gone);

    confine::payload(&job.jar, ground, &tether, &mut clock)?;
    verify::hold(&job.jar, job.identity, init::PID)?;
    control.send(&Report::Confined(clock.confinement()))?;
    control.await_proceed()?;
    payload::become_payload(&job.task, job.jar.delivery, &luggage)
}
