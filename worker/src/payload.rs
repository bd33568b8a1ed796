//! The last acts before the code of the payload takes over.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use belljar_protocol::{Delivery, Launch, Layer, Refusal, SecretMap, Task};
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::{chdir, fchdir, setsid};
use zeroize::Zeroizing;

use crate::control::Luggage;
use crate::files;
use crate::layers::rootfs::Ground;
use crate::stopwatch::{Failure, Step, doing};
use crate::sys;

/// The descriptor at which a runtime's bootstrap finds the secrets.
const SECRETS_FD: i32 = 3;
/// The descriptor at which a primed interpreter waits for its task.
pub(crate) const LINE_FD: i32 = 3;

/// Makes the payload the first to go when memory runs out, and its own group and session.
pub(crate) fn settle(ground: &Ground) -> Step {
    let volunteer = ground.write_proc("self/oom_score_adj", "1000");
    volunteer.map_err(doing("volunteer for the OOM killer"))?;
    setsid().map_err(doing("make a session"))?;
    sys::leave_real_time().map_err(doing("leave real-time scheduling"))?;
    fchdir(ground.root()).and_then(|()| chdir("work")).map_err(doing("enter /work"))
}

/// Executes the program of a task: from then on every instruction is hostile.
pub(crate) fn become_payload(
    task: &Task,
    delivery: Delivery,
    luggage: &Luggage,
) -> Result<Infallible, Refusal> {
    let failed = |failure: Failure| failure.of(Layer::Seccomp);
    let secrets = secrets_pipe(&task.secrets, delivery).map_err(failed)?;
    match &luggage.stdin {
        Some(stdin) => place(stdin, libc::STDIN_FILENO, "standard input")?,
        None => place_nothing()?,
    }
    // Open until the end: the pipe may have this very number.
    if let Some(pipe) = &secrets {
        place(pipe, SECRETS_FD, "the secrets")?;
    }
    execute(&task.program, &task.argv, &task.env)
}

/// Executes a program that will wait for its task at the end of `line`.
pub(crate) fn become_primed(launch: &Launch, line: &OwnedFd) -> Result<Infallible, Refusal> {
    place_nothing()?;
    place(line, LINE_FD, "the line")?;
    execute(&launch.program, &launch.argv, &launch.env)
}

/// Does for a task what is done before its program starts: its files, and its secrets if those
/// come as files.
pub(crate) fn furnish(
    task: &Task,
    luggage: &Luggage,
    hatch: Option<&OwnedFd>,
) -> Result<(), Refusal> {
    let failed = |failure: Failure| failure.of(Layer::Rootfs);
    if !task.files.entries.is_empty() {
        // Paths are taken as if they began here.
        chdir("/").map_err(doing("enter the root")).map_err(failed)?;
        files::write(&task.files, luggage.task_contents.as_ref()).map_err(failed)?;
        chdir("/work").map_err(doing("enter /work")).map_err(failed)?;
    }
    match hatch {
        Some(hatch) => files::write_secrets_in(&task.secrets, hatch).map_err(failed),
        None => Ok(()),
    }
}

/// The secrets as a pipe that already holds them all.
pub(crate) fn secrets_pipe(secrets: &SecretMap, delivery: Delivery) -> Step<Option<OwnedFd>> {
    if delivery != Delivery::Descriptor || secrets.is_empty() {
        return Ok(None);
    }
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
        .map_err(doing("make the secrets' pipe"))?;
    File::from(write)
        .write_all(&records(secrets))
        .map_err(|error: io::Error| doing::<io::Error>("fill the secrets' pipe")(error))?;
    // Without O_NONBLOCK on the reading side: each end of a pipe has its own flags.
    nix::fcntl::fcntl(&read, nix::fcntl::FcntlArg::F_SETFL(OFlag::empty()))
        .map_err(doing("open the secrets' pipe"))?;
    Ok(Some(read))
}

/// Standard input that ends at once.
pub(crate) fn place_nothing() -> Result<(), Refusal> {
    let nothing = File::open("/dev/null")
        .map_err(doing("open /dev/null"))
        .map_err(|failure: Failure| failure.of(Layer::Rootfs))?;
    place(&nothing.into(), libc::STDIN_FILENO, "standard input")
}

pub(crate) fn place(fd: &OwnedFd, number: i32, what: &str) -> Result<(), Refusal> {
    sys::place(fd, number)
        .map_err(doing(format!("place {what}")))
        .map_err(|failure: Failure| failure.of(Layer::Descriptors))
}

pub(crate) fn execute(
    program: &str,
    argv: &[String],
    env: &[(String, String)],
) -> Result<Infallible, Refusal> {
    let failed = |failure: Failure| failure.of(Layer::Seccomp);
    let strings = |strings: &mut dyn Iterator<Item = String>| -> Result<Vec<CString>, Refusal> {
        strings
            .map(CString::new)
            .collect::<Result<_, _>>()
            .map_err(|_| failed(Failure::because("start the program", "an argument holds a NUL")))
    };
    let argv = strings(&mut argv.iter().cloned())?;
    let env = strings(&mut env.iter().map(|(name, value)| format!("{name}={value}")))?;
    let path = strings(&mut std::iter::once(program.to_owned()))?;
    sys::reset_signals();
    let error = sys::exec(path.first().map(CString::as_c_str).unwrap_or_default(), &argv, &env);
    Err(failed(doing(format!("execute {program}"))(error)))
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
