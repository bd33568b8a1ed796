//! The only unsafe code of the worker: one kernel call per function, each with a safe signature.
//!
//! nix has no clone3, `close_range`, capset, bounding set, new mount API, seccomp listener or packet
//! sockets, and its fork is unsafe. Everything else in the worker goes through nix.

#![expect(unsafe_code, reason = "these are the calls that no safe library offers")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc::{self, c_int, c_long, c_uint, c_ulong};
use nix::unistd::Pid;

mod network;

pub(crate) use network::{
    bind_to_interface, filter_packets, ignore_outgoing, raise_interface, set_address, set_netmask,
};

/// Which side of a fork this is.
pub(crate) enum Fork {
    Parent(Pid),
    Child,
}

/// fork(2).
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: the worker has a single thread, so no lock can be held by one that is not copied.
    let pid = unsafe { libc::fork() };
    Ok(if check(c_long::from(pid))? == 0 { Fork::Child } else { Fork::Parent(Pid::from_raw(pid)) })
}

/// clone3(2) as a fork into new namespaces.
pub(crate) fn fork_into(namespaces: c_int) -> io::Result<Fork> {
    // SAFETY: all zeroes is a valid clone_args: no stack of its own, no pointer to write to.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = u64::from(namespaces.cast_unsigned());
    args.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    let size = size_of::<libc::clone_args>();
    // SAFETY: without CLONE_VM the child runs on a copy of this stack, and there is one thread.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size) })?;
    Ok(match i32::try_from(pid) {
        Ok(0) | Err(_) => Fork::Child,
        Ok(pid) => Fork::Parent(Pid::from_raw(pid)),
    })
}

/// Takes over a descriptor that arrived in a message.
pub(crate) fn adopt(fd: c_int) -> OwnedFd {
    // SAFETY: the kernel has just installed it for this message, and nobody else knows of it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// `close_range(2)` up to the highest descriptor there is.
pub(crate) fn close_from(first: c_uint, flags: c_uint) -> io::Result<()> {
    // SAFETY: descriptors in the range are owned by nobody who would use or close them later;
    // the flag that only marks them close-on-exec invalidates nothing.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, c_uint::MAX, flags) }).map(drop)
}

/// `close_range(2)`, both ends included.
pub(crate) fn close_between(first: c_uint, last: c_uint) -> io::Result<()> {
    // SAFETY: called in a fresh child for what its parent owns there; nobody here uses it.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Lets go of the standard streams: whoever holds a copy of a pipe keeps it from ending.
pub(crate) fn close_streams() {
    for stream in libc::STDIN_FILENO..=libc::STDERR_FILENO {
        // SAFETY: nothing in this process reads or writes the standard streams any more.
        unsafe { libc::close(stream) };
    }
}

/// A process, as a descriptor that turns readable when it ends (`pidfd_open(2)`).
pub(crate) fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    Ok(own(fd))
}

/// `open_tree(2)`: a detached, recursive copy of the mounts at `path`.
pub(crate) fn clone_tree(path: &CStr) -> io::Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE
        | libc::OPEN_TREE_CLOEXEC
        | c_uint::try_from(libc::AT_RECURSIVE).unwrap_or_default();
    // SAFETY: the path is a valid C string for the duration of the call.
    let fd =
        check(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })?;
    Ok(own(fd))
}

/// `mount_setattr(2)` on the mounts of `tree`, down to the last submount when `recursive`.
pub(crate) fn restrict_tree(tree: BorrowedFd<'_>, set: u64, recursive: bool) -> io::Result<()> {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string and the attributes live until the call returns.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

/// `move_mount(2)`: attaches a detached tree at `target`.
pub(crate) fn attach_tree(tree: BorrowedFd<'_>, target: &CStr) -> io::Result<()> {
    // SAFETY: both paths are valid C strings for the duration of the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// prctl(2) with integer arguments only.
pub(crate) fn prctl(option: c_int, argument: c_ulong) -> io::Result<c_int> {
    let zero: c_ulong = 0;
    // SAFETY: no option used here takes a pointer.
    let result = unsafe { libc::prctl(option, argument, zero, zero, zero) };
    check(c_long::from(result)).map(|_| result)
}

/// Gives up every capability set that capset(2) reaches.
pub(crate) fn clear_capabilities() -> io::Result<()> {
    let header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let none = [CapabilitySets::default(); 2];
    // SAFETY: version 3 takes two sets, and both structures outlive the call.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) }).map(drop)
}

/// Whether any capability is left, as capget(2) tells.
pub(crate) fn has_capabilities() -> io::Result<bool> {
    let header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut sets = [CapabilitySets::default(); 2];
    // SAFETY: version 3 writes two sets, and both structures outlive the call.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, sets.as_mut_ptr()) })?;
    Ok(sets.iter().any(|set| set.effective | set.permitted | set.inheritable != 0))
}

/// Leaves the session keyring of the caller for an empty one (`keyctl(2)`).
pub(crate) fn join_new_session_keyring() -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: c_int = 1;
    let anonymous: *const libc::c_char = ptr::null();
    // SAFETY: a null name asks for an anonymous keyring.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, anonymous) })
        .map(drop)
}

/// Every signal back to its default action, none blocked. Asks the kernel, as the C library keeps
/// two signals to itself.
pub(crate) fn reset_signals() {
    const SIGNAL_SET_BYTES: usize = 8;
    let by_default = [0_u64; 4];
    for signal in 1..=libc::SIGRTMAX() {
        let (action, old): (_, *mut u64) = (by_default.as_ptr(), ptr::null_mut());
        // SAFETY: all zeroes is the default action in the kernel's structure, which is no larger
        // than this; SIGKILL and SIGSTOP merely refuse.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action, old, SIGNAL_SET_BYTES) };
    }
    // SAFETY: an all-zero signal set is the empty one on Linux.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set outlives the call and the old mask is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) };
}

/// The Landlock ABI of the running kernel, or 0 (`landlock_create_ruleset(2)`).
pub(crate) fn landlock_abi() -> i32 {
    let no_rules: *const libc::c_void = ptr::null();
    // SAFETY: with the version flag the kernel reads neither pointer nor size.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, no_rules, 0, 1) };
    i32::try_from(abi).unwrap_or_default().max(0)
}

/// Installs a filter for good and returns its listener (seccomp(2)).
pub(crate) fn install_filter(program: &[libc::sock_filter]) -> io::Result<OwnedFd> {
    let flags =
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the program, whose length is right, and never writes to it.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    })?;
    Ok(own(fd))
}

