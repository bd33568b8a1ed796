use std::time::Duration;

use crate::Error;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
/// Below these the worker itself does not fit.
const LEAST_MEMORY_BYTES: u64 = 4 * MIB;
const LEAST_DESCRIPTORS: u64 = 12;
const LEAST_INODES: u64 = 16;

/// What one run may use.
///
/// No `Default`: the caller knows the workload. [`Limits::strict`] is a named choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of the whole tree, with its files, as the kernel charges it.
    pub memory_bytes: u64,
    /// Processor time of the whole tree, reaped children included.
    pub cpu: Duration,
    /// Time from the start of the payload to its end.
    pub wall: Duration,
    /// Open descriptors of each process.
    pub descriptors: u32,
    /// Captured bytes of standard output.
    pub stdout_bytes: u64,
    /// Captured bytes of standard error.
    pub stderr_bytes: u64,
    /// What happens to a payload that writes more than is captured.
    pub on_output_limit: OnOutputLimit,
    /// Processes and threads of the tree.
    pub processes: u32,
    /// Bytes under `/work`, `/tmp` and `/dev/shm` together.
    pub disk_bytes: u64,
    /// Files and directories there.
    pub inodes: u64,
    /// Bytes of one written file.
    pub file_bytes: u64,
    /// Collected artifacts.
    pub artifacts: u32,
    /// Bytes of all collected artifacts together.
    pub artifact_bytes: u64,
    /// Connections through the gate at one time.
    pub connections: u32,
    /// Bytes through the gate, both ways together.
    pub network_bytes: u64,
    /// The same in one second, on average.
    pub network_bytes_per_s: u64,
}

/// What happens to a payload that writes more than is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOutputLimit {
    /// The rest is read, counted and dropped; the payload goes on.
    Truncate,
    /// The run ends with [`crate::Verdict::OutputLimit`].
    Kill,
}

/// Bounds on what is sent along with a run.
pub(crate) mod request {
    use super::{KIB, MIB};

    /// Code of a snippet, or all source files together.
    pub(crate) const SOURCE_BYTES: u64 = MIB;
    /// Input files that are not source, together.
    pub(crate) const FILES_BYTES: u64 = 64 * MIB;
    pub(crate) const STDIN_BYTES: u64 = 16 * MIB;
    pub(crate) const SECRETS_BYTES: u64 = 64 * KIB;
    /// argv and environment, each.
    pub(crate) const ARGV_BYTES: u64 = 64 * KIB;
}

impl Limits {
    /// The defaults: enough for a data-analysis script, too little to hurt a host.
    pub fn strict() -> Self {
        Self {
            memory_bytes: 256 * MIB,
            cpu: Duration::from_mins(1),
            wall: Duration::from_mins(1),
            descriptors: 256,
            stdout_bytes: MIB,
            stderr_bytes: MIB,
            on_output_limit: OnOutputLimit::Truncate,
            processes: 64,
            disk_bytes: 64 * MIB,
            inodes: 16_384,
            file_bytes: 64 * MIB,
            artifacts: 64,
            artifact_bytes: 16 * MIB,
            connections: 64,
            network_bytes: 256 * MIB,
            network_bytes_per_s: 128 * MIB,
        }
    }

    /// The most that a request may ask for unless the operator says otherwise.
    pub fn ceiling() -> Self {
        let day = Duration::from_hours(24);
        Self {
            memory_bytes: 64 * KIB * MIB,
            cpu: day,
            wall: day,
            descriptors: 65_536,
            stdout_bytes: 64 * MIB,
            stderr_bytes: 64 * MIB,
            on_output_limit: OnOutputLimit::Truncate,
            processes: 4096,
            disk_bytes: 16 * KIB * MIB,
            inodes: 4 * MIB,
            file_bytes: 16 * KIB * MIB,
            artifacts: 4096,
            artifact_bytes: 256 * MIB,
            connections: 512,
            network_bytes: KIB * KIB * MIB,
            network_bytes_per_s: 64 * KIB * MIB,
        }
    }

    /// Whether a jar that was raised with these can be used with `others`: they differ only in what
    /// the supervisor enforces from outside.
    pub fn share_a_jar(&self, others: &Self) -> bool {
        let Self { wall, stdout_bytes, stderr_bytes, on_output_limit, .. } = *self;
        let Self { artifacts, artifact_bytes, connections, .. } = *self;
        let Self { network_bytes, network_bytes_per_s, .. } = *self;
        *self
            == Self {
                wall,
                stdout_bytes,
                stderr_bytes,
                on_output_limit,
                artifacts,
                artifact_bytes,
                connections,
                network_bytes,
                network_bytes_per_s,
                ..others.clone()
            }
    }

    /// Whether a run may have these.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first limit that is zero or above `ceiling`.
    pub fn check(&self, ceiling: &Self) -> Result<(), Error> {
        for ((name, value), (_, most)) in self.rows().into_iter().zip(ceiling.rows()) {
            // Nothing to capture and nothing to collect are sensible wishes.
            let least = match name {
                "memory_bytes" => LEAST_MEMORY_BYTES,
                "descriptors" => LEAST_DESCRIPTORS,
                "inodes" => LEAST_INODES,
                "stdout_bytes" | "stderr_bytes" | "artifacts" | "artifact_bytes" => 0,
                _ => 1,
            };
            if value < least || value > most {
                return Err(Error::Invalid(format!(
                    "limit {name} is {value}, which is not between {least} and {most}"
                )));
            }
        }
        Ok(())
    }

    /// Every limit under the name it has in JSON, times in milliseconds.
    pub fn rows(&self) -> [(&'static str, u64); 15] {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        [
            ("memory_bytes", self.memory_bytes),
            ("cpu_ms", millis(self.cpu)),
            ("wall_ms", millis(self.wall)),
            ("descriptors", u64::from(self.descriptors)),
            ("stdout_bytes", self.stdout_bytes),
            ("stderr_bytes", self.stderr_bytes),
            ("processes", u64::from(self.processes)),
            ("disk_bytes", self.disk_bytes),
            ("inodes", self.inodes),
            ("file_bytes", self.file_bytes),
            ("artifacts", u64::from(self.artifacts)),
            ("artifact_bytes", self.artifact_bytes),
            ("connections", u64::from(self.connections)),
            ("network_bytes", self.network_bytes),
            ("network_bytes_per_s", self.network_bytes_per_s),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_above_the_ceiling_or_of_nothing_is_refused_by_name() {
        assert!(Limits::strict().check(&Limits::ceiling()).is_ok());
        let greedy = Limits { processes: 5000, ..Limits::strict() };
        let refusal = greedy.check(&Limits::ceiling()).unwrap_err().to_string();
        assert!(refusal.contains("processes"), "{refusal}");
        let nothing = Limits { wall: Duration::ZERO, ..Limits::strict() };
        assert!(nothing.check(&Limits::ceiling()).unwrap_err().to_string().contains("wall_ms"));
        let silent = Limits { stdout_bytes: 0, artifacts: 0, ..Limits::strict() };
        assert!(silent.check(&Limits::ceiling()).is_ok());
    }
}
