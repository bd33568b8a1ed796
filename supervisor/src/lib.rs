//! Run untrusted code in throwaway processes that the kernel confines.

#![forbid(unsafe_code)]

mod error;
mod judge;
mod limits;
mod outcome;
mod plan;
mod raise;
mod receipt;
mod run;
mod runtime;
mod sandbox;
mod source;

mod barrier;
mod cgroup;
mod channel;
mod host;
mod identity;
mod spawn;
mod tree;

mod artifacts;
mod denial;
mod glob;
mod output;
mod redact;

pub use error::{Error, Fault};
pub use limits::{Limits, OnOutputLimit};
pub use outcome::{Artifact, Denied, Outcome, Output, Start, TimeLimit, Timings, Usage, Verdict};
pub use receipt::{Floor, LayerReceipt, LimitReceipt, Receipt, State};
pub use run::{Chunk, Run};
pub use runtime::{Interpreter, Runtime, Runtimes};
pub use sandbox::{Choice, Sandbox, SandboxBuilder};
pub use source::{Code, Source, SourceFile};
