//! The last acts before the code of the payload takes over.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use belljar_protocol::{Delivery, Job, Layer, Refusal, SecretMap};
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::{chdir, fchdir, setsid};
use zeroize::Zeroizing;

use crate::control::Luggage;
use crate::layers::rootfs::Ground;
use crate::stopwatch::{Failure, Step, doing};
use crate::sys;

/// The descriptor at which a runtime's bootstrap finds the secrets.
const SECRETS_FD: i32 = 3;

/// Makes the payload the first to go when memory runs out, and its own group and session.
pub(crate) fn settle(ground: &Ground) -> Step {
    let volunteer = ground.write_proc("self/oom_score_adj", "1000");
    volunteer.map_err(doing("volunteer for the OOM killer"))?;
    setsid().map_err(doing("make a session"))?;
    sys::leave_real_time().map_err(doing("leave real-time scheduling"))?;
    fchdir(ground.root()).and_then(|()| chdir("work")).map_err(doing("enter /work"))
}

/// Executes the program of the job: from then on every instruction is hostile.
pub(crate) fn become_payload(job: &Job, luggage: &Luggage) -> Result<Infallible, Refusal> {
    let failed = |failure: Failure| failure.of(Layer::Seccomp);
    let secrets = secrets_pipe(job).map_err(failed)?;
    sys::place(&luggage.stdin, libc::STDIN_FILENO)
        .map_err(doing("place standard input"))
        .map_err(failed)?;
    if let Some(pipe) = secrets {
        sys::place(&pipe, SECRETS_FD).map_err(doing("place the secrets")).map_err(failed)?;
    }
    let strings = |strings: &mut dyn Iterator<Item = String>| -> Result<Vec<CString>, Refusal> {
        strings
            .map(CString::new)
            .collect::<Result<_, _>>()
            .map_err(|_| failed(Failure::because("start the program", "an argument holds a NUL")))
    };
    let argv = strings(&mut job.argv.iter().cloned())?;
    let env = strings(&mut job.env.iter().map(|(name, value)| format!("{name}={value}")))?;
    let program = strings(&mut std::iter::once(job.program.clone()))?;
    sys::reset_signals();
    let program = program.first().map(CString::as_c_str).unwrap_or_default();
    let error = sys::exec(program, &argv, &env);
    Err(failed(doing(format!("execute {}", job.program))(error)))
}

/// The secrets as a pipe that already holds them all.
fn secrets_pipe(job: &Job) -> Step<Option<OwnedFd>> {
    if job.delivery != Delivery::Descriptor || job.secrets.is_empty() {
        return Ok(None);
    }
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
        .map_err(doing("make the secrets' pipe"))?;
    File::from(write)
        .write_all(&records(&job.secrets))
        .map_err(|error: io::Error| doing::<io::Error>("fill the secrets' pipe")(error))?;
    // Without O_NONBLOCK on the reading side: each end of a pipe has its own flags.
    nix::fcntl::fcntl(&read, nix::fcntl::FcntlArg::F_SETFL(OFlag::empty()))
        .map_err(doing("open the secrets' pipe"))?;
    Ok(Some(read))
}

fn records(secrets: &SecretMap) -> Zeroizing<Vec<u8>> {
    let records = secrets.iter().count();
    let mut bytes = Zeroizing::new(Vec::with_capacity(secrets.len_bytes() + 8 * records));
    for (name, value) in secrets.iter() {
        for part in [name.as_bytes(), value] {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(part);
        }
    }
    bytes
}
