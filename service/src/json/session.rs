//! Sessions and their calls in JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use belljar::{Answer, AnswerStatus, Call, Error, Floor, Limits, Mode, SessionOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::allowed::{bound, lower, mode, network};
use super::data::Data;
use super::outcome::{Artifact, Outcome, Output, OutputRow, millis};
use super::request::{FileRow, StartWord, check, invalid};
use super::rich::{ErrorRow, ResultRow};
use super::{Labels, LimitsRow};

/// A session that somebody asks for. Holds secrets: never printed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionRequest {
    runtime: String,
    /// Of the whole session.
    #[serde(default)]
    limits: LimitsRow,
    #[serde(default)]
    call_limits: CallLimits,
    idle_ms: Option<u64>,
    lifetime_ms: Option<u64>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    secrets: BTreeMap<String, Data>,
    #[serde(default)]
    files: Vec<FileRow>,
    #[serde(default)]
    network: Vec<String>,
    /// Secrets that stay outside, each for the headers of requests to one granted place.
    #[serde(default)]
    secret_hosts: BTreeMap<String, String>,
    /// Of all its calls.
    mode: Option<String>,
    floor: Option<String>,
    #[serde(default)]
    start: StartWord,
    #[serde(default)]
    labels: Labels,
}

/// What one call may take.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CallLimits {
    pub(crate) wall_ms: Option<u64>,
    pub(crate) stdout_bytes: Option<u64>,
    pub(crate) stderr_bytes: Option<u64>,
}

/// What a session is to be, in the words of the library.
pub(crate) struct SessionWish {
    pub(crate) runtime: String,
    pub(crate) limits: Limits,
    pub(crate) floor: Floor,
    pub(crate) options: SessionOptions,
    pub(crate) mode: Mode,
    pub(crate) call_limits: CallLimits,
    pub(crate) idle: Duration,
    pub(crate) labels: Labels,
}

/// How long sessions live where nobody says so, and at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lives {
    pub(crate) idle: Duration,
    pub(crate) lifetime: Duration,
}

/// Code for a session.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallRequest {
    code: String,
    stdin: Option<Data>,
    wall_ms: Option<u64>,
    #[serde(default)]
    files: Vec<FileRow>,
    #[serde(default)]
    collect: Vec<String>,
}

/// A session, as it is told of.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SessionRow {
    pub(crate) id: String,
    pub(crate) runtime: String,
    pub(crate) status: &'static str,
    pub(crate) created_at: String,
    pub(crate) expires_at: String,
    pub(crate) idle_ms: u64,
    pub(crate) calls: u64,
    pub(crate) labels: Labels,
}

/// The sessions of a tenant.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SessionPage {
    pub(crate) sessions: Vec<SessionRow>,
}

/// What came of a call.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CallAnswer {
    pub(crate) id: String,
    pub(crate) session: String,
    pub(crate) call: u64,
    pub(crate) status: Cow<'static, str>,
    pub(crate) message: String,
    #[serde(flatten)]
    #[schemars(with = "OutputRow")]
    pub(crate) output: Output,
    pub(crate) result: Option<ResultRow>,
    pub(crate) error: Option<ErrorRow>,
    pub(crate) artifacts: Vec<Artifact>,
    pub(crate) artifact_errors: Vec<String>,
    pub(crate) wall_ms: f64,
    pub(crate) cpu_ms: f64,
    pub(crate) memory_peak_bytes: u64,
    /// How the session ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Box<Outcome>>,
}

impl SessionRequest {
    /// Wants no more of the language than `most`.
    pub(crate) fn lower(&mut self, most: Mode) {
        lower(&mut self.mode, most);
    }

