//! `belljar config`.

use std::process::ExitCode;

use belljar::Error;

use super::options::ConfigOptions;
use super::say;
use crate::config::{self, Places};

pub(super) fn main(options: &ConfigOptions) -> Result<ExitCode, Error> {
    let text = if options.explain {
        config::explanation()
    } else if options.default {
        config::default_file()
    } else {
        let places = Places { file: options.file.clone(), set: options.set.clone() };
        config::in_force(&places.load()?, options.json)
    };
    say::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
