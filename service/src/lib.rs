//! What is built on the library: the command line, the service, and the JSON that all its doors
//! share.

#![forbid(unsafe_code)]

pub mod cli;

mod client;
mod http;
mod json;
#[cfg_attr(not(test), expect(dead_code, reason = "the broker is what keeps them"))]
mod logs;
#[cfg_attr(not(test), expect(dead_code, reason = "the broker is what counts"))]
mod metrics;
mod sandboxes;
#[cfg_attr(not(test), expect(dead_code, reason = "the broker is what opens it"))]
mod store;