    /// # Errors
    /// [`Error::Invalid`] for what makes no sense.
    pub(crate) fn understand(self, usual: &Limits, lives: Lives) -> Result<SessionWish, Error> {
        check(&self.labels)?;
        let floor = match self.floor.as_deref() {
            None => Floor::STRICT,
            Some(word) => super::floor(word).map_err(|why| invalid("floor", &why))?,
        };
        let network = network(&self.network)?;
        let is_secret = |name: &str| self.secrets.contains_key(name);
        let bound_secrets = bound(&self.secret_hosts, is_secret, &network)
            .map_err(|why| invalid("secret_hosts", &why))?;
        let mut options = SessionOptions::new().start(self.start.into()).network(network);
        options.bound_secrets = bound_secrets;
        options.env = self.env.into_iter().collect();
        options.files = files(self.files)?;
        for (name, value) in self.secrets {
            let value = value.bytes().map_err(|why| invalid("a secret", &why))?;
            options = options.secret(&name, value)?;
        }
        let at_most = |asked: Option<u64>, most: Duration, what: &str| match asked {
            None => Ok(most),
            Some(ms) if ms > 0 && Duration::from_millis(ms) <= most => {
                Ok(Duration::from_millis(ms))
            }
            Some(_) => Err(invalid(what, &format!("write 1 to {}", most.as_millis()))),
        };
        if self.limits.wall_ms.is_some() {
            return Err(invalid("limits", "wall_ms is lifetime_ms for a session"));
        }
        let wall = at_most(self.lifetime_ms, lives.lifetime, "lifetime_ms")?;
        Ok(SessionWish {
            runtime: self.runtime,
            limits: Limits { wall, ..self.limits.over(usual) },
            floor,
            options,
            mode: mode(self.mode.as_deref())?,
            call_limits: self.call_limits,
            idle: at_most(self.idle_ms, lives.idle, "idle_ms")?,
            labels: self.labels,
        })
    }
}

impl CallRequest {
    /// # Errors
    /// [`Error::Invalid`] for what makes no sense.
    pub(crate) fn understand(self, limits: CallLimits) -> Result<Call, Error> {
        let mut call = Call::code(self.code);
        let stdin = self.stdin.map(Data::bytes).transpose();
        call.stdin = stdin.map_err(|why| invalid("stdin", &why))?.unwrap_or_default();
        let asked = self.wall_ms.into_iter().chain(limits.wall_ms).min();
        if asked == Some(0) {
            return Err(invalid("wall_ms", "it is 0"));
        }
        call.wall = asked.map(Duration::from_millis);
        call.files = files(self.files)?;
        call.collect = self.collect;
        (call.stdout_bytes, call.stderr_bytes) = (limits.stdout_bytes, limits.stderr_bytes);
        Ok(call)
    }
}

impl CallAnswer {
    pub(crate) fn new(session: &str, answer: Answer) -> Self {
        let status = answer.status.name();
        let outcome = match answer.status {
            AnswerStatus::Ended(outcome) => Some(Box::new(Outcome::from(*outcome))),
            _ => None,
        };
        let message = match (&outcome, &answer.error) {
            (Some(outcome), _) => format!("the session ended: {}", outcome.message),
            (None, Some(error)) => format!("{}: {}", error.kind, error.message),
            (None, None) => status.replace('_', " "),
        };
        Self {
            id: format!("{session}-{}", answer.call),
            session: session.to_owned(),
            call: answer.call,
            status: Cow::Borrowed(status),
            message,
            output: Output {
                stdout: answer.stdout.bytes,
                stderr: answer.stderr.bytes,
                stdout_dropped_bytes: answer.stdout.dropped_bytes,
                stderr_dropped_bytes: answer.stderr.dropped_bytes,
            },
            result: answer.value.map(Into::into),
            error: answer.error.map(Into::into),
            artifacts: answer.artifacts.into_iter().map(Into::into).collect(),
            artifact_errors: answer.artifact_errors,
            wall_ms: millis(answer.wall),
            cpu_ms: millis(answer.cpu),
            memory_peak_bytes: answer.memory_peak_bytes,
            outcome,
        }
    }
}

fn files(rows: Vec<FileRow>) -> Result<Vec<belljar::SourceFile>, Error> {
    rows.into_iter().map(FileRow::file).collect()
}
