//! Run untrusted code in throwaway processes that the kernel confines.

#![forbid(unsafe_code)]

mod sandbox;
mod source;
mod runtime;
mod limits;
mod plan;
mod raise;
mod run;
mod judge;
mod outcome;
mod receipt;
mod error;

mod host;
mod identity;
mod spawn;
mod channel;
mod barrier;
mod cgroup;
mod tree;

mod output;
mod redact;
mod artifacts;
mod glob;
mod denial;

pub use error::{Error, Fault};
pub use limits::{Limits, OnOutputLimit};
pub use outcome::{
    Artifact, Denied, Outcome, Output, Start, TimeLimit, Timings, Usage, Verdict,
};
pub use receipt::{Floor, LayerReceipt, LimitReceipt, Receipt, State};
pub use run::{Chunk, Run};
pub use runtime::{Interpreter, Runtime, Runtimes};
pub use sandbox::{Choice, Sandbox, SandboxBuilder};
pub use source::{Code, Source, SourceFile};
