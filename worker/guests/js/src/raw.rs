//! The only unsafe code of this program.

use std::{
    env,
    ffi::OsStr,
    fs::File,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

use rquickjs::TypedArray;

/// Takes over the descriptor whose number stands in the environment variable `name`, and removes
/// the variable: the number means nothing once the descriptor is read and closed.
#[expect(unsafe_code, reason = "a number in the environment is all that is handed over")]
pub(crate) fn take_descriptor(name: &str) -> Result<Option<File>, String> {
    let Some(value) = env::var_os(name) else { return Ok(None) };
    let number: Option<RawFd> = value.to_str().and_then(|text| text.parse().ok());
    let number = number
        .filter(|number| *number > 2)
        .ok_or_else(|| format!("{name} is not the number of a descriptor: {}", value.display()))?;
    // SAFETY: called before anything else, by the only thread: nobody reads the environment now.
    unsafe { env::remove_var(name) };
    // SAFETY: whoever set the variable gave this descriptor away, and nothing was opened before.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    Ok(Some(File::from(descriptor)))
}

/// Takes over descriptor 3, on which whoever starts this program with `--primed` put the line.
#[expect(unsafe_code, reason = "a convention is all that is handed over")]
pub(crate) fn take_line() -> File {
    // SAFETY: the caller gave this descriptor away; if it did not, reading it fails.
    let line = unsafe { OwnedFd::from_raw_fd(3) };
    File::from(line)
}

/// Removes a variable from the environment.
#[expect(unsafe_code, reason = "the environment is shared with the C library")]
pub(crate) fn remove_variable(name: &OsStr) {
    // SAFETY: this program has one thread, and keeps no pointer into the environment.
    unsafe { env::remove_var(name) };
}

/// Sets a variable of the environment; the name is neither empty nor has it a `=`.
#[expect(unsafe_code, reason = "the environment is shared with the C library")]
pub(crate) fn set_variable(name: &str, value: &str) {
    // SAFETY: this program has one thread, and keeps no pointer into the environment.
    unsafe { env::set_var(name, value) };
}

/// A copy of the bytes behind a `Uint8Array`; a detached one is empty, as it is to a script.
#[expect(unsafe_code, reason = "the engine shares its memory by pointer only")]
pub(crate) fn copy_bytes(array: &TypedArray<'_, u8>) -> Vec<u8> {
    // SAFETY: copied at once; no script runs while the slice is alive.
    unsafe { array.as_bytes() }.unwrap_or_default().to_vec()
}
