//! `belljar runtimes`.

use std::path::PathBuf;
use std::process::ExitCode;

use belljar::Error;

use super::{event_loop, known_runtimes, say};
use crate::json::{self, RuntimeRow};

pub(super) fn main(as_json: bool, directory: Option<PathBuf>) -> Result<ExitCode, Error> {
    let runtimes = known_runtimes(directory)?;
    // Asking an interpreter means waiting for a child.
    let _events = event_loop()?;
    let rows = json::rows(&runtimes)?;
    if as_json {
        say::print(&format!("{}\n", json::line(&rows)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let cells = rows.into_iter().map(|row: RuntimeRow| {
        let detail = row.problem.or(row.program).unwrap_or_else(|| "any ELF executable".to_owned());
        [row.name, row.version.unwrap_or_else(|| "-".to_owned()), detail]
    });
    say::print(&say::table(&cells.collect::<Vec<_>>()))?;
    Ok(ExitCode::SUCCESS)
}
