//! What this process itself uses, read when somebody asks.

use std::fmt;
use std::fs;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike as _;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::json::time::now_ms;

/// `USER_HZ`: 100 on every architecture that Rust and belljar share (time(7)).
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut put = |name: &str, help: &str, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        let cpu = ConstCounter::new(cpu_seconds());
        put("process_cpu_seconds", "Processor time of the service itself", &cpu)?;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Memory of the service itself", resident_bytes()),
            ("process_open_fds", "Descriptors that are open", open_descriptors()),
            ("process_max_fds", "Descriptors that may be", most_descriptors()),
            ("process_start_time_seconds", "When it started, since 1970", started()),
        ] {
            // What cannot be read is left out.
            if let Some(value) = value {
                put(name, help, &ConstGauge::new(value))?;
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^52 microseconds are 142 years")]
fn cpu_seconds() -> f64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| {
        let time = usage.user_time() + usage.system_time();
        time.num_microseconds() as f64 / 1e6
    })
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}

fn open_descriptors() -> Option<f64> {
    // One is that of the directory.
    let count = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    u32::try_from(count).ok().map(f64::from)
}

#[expect(clippy::cast_precision_loss, reason = "a limit beyond 2^52 is none")]
fn most_descriptors() -> Option<f64> {
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft as f64)
}

/// The clock now, less how long ago it was.
#[expect(clippy::cast_precision_loss, reason = "2^52 milliseconds are 142 000 years")]
fn started() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    // The 22nd, as proc_pid_stat(5) counts, where the state is the third.
    let ticks: f64 = rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    Some(now_ms() as f64 / 1000.0 - (uptime - ticks / TICKS_PER_SECOND))
}
