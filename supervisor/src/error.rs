use std::fmt::{self, Write as _};
use std::io;

use belljar_protocol::Refusal;

use crate::RuleFinding;

/// Our failure or a refusal, never the payload's doing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request makes no sense, or asks for more than it may.
    Invalid(String),
    /// The rules of its language, or the operator, do not allow it.
    Refused {
        /// In one line.
        what: String,
        /// Where its source breaks a rule, if it does.
        findings: Vec<RuleFinding>,
    },
    /// No such runtime, or its interpreter is not on this host.
    UnknownRuntime(String),
    /// A layer or limit cannot be enforced here, and the floor insists on it.
    Unenforceable {
        /// The layer or limit.
        what: String,
        /// What was tried and how it failed.
        reason: String,
        /// The system error number, or 0.
        errno: i32,
        /// What an operator can do about it.
        hint: &'static str,
    },
    /// A worker could not be started or reached.
    Worker(String, io::Error),
    /// The worker said something that no worker says; whatever it had started is gone.
    Protocol(String),
    /// Something that should not happen on our side.
    Internal(String, io::Error),
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request would fail everywhere.
    Caller,
    /// The host lacks something, or is out of something.
    Host,
    /// A defect.
    Belljar,
}

impl Error {
    /// The stable word for machines, as in the JSON contract.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid_request",
            Self::Refused { .. } => "policy_refused",
            Self::UnknownRuntime(_) => "unknown_runtime",
            Self::Unenforceable { .. } => "unenforceable",
            Self::Worker(..) | Self::Protocol(_) | Self::Internal(..) => "internal",
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Invalid(_) | Self::Refused { .. } => Fault::Caller,
            Self::UnknownRuntime(_) | Self::Unenforceable { .. } | Self::Worker(..) => Fault::Host,
            Self::Protocol(_) | Self::Internal(..) => Fault::Belljar,
        }
    }

    /// Whether the same request may succeed later without anyone changing anything.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Invalid(_)
            | Self::Refused { .. }
            | Self::UnknownRuntime(_)
            | Self::Unenforceable { .. } => false,
            Self::Worker(_, reason) | Self::Internal(_, reason) => {
                reason.kind() != io::ErrorKind::NotFound
            }
            Self::Protocol(_) => true,
        }
    }

    /// What an operator can do about it, where something is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Unenforceable { hint, .. } if !hint.is_empty() => Some(hint),
            _ => None,
        }
    }

    pub(crate) fn refused(refusal: &Refusal) -> Self {
        Self::Unenforceable {
            what: refusal.layer.to_string(),
            reason: format!("cannot {}: {}", refusal.attempt, refusal.reason),
            errno: refusal.errno,
            hint: crate::host::hint(refusal.layer, refusal.errno),
        }
    }
}

/// One line whatever it quotes: a file name may hold anything, a terminal's orders included.
struct OneLine<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            let plain = part.trim_end_matches(char::is_control);
            self.0.write_str(plain)?;
            let rest = part.get(plain.len()..).unwrap_or_default();
            write!(self.0, "{}", rest.escape_debug())?;
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = OneLine(f);
        match self {
            Self::Invalid(what)
            | Self::Refused { what, .. }
            | Self::UnknownRuntime(what)
            | Self::Protocol(what) => f.write_str(what),
            Self::Unenforceable { what, reason, hint, .. } => {
                write!(f, "{what} cannot be enforced on this host: {reason}")?;
                if hint.is_empty() { Ok(()) } else { write!(f, " ({hint})") }
            }
            Self::Worker(what, reason) | Self::Internal(what, reason) => {
                write!(f, "{what}: {reason}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Worker(_, reason) | Self::Internal(_, reason) => Some(reason),
            _ => None,
        }
    }
}
