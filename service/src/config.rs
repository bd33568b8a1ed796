//! What the operator decides, once for all: a file, the environment, and options, in this order.

mod governed;
mod host;
mod kind;
mod layers;
mod table;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use belljar::{Error, Limits};
use serde::{Deserialize, Serialize};

use crate::json::LimitsRow;
use crate::queue;
use crate::store::Retention;
pub(crate) use governed::Governed;
pub(crate) use kind::range;
pub(crate) use layers::{Loaded, Places};
#[cfg(test)]
pub(crate) use text::markdown;
pub(crate) use text::{default_file, explanation, in_force, strange_modes};

/// The most that a run may have captured, unless the operator says otherwise.
const MOST_OUTPUT_BYTES: u64 = 16 << 20;
const MOST_ARTIFACT_BYTES: u64 = 64 << 20;
/// The mode without rules.
const FULL: &str = "full";

/// What is in force. Every field is a key of [`table`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) service: Service,
    pub(crate) limits: LimitsRow,
    pub(crate) ceiling: LimitsRow,
    pub(crate) warm: Warm,
    pub(crate) queue: Queue,
    pub(crate) tenants: Tenants,
    pub(crate) rules: Rules,
    pub(crate) network: Network,
    pub(crate) sessions: Sessions,
    pub(crate) history: History,
    pub(crate) logs: Logs,
    pub(crate) metrics: Metrics,
    pub(crate) mcp: Mcp,
    pub(crate) runtimes: Runtimes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) socket: String,
    /// Octal.
    pub(crate) socket_mode: String,
    pub(crate) socket_group: String,
    #[serde(with = "kind::time")]
    pub(crate) grace: Duration,
    pub(crate) connections: u32,
    pub(crate) body_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Warm {
    pub(crate) runtimes: Vec<String>,
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) memory_bytes: u64,
    pub(crate) preload: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Queue {
    pub(crate) running: u32,
    pub(crate) queued: u32,
    pub(crate) memory_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tenants {
    pub(crate) header: bool,
    /// Numbers or names.
    pub(crate) users: Vec<String>,
    pub(crate) default: Quota,
    pub(crate) named: BTreeMap<String, Quota>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quota {
    pub(crate) running: u32,
    pub(crate) queued: u32,
    pub(crate) cpu_ms_per_minute: u64,
    pub(crate) runs_per_minute: u32,
    pub(crate) weight: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rules {
    pub(crate) mode: String,
    pub(crate) modules: Vec<String>,
    pub(crate) runtimes: BTreeMap<String, RulesOf>,
    pub(crate) tenants: BTreeMap<String, RulesOf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RulesOf {
    pub(crate) mode: String,
    pub(crate) modules: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Network {
    pub(crate) allow: Vec<String>,
    pub(crate) open_ranges: Vec<String>,
    pub(crate) resolver: String,
    pub(crate) tenants: BTreeMap<String, NetworkOf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkOf {
    pub(crate) allow: Vec<String>,
    pub(crate) open_ranges: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sessions {
    pub(crate) most: u32,
    pub(crate) idle_ms: u64,
    pub(crate) lifetime_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct History {
    pub(crate) path: String,
    pub(crate) keep_runs: u64,
    pub(crate) keep_ms: u64,
    pub(crate) keep_bytes: u64,
    pub(crate) outputs: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logs {
    pub(crate) level: String,
    pub(crate) entries: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metrics {
    pub(crate) enabled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mcp {
    pub(crate) enabled: bool,
    pub(crate) origins: Vec<String>,
    pub(crate) mode: String,
    pub(crate) tools: BTreeMap<String, Tool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tool {
    pub(crate) mode: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Runtimes {
    pub(crate) directory: String,
}

impl Default for Config {
    /// What leaves a laptop usable.
    fn default() -> Self {
        let budget = host::memory_budget_bytes();
        let most = Limits::ceiling();
        // What an answer carries is held in memory, and more of it as JSON.
        let most = Limits {
            memory_bytes: most.memory_bytes.min(budget),
            stdout_bytes: MOST_OUTPUT_BYTES,
            stderr_bytes: MOST_OUTPUT_BYTES,
            artifact_bytes: MOST_ARTIFACT_BYTES,
            ..most
        };
        Self {
            service: Service::default(),
            limits: LimitsRow::from(&Limits::strict()),
            // What happens to too much output has no more and no less.
            ceiling: LimitsRow { on_output_limit: None, ..LimitsRow::from(&most) },
            warm: Warm {
                runtimes: Vec::new(),
                min: 2,
                max: 8,
                memory_bytes: 512 << 20,
                preload: Vec::new(),
            },
            queue: Queue { running: host::runs_at_once(), queued: 256, memory_bytes: budget },
            tenants: Tenants {
                header: false,
                users: Vec::new(),
                default: Quota::default(),
                named: BTreeMap::new(),
            },
            rules: Rules {
                mode: FULL.to_owned(),
                modules: Vec::new(),
                runtimes: BTreeMap::new(),
                tenants: BTreeMap::new(),
            },
            network: Network::default(),
            sessions: Sessions { most: 32, idle_ms: 600_000, lifetime_ms: 3_600_000 },
            history: History {
                path: String::new(),
                keep_runs: 10_000,
                keep_ms: 7 * 86_400_000,
                keep_bytes: 256 << 20,
                outputs: true,
            },
            logs: Logs { level: "info".to_owned(), entries: 4096 },
            metrics: Metrics { enabled: true },
            mcp: Mcp {
                enabled: true,
                origins: Vec::new(),
                mode: FULL.to_owned(),
                tools: BTreeMap::new(),
            },
            runtimes: Runtimes { directory: String::new() },
        }
    }
}

impl Default for Service {
    fn default() -> Self {
        Self {
            socket: String::new(),
            socket_mode: "0600".to_owned(),
            socket_group: String::new(),
            grace: Duration::from_secs(5),
            connections: 4096,
            body_bytes: 24 << 20,
        }
    }
}

impl Default for Quota {
    /// A tenant fills no more than a part of the queue.
    fn default() -> Self {
        Self { running: 0, queued: 64, cpu_ms_per_minute: 0, runs_per_minute: 0, weight: 1 }
    }
}

impl Config {
    /// What no key says by itself.
    fn check(&self) -> Result<(), Error> {
        let invalid = |what: String| Err(Error::Invalid(what));
        let (limits, most) = (self.limits(), self.ceiling());
        for ((name, value), (_, most)) in limits.rows().into_iter().zip(most.rows()) {
            if value > most {
                return invalid(format!(
                    "`limits.{name}` is {value}, above the {most} of `ceiling.{name}`"
                ));
            }
        }
        if self.queue.memory_bytes > 0 && limits.memory_bytes > self.queue.memory_bytes {
            let (one, all) = (limits.memory_bytes, self.queue.memory_bytes);
            return invalid(format!(
                "`limits.memory_bytes` is {one}, above the {all} of `queue.memory_bytes`: no run \
                 would ever begin"
            ));
        }
        if self.warm.min > self.warm.max {
            let Warm { min, max, .. } = &self.warm;
            return invalid(format!("`warm.min` is {min}, above the {max} of `warm.max`"));
        }
        Ok(())
    }

    /// The rules and networks of whoever runs something.
    pub(crate) fn governed(&self) -> Governed {
        Governed::new(&self.rules, &self.network, &self.mcp)
    }

    /// Those of a run that names none.
    pub(crate) fn limits(&self) -> Limits {
        self.limits.over(&Limits::strict())
    }

    /// The most that a run may name.
    pub(crate) fn ceiling(&self) -> Limits {
        self.ceiling.over(&Limits::ceiling())
    }

    /// The bounds of the queue, of tenants without a name here, and of those with one.
    pub(crate) fn quotas(&self) -> (queue::Caps, queue::Quota, BTreeMap<String, queue::Quota>) {
        let Queue { running, queued, memory_bytes } = self.queue;
        let named = self.tenants.named.iter().map(|(name, quota)| (name.clone(), quota.into()));
        let caps = queue::Caps { running, queued, memory_bytes };
        (caps, (&self.tenants.default).into(), named.collect())
    }

    /// Where runs are remembered, if that is a file. Services on other sockets than the usual one
    /// have each its own.
    pub(crate) fn history_file(&self, socket: &Path, is_usual: bool) -> Option<PathBuf> {
        match &*self.history.path {
            "none" => None,
            "" if is_usual => {
                Some(host::state_directory(|name| env::var_os(name)).join("history.sqlite"))
            }
            "" => Some(socket.with_extension("sqlite")),
            path => Some(PathBuf::from(path)),
        }
    }

    /// How much is remembered.
    pub(crate) fn retention(&self) -> Retention {
        Retention {
            runs: self.history.keep_runs,
            age: Duration::from_millis(self.history.keep_ms),
            bytes: self.history.keep_bytes,
        }
    }
}

impl From<&Quota> for queue::Quota {
    fn from(quota: &Quota) -> Self {
        Self {
            running: quota.running,
            queued: quota.queued,
            cpu_ms_per_minute: quota.cpu_ms_per_minute,
            runs_per_minute: quota.runs_per_minute,
            weight: quota.weight,
        }
    }
}

impl Service {
    /// The mode of the socket as a number. That it is one was checked when it was read.
    pub(crate) fn mode(&self) -> u32 {
        u32::from_str_radix(&self.socket_mode, 8).unwrap_or(0o600)
    }
}
