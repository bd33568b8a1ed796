//! What is built on the library: the command line, the service, and the JSON that all its doors
//! share.

#![forbid(unsafe_code)]

pub mod cli;

mod client;
#[expect(dead_code, reason = "the service has no history and no other socket yet")]
mod config;
mod http;
mod json;
#[cfg_attr(not(test), expect(dead_code, reason = "nobody waits for a turn yet"))]
mod queue;
mod sandboxes;
