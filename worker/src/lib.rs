//! The library that a template loads, so that its children raise the very walls that every other
//! payload has: the worker's own code, which nothing but an interpreter of ours calls.

#![expect(dead_code, reason = "what only the program needs: warden, init and keeper")]

mod confine;
mod control;
mod denials;
mod descendants;
mod files;
mod init;
mod kept;
mod layers;
mod network;
mod payload;
mod stopwatch;
mod sys;
mod template;
mod verify;
#[cfg(feature = "walls-down")]
mod walls;
mod warden;

/// `EX_SOFTWARE` of sysexits.h: a worker that never became a payload.
const FAILED: u8 = 70;

pub use exports::{belljar_await_task, belljar_template_serve};

mod exports {
    #![expect(unsafe_code, reason = "a C interface: names that the linker must not change")]

    use crate::template::{self, Side};

    /// Serves the keeper. Returns 0 in a confined child, 2 in one that somebody waits for, and 1 in
    /// the template when it is over.
    #[unsafe(no_mangle)]
    pub extern "C" fn belljar_template_serve() -> i32 {
        match template::serve() {
            Side::Child { hurry: false } => 0,
            Side::Child { hurry: true } => 2,
            Side::Template => 1,
        }
    }

    /// The record of this process's one task, and through `length` its size; null when there will
    /// be none. It stays for as long as the process does.
    ///
    /// # Safety
    /// `length` must point to memory for a `size_t`.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn belljar_await_task(length: *mut usize) -> *const u8 {
        let Some(record) = template::await_task() else { return std::ptr::null() };
        let record: &'static [u8] = Vec::leak(record);
        // SAFETY: the caller vouches for the pointer.
        unsafe { *length = record.len() };
        record.as_ptr()
    }
}
