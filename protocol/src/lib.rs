//! What a belljar supervisor and its workers say to each other.
//!
//! Data only: no input, no output, no decisions. The supervisor sends [`Order`]s down the
//! worker's standard input, a `SOCK_SEQPACKET` socket on which one datagram is one message;
//! the worker answers with [`Report`]s. [`wire`] turns both into bytes and back, and is the only
//! file that knows how.
//!
//! Never crosses outward: anything the payload wrote. Its bytes travel on two pipes of their own.

#![forbid(unsafe_code)]

mod job;
mod layer;
mod report;
mod secret;
pub mod wire;

pub use job::{
    Authority, Ceilings, Contents, Delivery, Door, Entry, Files, Fork, Gateway, Identity, Jar, Job,
    Keep, Launch, Link, Mount, Network, Order, Prime, Raise, Scratch, Stdin, Subnet, Syscalls,
    Task, Transport, Waiting,
};
pub use layer::Layer;
pub use report::{Confinement, Denial, Ending, Note, Refusal, Report, Spent, Tally, Timing};
pub use secret::{InvalidSecret, SecretMap};
