//! What is built on the library: the command line, and the JSON that all its doors share.

#![forbid(unsafe_code)]

pub mod cli;
pub mod json;
