//! Where the buffers of sockets are counted.

use std::io;

use super::Jar;
use super::files::{confirm, write};
use crate::Limits;
use crate::receipt::Buffers;

/// Where version 1 counts them, those of UDP like those of TCP.
pub(super) const SOCKETS_APART: &str = "memory.kmem.tcp.limit_in_bytes";
/// They have this part of the memory of a run with a network.
const SOCKETS_PART: u64 = 8;

impl Jar {
    /// Where the kernel counts them apart from everything else, gives them a part of the memory, so
    /// that both together stay within the limit. Before anything is in the jar.
    pub(crate) fn set_aside_for_sockets(&self, limits: &Limits) -> io::Result<()> {
        if self.socket_buffers() != Buffers::SetAside {
            return Ok(());
        }
        let memory = &self.groups.places.memory.directory;
        let sockets = limits.memory_bytes / SOCKETS_PART;
        let rest = limits.memory_bytes - sockets;
        // Memory and swap together may not be limited below memory, hence the order.
        let files = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"];
        let files = files.map(|file| (file, rest)).into_iter().chain([(SOCKETS_APART, sockets)]);
        for (file, most) in files.filter(|(file, _)| memory.join(file).exists()) {
            write(memory, file, &most.to_string())?;
            confirm(memory, file, most)?;
        }
        Ok(())
    }

    /// Who counts them.
    pub(crate) fn socket_buffers(&self) -> Buffers {
        let apart = self.groups.places.memory.directory.join(SOCKETS_APART);
        match (self.groups.v2, apart.exists()) {
            (true, _) => Buffers::Counted,
            (false, true) => Buffers::SetAside,
            (false, false) => Buffers::Uncounted,
        }
    }
}
