//! What makes a trusted interpreter a template: it forks itself into jars, and each child raises
//! the walls that every payload has before it runs anything.

mod fork;

use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};

use belljar_protocol::{
    Contents, Delivery, Identity, Jar, Keep, Layer, Order, Refusal, Report, Task,
};
use nix::libc;
use nix::sched::{CloneFlags, setns};

use crate::control::{Control, send_with};
use crate::kept::{Belongings, FORKED, NAMESPACES, PROC_FD, SOCKET_FD};
use crate::layers::{privileges, rootfs};
use crate::payload::{self, LINE_FD};
use crate::stopwatch::{Failure, Stopwatch, best_effort, doing};
use crate::sys::{self, Fork};
use crate::{confine, verify};

/// What the keeper and a child know each other by from outside a pid namespace.
const PARENT_OUTSIDE: i32 = 0;

/// Which side of the last fork this is.
pub(crate) enum Side {
    /// A child in a jar of its own, confined; somebody may wait for it.
    Child { hurry: bool },
    /// The template, which nobody needs any more.
    Template,
}

/// Forks a child into each jar that the keeper names, until the keeper is gone.
pub(crate) fn serve() -> Side {
    // Never closed here: in a child other descriptors have these numbers.
    let socket: &'static OwnedFd = Box::leak(Box::new(sys::adopt(SOCKET_FD)));
    let keeper = Control::new(match socket.try_clone() {
        Ok(socket) => socket,
        Err(_) => return Side::Template,
    });
    let Ok((Order::Keep(keep), _)) = keeper.receive() else { return Side::Template };
    let keep: &'static Keep = Box::leak(keep);
    let keeper: &'static Control = Box::leak(Box::new(keeper));
    let Ok(tid_address) = fork::tid_address() else { return Side::Template };
    while let Ok((order, fds)) = keeper.receive() {
        let Order::Fork(wanted) = order else { continue };
        match fork_into(fds, tid_address) {
            Ok(Forked::Parent(child)) => {
                best_effort(send_with(keeper.as_fd(), &reply(wanted.serial, child), &[]));
            }
            Ok(Forked::Child(namespaces, belongings)) => {
                become_child(keep, wanted.identity, namespaces, belongings);
                return Side::Child { hurry: wanted.hurry };
            }
            Err(_) => best_effort(send_with(keeper.as_fd(), &reply(wanted.serial, 0), &[])),
        }
    }
    Side::Template
}

enum Forked {
    Parent(i32),
    /// The namespaces of its jar, and what is its own there.
    Child(Vec<OwnedFd>, Belongings),
}

fn fork_into(fds: Vec<OwnedFd>, tid_address: u64) -> Result<Forked, Failure> {
    let mut fds = fds.into_iter();
    let namespaces: Vec<_> = fds.by_ref().take(NAMESPACES.len()).collect();
    let belongings = Belongings::unpack(fds.collect(), None)?;
    // For children alone: this process stays where it is.
    let pids = namespaces.first().ok_or_else(|| Failure::because("fork", "no jar was named"))?;
    setns(pids, CloneFlags::CLONE_NEWPID).map_err(doing("enter a pid namespace"))?;
    Ok(match fork::fork_sibling(tid_address).map_err(doing("fork"))? {
        Fork::Parent(child) => Forked::Parent(child.as_raw()),
        Fork::Child => Forked::Child(namespaces, belongings),
    })
}

/// Never returns unconfined.
#[expect(clippy::exit, reason = "a child that is not confined must not come to run anything")]
fn become_child(keep: &Keep, identity: Identity, namespaces: Vec<OwnedFd>, belongings: Belongings) {
    if let Ok(voice) = belongings.channel.try_clone() {
        match confine(&keep.jar, identity, namespaces, &voice, belongings) {
            Ok(()) => return,
            Err(refusal) => best_effort(voice.send(&Report::Refused(refusal))),
        }
    }
    std::process::exit(crate::FAILED.into());
}

