//! Refusals and failures in JSON.

use std::borrow::Cow;

use belljar::{Error, Fault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FindingRow;

/// When somebody who was refused for want of room may come again.
const RETRY_AFTER_MS: u32 = 1000;

/// Why nothing was run, or why what was run came to nothing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Problem {
    /// The stable word for machines.
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) fault: Whose,
    pub(crate) may_retry: bool,
    pub(crate) hint: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) layer: Option<Box<str>>,
    // None is above 4095, and a problem is moved through every door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>")]
    pub(crate) errno: Option<i16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_ms: Option<u32>,
    /// Where the code breaks the rules of its language.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) findings: Box<[FindingRow]>,
}

/// [`Fault`] in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Whose {
    Caller,
    Host,
    Belljar,
}

impl Problem {
    /// A request that makes no sense, wherever it is sent.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("invalid_request", Whose::Caller, message)
    }

    /// Of the host, and without its own fault later.
    pub(crate) fn passing(code: &'static str, message: impl Into<String>) -> Self {
        Self { may_retry: true, ..Self::new(code, Whose::Host, message) }
    }

    /// There is no room at present.
    pub(crate) fn overloaded(message: impl Into<String>) -> Self {
        let problem = Self::passing("overloaded", message);
        Self { retry_after_ms: Some(RETRY_AFTER_MS), ..problem }
    }

    /// One of our tasks came to an end that none should.
    pub(crate) fn torn() -> Self {
        Self::new("internal", Whose::Belljar, "a task was torn down")
    }

    pub(crate) fn new(code: &'static str, fault: Whose, message: impl Into<String>) -> Self {
        Self {
            code: Cow::Borrowed(code),
            message: message.into(),
            fault,
            may_retry: false,
            hint: None,
            layer: None,
            errno: None,
            retry_after_ms: None,
            findings: Box::default(),
        }
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let (layer, errno) = match error {
            Error::Unenforceable { what, errno, .. } => {
                (Some(what.as_str().into()), i16::try_from(*errno).ok())
            }
            _ => (None, None),
        };
        let findings = match error {
            Error::Refused { findings, .. } => findings.iter().map(Into::into).collect(),
            _ => Box::default(),
        };
        let fault = match error.fault() {
            Fault::Caller => Whose::Caller,
            Fault::Host => Whose::Host,
            Fault::Belljar => Whose::Belljar,
        };
        Self {
            may_retry: error.may_retry(),
            hint: error.hint().map(Into::into),
            layer,
            errno,
            findings,
            ..Self::new(error.code(), fault, error.to_string())
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_whose_fault_it_is() {
        let error = Error::Invalid("limit wall_ms is 0".to_owned());
        let expected = r#"{"code":"invalid_request","message":"limit wall_ms is 0","fault":"caller","may_retry":false,"hint":null}"#;
        assert_eq!(crate::json::line(&Problem::from(error)), expected);
    }
}
