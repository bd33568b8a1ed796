//! What is built on the library: the command line, the service, and the JSON that all its doors
//! share.

#![forbid(unsafe_code)]

pub mod cli;

mod broker;
mod client;
mod config;
mod http;
mod json;
mod logs;
mod mcp;
mod metrics;
mod notify;
mod openapi;
mod queue;
mod sandboxes;
mod store;