fn confine(
    jar: &Jar,
    identity: Identity,
    namespaces: Vec<OwnedFd>,
    voice: &Control,
    mut belongings: Belongings,
) -> Result<(), Refusal> {
    let mut clock = Stopwatch::default();
    let proc = sys::adopt(PROC_FD);
    clock.raise(Layer::Descriptors, || {
        let kept: Vec<_> = namespaces.iter().chain([&proc, voice.as_fd()]).collect();
        belongings.keep_only(&kept)
    })?;
    clock.raise(Layer::Namespaces, || {
        belongings.join_groups()?;
        for (namespace, (_, kind)) in namespaces.iter().zip(NAMESPACES).skip(1) {
            setns(namespace, kind).map_err(doing("enter the jar"))?;
        }
        Ok(())
    })?;
    drop(namespaces);
    belongings.place_streams()?;
    let ground = clock.raise(Layer::Rootfs, || rootfs::Ground::here(proc, None))?;
    clock.raise(Layer::Privileges, || privileges::renounce_in_lot(identity, &ground))?;
    let Belongings { channel, line, tether, .. } = belongings;
    confine::payload(jar, ground, &tether, &mut clock)?;
    drop(tether);
    verify::hold(jar, identity, PARENT_OUTSIDE)?;
    channel.send(&Report::Confined(clock.confinement()))?;
    drop(channel);
    payload::place_nothing()?;
    payload::place(line.as_fd(), LINE_FD, "the line")?;
    drop(line);
    reseed().map_err(|error: io::Error| doing("reseed the C library")(error).of(Layer::Seccomp))
}

fn reseed() -> io::Result<()> {
    let mut seed = [0; 8];
    io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut seed)?;
    fork::reseed_libc(u64::from_ne_bytes(seed));
    Ok(())
}

/// Waits for the task of this process, does what comes before its code, and returns what its
/// interpreter has to know: arguments, environment and the descriptor of the secrets.
pub(crate) fn await_task() -> Option<Vec<u8>> {
    let line: &'static Control = Box::leak(Box::new(Control::new(sys::adopt(LINE_FD))));
    let (task, luggage) = line.await_task().ok()??;
    payload::furnish(&task, &luggage, None).ok()?;
    if let Some(stdin) = &luggage.stdin {
        payload::place(stdin, libc::STDIN_FILENO, "standard input").ok()?;
    }
    let secrets = payload::secrets_pipe(&task.secrets, Delivery::Descriptor).ok()?;
    let secrets = secrets.map_or(-1, IntoRawFd::into_raw_fd);
    Some(record(&task, secrets))
}

/// Counts and lengths as little-endian `u32`, each string after its length: the arguments, the
/// environment by name and value; then, to be found from the end, the source of the script before
/// its length, and the descriptor of the secrets.
fn record(task: &Task, secrets: i32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend_from_slice(&count(text.len()));
        bytes.extend_from_slice(text.as_bytes());
    };
    bytes.extend_from_slice(&count(task.argv.len()));
    task.argv.iter().for_each(|argument| text(&mut bytes, argument));
    bytes.extend_from_slice(&count(task.env.len()));
    for (name, value) in &task.env {
        text(&mut bytes, name);
        text(&mut bytes, value);
    }
    let source = source_of(task);
    bytes.extend_from_slice(source);
    bytes.extend_from_slice(&count(source.len()));
    bytes.extend_from_slice(&secrets.to_le_bytes());
    bytes
}

/// The first file to run, if it came with the task itself: it need not be read again.
fn source_of(task: &Task) -> &[u8] {
    let Contents::Inline(contents) = &task.files.contents else { return &[] };
    let mut rest = contents.as_slice();
    for entry in &task.files.entries {
        let length = usize::try_from(entry.bytes).unwrap_or(usize::MAX);
        let (bytes, after) = rest.split_at(length.min(rest.len()));
        if task.argv.first() == Some(&entry.path) {
            return bytes;
        }
        rest = after;
    }
    &[]
}

fn reply(serial: u64, child: i32) -> Vec<u8> {
    [&[FORKED], serial.to_le_bytes().as_slice(), &child.to_le_bytes()].concat()
}