/// The next refused call, from a listener that is readable (`seccomp_unotify(2)`).
pub(crate) fn next_notification(listener: &OwnedFd) -> io::Result<libc::seccomp_notif> {
    // SAFETY: all zeroes is what the kernel demands of the structure it fills.
    let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the request names exactly this structure, which outlives the call.
    let result = unsafe {
        libc::ioctl(listener.as_raw_fd(), SECCOMP_IOCTL_NOTIF_RECV, &raw mut notification)
    };
    check(c_long::from(result)).map(|_| notification)
}

/// Answers a refused call with an errno. Never lets one continue: the kernel would read its
/// arguments again, after the payload changed them.
pub(crate) fn answer_notification(listener: &OwnedFd, id: u64, errno: i32) -> io::Result<()> {
    let mut answer = libc::seccomp_notif_resp { id, val: 0, error: -errno, flags: 0 };
    // SAFETY: the request names exactly this structure, which outlives the call.
    let result =
        unsafe { libc::ioctl(listener.as_raw_fd(), SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
    check(c_long::from(result)).map(drop)
}

/// What a reaped tree used (getrusage(2) of the children).
pub(crate) fn children_usage() -> (u64, u64) {
    // SAFETY: all zeroes is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the structure outlives the call.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    usage_of(&usage)
}

/// A child that ended.
pub(crate) struct Reaped {
    pub(crate) pid: Pid,
    /// As wait(2) tells it.
    pub(crate) status: c_int,
    /// Microseconds of processor time, and the largest resident set in bytes.
    pub(crate) usage: (u64, u64),
}

/// wait4(2) for any child that ended, without waiting: its raw status and what it used, with the
/// children that it waited for.
pub(crate) fn wait_any_with_usage() -> nix::Result<Option<Reaped>> {
    let mut status = 0;
    // SAFETY: all zeroes is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: status and usage outlive the call.
    let pid = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut usage) };
    Errno::result(pid).map(|pid| {
        (pid > 0).then(|| Reaped { pid: Pid::from_raw(pid), status, usage: usage_of(&usage) })
    })
}

fn usage_of(usage: &libc::rusage) -> (u64, u64) {
    let micros = |time: libc::timeval| {
        u64::try_from(time.tv_sec * 1_000_000 + time.tv_usec).unwrap_or_default()
    };
    let resident_kib = u64::try_from(usage.ru_maxrss).unwrap_or_default();
    (micros(usage.ru_utime) + micros(usage.ru_stime), resident_kib * 1024)
}

/// waitpid(2) for any child that ended, with its raw status: nix knows none of real-time signals.
pub(crate) fn wait_any(flags: c_int) -> nix::Result<Option<(Pid, c_int)>> {
    let mut status = 0;
    // SAFETY: the status outlives the call.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, flags) };
    Errno::result(pid).map(|pid| (pid > 0).then(|| (Pid::from_raw(pid), status)))
}

/// The default scheduling policy in place of a real-time one that a supervisor was started with:
/// the payload's rlimits would end it at once.
pub(crate) fn leave_real_time() -> io::Result<()> {
    // SAFETY: takes an integer. Not through the C library: musl's has no such call.
    let policy = check(unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) })?;
    if [libc::SCHED_OTHER, libc::SCHED_BATCH, libc::SCHED_IDLE].map(c_long::from).contains(&policy)
    {
        return Ok(());
    }
    let (policy, priority): (_, c_int) = (libc::SCHED_OTHER, 0);
    // SAFETY: the one parameter outlives the call.
    check(unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) })
        .map(drop)
}

/// execve(2); returns only the reason why it failed.
pub(crate) fn exec(program: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| {
        strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect::<Vec<_>>()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end in null and point to C strings that outlive the call.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Puts a descriptor at a fixed number for the program to come.
pub(crate) fn place(fd: impl AsFd, number: c_int) -> io::Result<()> {
    let fd = fd.as_fd();
    if fd.as_raw_fd() == number {
        // dup2(2) would do nothing, and leave it close-on-exec.
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
        return Ok(());
    }
    // SAFETY: the numbers placed at are the standard streams and the secrets' pipe; nothing in
    // this process owns them when it is about to exec.
    check(c_long::from(unsafe { libc::dup2(fd.as_raw_fd(), number) })).map(drop)
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
const SECCOMP_IOCTL_NOTIF_RECV: libc::Ioctl = 0xc050_2100_u32 as libc::Ioctl;
const SECCOMP_IOCTL_NOTIF_SEND: libc::Ioctl = 0xc018_2101_u32 as libc::Ioctl;

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilitySets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn check(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn own(fd: c_long) -> OwnedFd {
    adopt(c_int::try_from(fd).unwrap_or(-1))
}
