//! Outcomes in JSON.

use std::borrow::Cow;
use std::time::Duration;

use belljar::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::data::{Base64, Encoding};
use super::network::NetworkRow;
use super::rich::{ErrorRow, ResultRow};
use super::{Labels, LimitsRow, now_ms, rfc3339};

type Word = Cow<'static, str>;

/// An outcome as the contract has it, wherever the run took place.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Outcome {
    pub(crate) id: String,
    pub(crate) runtime: String,
    pub(crate) status: Word,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) message: String,
    #[serde(flatten)]
    #[schemars(with = "OutputRow")]
    pub(crate) output: Output,
    pub(crate) wall_ms: f64,
    pub(crate) cpu_ms: f64,
    pub(crate) memory_peak_bytes: u64,
    pub(crate) processes_peak: u64,
    pub(crate) timings_ms: Timings,
    pub(crate) start: Word,
    pub(crate) artifacts: Vec<Artifact>,
    pub(crate) artifact_errors: Vec<String>,
    pub(crate) denials: Vec<Denial>,
    /// What it made of its network; nothing for a run without one.
    #[serde(default)]
    pub(crate) network: Option<NetworkRow>,
    /// The rules of its language that were in force.
    #[serde(default = "full")]
    pub(crate) mode: Word,
    pub(crate) limits: LimitsRow,
    pub(crate) receipt: Receipt,
    /// The value of its last expression, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<ResultRow>,
    /// What it raised, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<ErrorRow>,
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub(crate) labels: Labels,
    /// When it was accepted.
    pub(crate) created_at: String,
}

