//! `belljar runtimes`.

use std::path::PathBuf;
use std::process::ExitCode;

use belljar::{Error, Runtime, Runtimes};
use serde::Serialize;

use super::{event_loop, known_runtimes, say};
use crate::json;

#[derive(Serialize)]
struct Row {
    name: String,
    available: bool,
    version: Option<String>,
    program: Option<String>,
    /// What is in the way, and what to install.
    problem: Option<String>,
}

pub(super) fn main(as_json: bool, directory: Option<PathBuf>) -> Result<ExitCode, Error> {
    let runtimes = known_runtimes(directory)?;
    // Asking an interpreter means waiting for a child.
    let _events = event_loop()?;
    let rows = rows(&runtimes)?;
    if as_json {
        say::print(&format!("{}\n", json::line(&rows)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let cells = rows.into_iter().map(|row| {
        let detail = row.problem.or(row.program).unwrap_or_else(|| "any ELF executable".to_owned());
        [row.name, row.version.unwrap_or_else(|| "-".to_owned()), detail]
    });
    say::print(&say::table(&cells.collect::<Vec<_>>()))?;
    Ok(ExitCode::SUCCESS)
}

fn rows(runtimes: &Runtimes) -> Result<Vec<Row>, Error> {
    runtimes.names().map(|name| runtimes.get(name).map(row)).collect()
}

fn row(runtime: &Runtime) -> Row {
    let name = runtime.name().to_owned();
    match runtime.resolve(None) {
        Ok(interpreter) => {
            let said = |text: String| (!text.is_empty()).then_some(text);
            Row {
                name,
                available: true,
                version: said(interpreter.version().to_owned()),
                program: said(interpreter.program().display().to_string()),
                problem: None,
            }
        }
        Err(error) => Row {
            name,
            available: false,
            version: None,
            program: None,
            problem: Some(error.to_string()),
        },
    }
}
