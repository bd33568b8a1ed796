use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::Error;

pub(super) const MAGIC: &[u8] = b"\x7fELF";

/// An executable of this architecture.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Executable {
    pub(super) path: PathBuf,
    pub(super) name: String,
    /// The dynamic loader it asks for (`PT_INTERP`).
    pub(super) loader: Option<String>,
}

/// `e_machine`, from elf.h.
const MACHINE: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
const LOADER_SEGMENT: u32 = 3;
/// An ELF header is 64 bytes, one entry of its program header table 56.
const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: u16 = 56;
const MOST_SEGMENTS: u16 = 128;
const LOADER_BYTES: u64 = 4096;

impl Executable {
    /// Looks at a file of the host; a refusal is one line.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let shown = path.display();
        let invalid = |reason: &dyn std::fmt::Display| Error::Invalid(format!("{shown}: {reason}"));
        let real = path.canonicalize().map_err(|error| invalid(&error))?;
        let file = File::open(&real).map_err(|error| invalid(&error))?;
        let metadata = file.metadata().map_err(|error| invalid(&error))?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("program").to_owned();
        if !metadata.is_file() {
            return Err(invalid(&"not a file"));
        }
        let loader = loader(&file).map_err(|reason| {
            Error::Invalid(format!("{shown} is not an ELF executable: {reason}"))
        })?;
        let needed = if geteuid().is_root() { 0o001 } else { 0o111 };
        if metadata.mode() & needed == 0 {
            return Err(invalid(&"a payload may not execute it; chmod +x"));
        }
        if let Some(missing) = loader.as_ref().filter(|loader| !Path::new(loader).exists()) {
            return Err(invalid(&format!("it needs {missing}, which is not on this host")));
        }
        Ok(Self { path: real, name, loader })
    }
}

fn loader(file: &File) -> Result<Option<String>, String> {
    let mut header = [0; HEADER_BYTES];
    file.read_exact_at(&mut header, 0).map_err(|_| "too short".to_owned())?;
    let half = |at| field(&header, at).map(u16::from_le_bytes);
    if !header.starts_with(MAGIC) {
        return Err("no ELF header".to_owned());
    }
    // 64 bits, least significant byte first; a program or a position-independent one.
    if header.get(4..6) != Some(&[2, 1]) || half(18) != Some(MACHINE) {
        return Err(format!("not for {}", std::env::consts::ARCH));
    }
    if !matches!(half(16), Some(2 | 3)) {
        return Err("an object file".to_owned());
    }
    let table = field(&header, 32).map(u64::from_le_bytes).unwrap_or_default();
    let size = half(54).unwrap_or_default();
    let count = half(56).unwrap_or_default();
    if size != SEGMENT_BYTES || count > MOST_SEGMENTS {
        return Err("a damaged header".to_owned());
    }
    for index in 0..u64::from(count) {
        let mut segment = [0; SEGMENT_BYTES as usize];
        let at = table.saturating_add(index * u64::from(SEGMENT_BYTES));
        file.read_exact_at(&mut segment, at).map_err(|_| "a damaged header".to_owned())?;
        if field(&segment, 0).map(u32::from_le_bytes) == Some(LOADER_SEGMENT) {
            return read_loader(file, &segment).map(Some);
        }
    }
    Ok(None)
}

fn read_loader(file: &File, segment: &[u8]) -> Result<String, String> {
    let damaged = || "a damaged loader path".to_owned();
    let at = field(segment, 8).map(u64::from_le_bytes).ok_or_else(damaged)?;
    let length = field(segment, 32).map(u64::from_le_bytes).filter(|n| *n <= LOADER_BYTES);
    let mut path = vec![0; length.and_then(|n| usize::try_from(n).ok()).ok_or_else(damaged)?];
    file.read_exact_at(&mut path, at).map_err(|_| damaged())?;
    let text = path.strip_suffix(b"\0").unwrap_or(&path);
    let text = std::str::from_utf8(text).map_err(|_| damaged())?;
    if super::root::is_plain(text) { Ok(text.to_owned()) } else { Err(damaged()) }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}