/// What was captured.
#[derive(Deserialize)]
#[serde(try_from = "OutputRow")]
pub(crate) struct Output {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) stdout_dropped_bytes: u64,
    pub(crate) stderr_dropped_bytes: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Timings {
    pub(crate) queued: f64,
    pub(crate) jar: f64,
    pub(crate) start: f64,
    pub(crate) run: f64,
    pub(crate) collect: f64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Artifact {
    pub(crate) path: String,
    pub(crate) bytes: usize,
    pub(crate) media_type: Word,
    /// Nothing where it was written somewhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<Base64>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Denial {
    pub(crate) kind: Word,
    pub(crate) what: String,
    pub(crate) rule: Word,
    pub(crate) hint: Word,
    pub(crate) count: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Receipt {
    pub(crate) floor: Word,
    pub(crate) level: Word,
    pub(crate) layers: Vec<LayerRow>,
    pub(crate) limits: Vec<LimitRow>,
    pub(crate) notes: Vec<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct LayerRow {
    pub(crate) layer: Word,
    pub(crate) state: Word,
    pub(crate) how: String,
    pub(crate) cost_us: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct LimitRow {
    pub(crate) limit: Word,
    pub(crate) state: Word,
    pub(crate) how: String,
}

impl From<belljar::Outcome> for Outcome {
    fn from(outcome: belljar::Outcome) -> Self {
        let (verdict, usage, timings) = (outcome.verdict, outcome.usage, outcome.timings);
        let belljar::Timings { queued, jar, start, run, collect } = timings;
        let took = i64::try_from((queued + jar + start + run + collect).as_millis()).unwrap_or(0);
        Self {
            status: Cow::Borrowed(verdict.status()),
            exit_code: verdict.exit_code(),
            signal: verdict.signal(),
            message: verdict.message(&outcome.limits),
            id: outcome.id,
            runtime: outcome.runtime,
            output: Output {
                stdout: outcome.stdout.bytes,
                stderr: outcome.stderr.bytes,
                stdout_dropped_bytes: outcome.stdout.dropped_bytes,
                stderr_dropped_bytes: outcome.stderr.dropped_bytes,
            },
            wall_ms: millis(usage.wall),
            cpu_ms: millis(usage.cpu),
            memory_peak_bytes: usage.memory_peak_bytes,
            processes_peak: usage.processes_peak,
            timings_ms: Timings {
                queued: millis(timings.queued),
                jar: millis(timings.jar),
                start: millis(timings.start),
                run: millis(timings.run),
                collect: millis(timings.collect),
            },
            start: Cow::Borrowed(outcome.start.name()),
            artifacts: outcome.artifacts.into_iter().map(Into::into).collect(),
            artifact_errors: outcome.artifact_errors,
            denials: outcome.denials.into_iter().map(Into::into).collect(),
            network: outcome.network.map(Into::into),
            mode: Cow::Borrowed(outcome.mode.name()),
            limits: LimitsRow::from(&outcome.limits),
            receipt: outcome.receipt.into(),
            result: outcome.value.map(Into::into),
            error: outcome.error.map(Into::into),
            labels: Labels::new(),
            created_at: rfc3339(now_ms() - took),
        }
    }
}

impl From<belljar::Artifact> for Artifact {
    fn from(artifact: belljar::Artifact) -> Self {
        Self {
            // The library collects no file whose name is no text.
            path: artifact.path.to_string_lossy().into_owned(),
            bytes: artifact.bytes.len(),
            media_type: Cow::Borrowed(artifact.media_type),
            content: Some(Base64(artifact.bytes)),
        }
    }
}

impl From<belljar::Denied> for Denial {
    fn from(denial: belljar::Denied) -> Self {
        Self {
            kind: Cow::Borrowed(denial.kind),
            what: denial.what,
            rule: Cow::Borrowed(denial.rule),
            hint: denial.hint,
            count: denial.count,
        }
    }
}

impl From<belljar::Receipt> for Receipt {
    fn from(receipt: belljar::Receipt) -> Self {
        let layers = receipt.layers.into_iter().map(|row| LayerRow {
            layer: Cow::Borrowed(row.layer.name()),
            state: Cow::Borrowed(row.state.name()),
            how: row.how,
            cost_us: u64::try_from(row.cost.as_micros()).unwrap_or(u64::MAX),
        });
        let limits = receipt.limits.into_iter().map(|row| LimitRow {
            limit: Cow::Borrowed(row.limit),
            state: Cow::Borrowed(row.state.name()),
            how: row.how,
        });
        Self {
            floor: Cow::Borrowed(receipt.floor.name()),
            level: Cow::Borrowed(receipt.level.name()),
            layers: layers.collect(),
            limits: limits.collect(),
            notes: receipt.notes,
        }
    }
}

/// Of outcomes that were kept before there were others.
fn full() -> Word {
    Cow::Borrowed(Mode::Full.name())
}

/// To the microsecond.
#[expect(clippy::cast_precision_loss, reason = "2^52 microseconds are 142 years")]
pub(super) fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

/// Both streams in one encoding.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct OutputRow {
    stdout: String,
    stderr: String,
    stdout_dropped_bytes: u64,
    stderr_dropped_bytes: u64,
    #[serde(default)]
    encoding: Encoding,
}

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let encoding = Encoding::of(&[&self.stdout, &self.stderr]);
        let row = OutputRow {
            stdout: encoding.encode(&self.stdout),
            stderr: encoding.encode(&self.stderr),
            stdout_dropped_bytes: self.stdout_dropped_bytes,
            stderr_dropped_bytes: self.stderr_dropped_bytes,
            encoding,
        };
        row.serialize(serializer)
    }
}

impl TryFrom<OutputRow> for Output {
    type Error = String;

    fn try_from(row: OutputRow) -> Result<Self, String> {
        Ok(Self {
            stdout: row.encoding.decode(row.stdout)?,
            stderr: row.encoding.decode(row.stderr)?,
            stdout_dropped_bytes: row.stdout_dropped_bytes,
            stderr_dropped_bytes: row.stderr_dropped_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_artifacts_survive_whatever_their_bytes() {
        let output = Output {
            stdout: b"\xff\0".to_vec(),
            stderr: b"text".to_vec(),
            stdout_dropped_bytes: 1,
            stderr_dropped_bytes: 2,
        };
        let json = serde_json::to_value(&output).unwrap();
        assert_eq!((&json["encoding"], &json["stdout"]), (&"base64".into(), &"/wA=".into()));
        let back: Output = serde_json::from_value(json).unwrap();
        assert_eq!((back.stdout, back.stderr), (output.stdout, output.stderr));
        let bytes = b"\xff\x01".to_vec();
        let path = "a/b.txt".into();
        let artifact = belljar::Artifact { path, bytes, media_type: "text/plain" };
        let json = serde_json::to_value(Artifact::from(artifact)).unwrap();
        assert_eq!((&json["content"], &json["bytes"]), (&"/wE=".into(), &2.into()));
        let back: Artifact = serde_json::from_value(json).unwrap();
        assert_eq!(back.path, "a/b.txt");
        assert_eq!(back.content.unwrap().0, b"\xff\x01");
    }
}
