//! Run untrusted code in throwaway processes that the kernel confines.
//!
//! A [`Sandbox`] is a runtime with limits. Running a [`Source`] in it spawns a worker, which builds
//! a jar around itself (namespaces, a root file system of its own, rlimits, Landlock, seccomp) and
//! becomes the payload; what happened comes back as an [`Outcome`]. `Err` is always our failure or
//! a refusal, never the payload's doing.
//!
//! ```no_run
//! use belljar::{Sandbox, Verdict};
//!
//! # async fn example() -> Result<(), belljar::Error> {
//! let sandbox = Sandbox::builder("python").build()?;
//! let outcome = sandbox.run("import sys; sys.exit(6 * 7)").await?;
//! assert_eq!(outcome.verdict, Verdict::Exited { code: 42 });
//! for layer in &outcome.receipt.layers {
//!     println!("{}: {} ({})", layer.layer, layer.state.name(), layer.how);
//! }
//! # Ok(()) }
//! ```
//!
//! The worker is a program of its own, `belljar-worker`, looked for beside the running executable.
//! Everything asynchronous needs a tokio runtime with input, output and time enabled, and is
//! cancellation safe: dropping a future or a [`Run`] kills the payload.

#![forbid(unsafe_code)]

mod doctor;
mod error;
#[cfg(feature = "gate")]
mod gate;
#[cfg(not(feature = "gate"))]
#[path = "gate/absent.rs"]
mod gate;
mod handout;
mod input;
mod judge;
mod keeper;
mod limits;
mod line;
mod live;
mod network;
mod outcome;
mod plan;
mod pool;
mod raise;
mod reach;
mod receipt;
mod rich;
mod rules;
mod run;
mod runtime;
mod sandbox;
mod session;
mod source;
mod warm;
mod watch;

mod barrier;
mod cgroup;
mod channel;
mod host;
mod identity;
mod scratch;
mod spawn;
mod sweep;
mod tree;

mod artifacts;
mod denial;
mod glob;
mod output;
mod redact;

pub use doctor::{Finding, Inspection, OutOfReach, inspect, shipped};
pub use error::{Error, Fault};
#[doc(hidden)]
pub use gate::LOOPBACK_CAN_BE_OPENED;
pub use input::Input;
pub use limits::{Limits, OnOutputLimit};
pub use network::{Allowed, Connection, Egress, Grant, GrantHost, Network, NetworkUse};
pub use outcome::{Artifact, Denied, Outcome, Output, Start, TimeLimit, Timings, Usage, Verdict};
pub use receipt::{Floor, LayerReceipt, LimitReceipt, Receipt, State};
pub use rich::{Exception, Frame, Value};
pub use rules::{Finding as RuleFinding, Language, Mode, Rules, check};
pub use run::{Chunk, Run};
pub use runtime::{Interpreter, Runtime, Runtimes};
pub use sandbox::{Choice, Sandbox, SandboxBuilder};
pub use session::{Answer, AnswerStatus, Call, Calling, Session, SessionOptions};
pub use source::{Code, Source, SourceFile, StartChoice};
pub use sweep::sweep;
pub use warm::{Template, Warm, Warmth};

/// The number of the protocol between a supervisor and its workers, which are of one build.
pub const PROTOCOL_VERSION: u16 = belljar_protocol::wire::VERSION;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
