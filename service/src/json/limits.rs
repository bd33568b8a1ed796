//! Limits in JSON: those that a request names, and all of an outcome.

use std::time::Duration;

use belljar::{Limits, OnOutputLimit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits by the names of the contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wall_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) descriptors: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stdout_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stderr_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) processes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disk_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inodes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifacts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connections: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) network_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) network_bytes_per_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) on_output_limit: Option<WhenFull>,
}

/// [`OnOutputLimit`] in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WhenFull {
    Truncate,
    Kill,
}

impl LimitsRow {
    /// `usual` with what is named here.
    pub(crate) fn over(&self, usual: &Limits) -> Limits {
        let time = |millis: Option<u64>, usual| millis.map_or(usual, Duration::from_millis);
        Limits {
            memory_bytes: self.memory_bytes.unwrap_or(usual.memory_bytes),
            cpu: time(self.cpu_ms, usual.cpu),
            wall: time(self.wall_ms, usual.wall),
            descriptors: self.descriptors.unwrap_or(usual.descriptors),
            stdout_bytes: self.stdout_bytes.unwrap_or(usual.stdout_bytes),
            stderr_bytes: self.stderr_bytes.unwrap_or(usual.stderr_bytes),
            on_output_limit: self.on_output_limit.map_or(usual.on_output_limit, Into::into),
            processes: self.processes.unwrap_or(usual.processes),
            disk_bytes: self.disk_bytes.unwrap_or(usual.disk_bytes),
            inodes: self.inodes.unwrap_or(usual.inodes),
            file_bytes: self.file_bytes.unwrap_or(usual.file_bytes),
            artifacts: self.artifacts.unwrap_or(usual.artifacts),
            artifact_bytes: self.artifact_bytes.unwrap_or(usual.artifact_bytes),
            connections: self.connections.unwrap_or(usual.connections),
            network_bytes: self.network_bytes.unwrap_or(usual.network_bytes),
            network_bytes_per_s: self.network_bytes_per_s.unwrap_or(usual.network_bytes_per_s),
        }
    }
}

impl From<&Limits> for LimitsRow {
    fn from(limits: &Limits) -> Self {
        Self {
            memory_bytes: Some(limits.memory_bytes),
            cpu_ms: Some(millis(limits.cpu)),
            wall_ms: Some(millis(limits.wall)),
            descriptors: Some(limits.descriptors),
            stdout_bytes: Some(limits.stdout_bytes),
            stderr_bytes: Some(limits.stderr_bytes),
            on_output_limit: Some(limits.on_output_limit.into()),
            processes: Some(limits.processes),
            disk_bytes: Some(limits.disk_bytes),
            inodes: Some(limits.inodes),
            file_bytes: Some(limits.file_bytes),
            artifacts: Some(limits.artifacts),
            artifact_bytes: Some(limits.artifact_bytes),
            connections: Some(limits.connections),
            network_bytes: Some(limits.network_bytes),
            network_bytes_per_s: Some(limits.network_bytes_per_s),
        }
    }
}

impl From<OnOutputLimit> for WhenFull {
    fn from(choice: OnOutputLimit) -> Self {
        match choice {
            OnOutputLimit::Truncate => Self::Truncate,
            OnOutputLimit::Kill => Self::Kill,
        }
    }
}

impl From<WhenFull> for OnOutputLimit {
    fn from(choice: WhenFull) -> Self {
        match choice {
            WhenFull::Truncate => Self::Truncate,
            WhenFull::Kill => Self::Kill,
        }
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_of_the_library_travels_under_its_name() {
        let limits = Limits::strict();
        let json = serde_json::to_value(LimitsRow::from(&limits)).unwrap();
        for (name, value) in limits.rows() {
            assert_eq!(json[name], value, "{name}");
        }
        assert_eq!(json.as_object().unwrap().len(), limits.rows().len() + 1);
        let back: LimitsRow = serde_json::from_value(json).unwrap();
        assert_eq!(back.over(&Limits::ceiling()), limits);
    }
}
