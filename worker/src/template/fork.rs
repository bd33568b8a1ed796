//! The calls that only a template makes, and that no safe library offers.

#![expect(unsafe_code, reason = "these are the calls that no safe library offers")]

use std::io;

use nix::errno::Errno;
use nix::libc::{self, c_long, c_ulong};
use nix::unistd::Pid;

use crate::sys::Fork;

/// A fork whose child is given to the parent of this process, as it will not wait for it.
///
/// `tid_address` is where the C library keeps the number of the calling thread, which its own fork
/// would set: raise(3) and recursive locks rely on it.
pub(super) fn fork_sibling(tid_address: u64) -> io::Result<Fork> {
    // SAFETY: all zeroes is a valid clone_args: no stack of its own, no pointer to write to.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    let flags = libc::CLONE_PARENT | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID;
    args.flags = u64::from(flags.cast_unsigned());
    args.child_tid = tid_address;
    let size = size_of::<libc::clone_args>();
    // SAFETY: without CLONE_VM the child runs on a copy of this stack, there is one thread, and
    // the kernel writes to the copy of a word that is there for that.
    let pid = Errno::result(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size) })?;
    Ok(match i32::try_from(pid) {
        Ok(0) | Err(_) => Fork::Child,
        Ok(pid) => Fork::Parent(Pid::from_raw(pid)),
    })
}

/// Where the C library keeps the number of this thread (`PR_GET_TID_ADDRESS` of prctl(2)).
pub(super) fn tid_address() -> io::Result<u64> {
    let mut address: u64 = 0;
    let zero: c_ulong = 0;
    let place = &raw mut address;
    // SAFETY: the option writes one pointer, whose place outlives the call.
    let result = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, place, zero, zero, zero) };
    Ok(Errno::result(result).map(|_| address)?)
}

/// Gives the C library's generators of random numbers a state of their own.
pub(super) fn reseed_libc(seed: u64) {
    let [low, high] = [seed, seed >> 32].map(|half| u32::try_from(half & 0xffff_ffff));
    // SAFETY: takes an integer; the process has one thread.
    unsafe { libc::srand(low.unwrap_or_default()) };
    // SAFETY: takes an integer; the process has one thread.
    unsafe { srand48(c_long::from(high.unwrap_or_default().cast_signed())) };
}

unsafe extern "C" {
    /// Of the C library; the crate libc does not name it.
    fn srand48(seed: c_long);
}
