//! The kernel by number: an attacker calls what no library offers. The only file with `unsafe`.

#![expect(unsafe_code, reason = "system calls, fork and mappings have no safe form")]

use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::ForkResult;

/// One argument of a system call: a number, or the address of a value that outlives the call.
#[derive(Clone, Copy)]
pub(crate) struct Word(i64);

impl From<i32> for Word {
    fn from(number: i32) -> Self {
        Self(number.into())
    }
}

impl From<u32> for Word {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

impl From<i64> for Word {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

impl From<u64> for Word {
    fn from(number: u64) -> Self {
        Self(number.cast_signed())
    }
}

impl From<usize> for Word {
    fn from(number: usize) -> Self {
        (number as u64).into()
    }
}

impl<T: ?Sized> From<&T> for Word {
    fn from(value: &T) -> Self {
        ptr::from_ref(value).cast::<u8>().expose_provenance().into()
    }
}

impl<T: ?Sized> From<&mut T> for Word {
    fn from(value: &mut T) -> Self {
        ptr::from_mut(value).cast::<u8>().expose_provenance().into()
    }
}

/// A system call by number; arguments may be numbers or references.
macro_rules! call {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        $crate::sys::system_call($number, &[$($crate::sys::Word::from($argument)),*])
    };
}
pub(crate) use call;

/// What the kernel answers to system call `number`. Arguments left out are zero.
///
/// The kernel writes only where an argument points, and [`Word`] makes pointers from references
/// alone: the callers below keep them alive, and pass `&mut` where the kernel writes.
pub(crate) fn system_call(number: libc::c_long, words: &[Word]) -> nix::Result<i64> {
    let word = |index| words.get(index).map_or(0, |word: &Word| word.0);
    // SAFETY: the kernel reads and writes only through the references behind the words.
    let answer =
        unsafe { libc::syscall(number, word(0), word(1), word(2), word(3), word(4), word(5)) };
    Errno::result(answer)
}

/// fork(2).
pub(crate) fn fork() -> nix::Result<ForkResult> {
    // SAFETY: nothing here forks while a second thread runs.
    unsafe { nix::unistd::fork() }
}

/// Ends this process without unwinding, flushing or handlers, as a forked child must.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: _exit(2) has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Sets a signal to its default action, or to none at all.
pub(crate) fn disposition(signal: i32, ignore: bool) {
    let action = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither action is a handler that could run code of ours.
    unsafe { libc::signal(signal, action) };
}

/// Fresh anonymous memory, never unmapped; `flags` are those of mmap(2) beside `MAP_ANONYMOUS`.
pub(crate) fn map(bytes: usize, flags: i32) -> nix::Result<&'static mut [u8]> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = flags | libc::MAP_ANONYMOUS;
    // SAFETY: without MAP_FIXED the kernel picks addresses that nothing else uses.
    let start = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    // SAFETY: the mapping is zeroed, readable, writable, `bytes` long, ours alone and never ends.
    Ok(unsafe { std::slice::from_raw_parts_mut(start.cast(), bytes) })
}

/// A call through the 32-bit gate, whose numbers a 64-bit filter would misread.
#[cfg(target_arch = "x86_64")]
pub(crate) fn int80(number: u32) -> nix::Result<i64> {
    let answer: u64;
    // SAFETY: the numbers used here take no pointers; the gate changes rax and r8 to r11 only.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") u64::from(number) => answer,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, options(nostack));
    }
    let answer = answer.cast_signed();
    let errno = i32::try_from(-answer).unwrap_or_default();
    if answer < 0 { Err(Errno::from_raw(errno)) } else { Ok(answer) }
}

/// This processor has no second system call gate.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn int80(_number: u32) -> nix::Result<i64> {
    Err(Errno::ENOSYS)
}
