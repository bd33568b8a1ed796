//! Limits as options.

use std::time::Duration;

use belljar::{Limits, OnOutputLimit};
use clap::Parser;

use super::words;
use crate::json::{LimitsRow, millis};

/// What a run may use. Also read from the attack corpus, whose rows name their limits.
#[derive(Debug, Default, Parser)]
#[command(no_binary_name = true)]
#[group(id = "limits", multiple = true)]
pub(super) struct LimitOptions {
    /// Memory of all processes together [default: 256M]
    #[arg(long, allow_negative_numbers = true, value_name = "SIZE", value_parser = words::size)]
    memory: Option<u64>,
    /// Processor time of all processes together [default: 60s]
    #[arg(long, allow_negative_numbers = true, value_name = "TIME", value_parser = words::time)]
    cpu: Option<Duration>,
    /// Elapsed time [default: 60s]
    #[arg(long, allow_negative_numbers = true, value_name = "TIME", value_parser = words::time)]
    wall: Option<Duration>,
    /// Open descriptors of a process [default: 256]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    fds: Option<u32>,
    /// Captured standard output [default: 1M]
    #[arg(long, allow_negative_numbers = true, value_name = "SIZE", value_parser = words::size)]
    stdout_limit: Option<u64>,
    /// Captured standard error [default: 1M]
    #[arg(long, allow_negative_numbers = true, value_name = "SIZE", value_parser = words::size)]
    stderr_limit: Option<u64>,
    /// What happens beyond: truncate or kill [default: truncate]
    #[arg(long, allow_negative_numbers = true, value_name = "ACTION", value_parser = words::on_output_limit)]
    on_output_limit: Option<OnOutputLimit>,
    /// Processes and threads [default: 64]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    processes: Option<u32>,
    /// Bytes of all files written, which also count as memory [default: 64M]
    #[arg(long, allow_negative_numbers = true, value_name = "SIZE", value_parser = words::size)]
    disk: Option<u64>,
    /// Files and directories written [default: 16384]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    inodes: Option<u64>,
    /// Bytes of one written file [default: 64M]
    #[arg(long, allow_negative_numbers = true, value_name = "SIZE", value_parser = words::size)]
    file_size: Option<u64>,
    /// Files collected [default: 64]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    artifacts: Option<u32>,
    /// Bytes of all files collected [default: 16M]
    #[arg(long, allow_negative_numbers = true, value_name = "SIZE", value_parser = words::size)]
    artifact_bytes: Option<u64>,
    /// Connections to granted places at one time [default: 64]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    connections: Option<u32>,
    /// Bytes to and from granted places together [default: 256M]
    #[arg(long, allow_negative_numbers = true, value_name = "SIZE", value_parser = words::size)]
    network_bytes: Option<u64>,
    /// The same in each second [default: 128M]
    #[arg(long, allow_negative_numbers = true, value_name = "SIZE", value_parser = words::size)]
    network_rate: Option<u64>,
}

impl LimitOptions {
    /// What was asked for, and nothing else.
    pub(super) fn named(&self) -> LimitsRow {
        LimitsRow {
            memory_bytes: self.memory,
            cpu_ms: self.cpu.map(millis),
            wall_ms: self.wall.map(millis),
            descriptors: self.fds,
            stdout_bytes: self.stdout_limit,
            stderr_bytes: self.stderr_limit,
            on_output_limit: self.on_output_limit.map(Into::into),
            processes: self.processes,
            disk_bytes: self.disk,
            inodes: self.inodes,
            file_bytes: self.file_size,
            artifacts: self.artifacts,
            artifact_bytes: self.artifact_bytes,
            connections: self.connections,
            network_bytes: self.network_bytes,
            network_bytes_per_s: self.network_rate,
        }
    }

    /// The defaults with what was asked for.
    pub(super) fn limits(&self) -> Limits {
        self.named().over(&Limits::strict())
    }
}
