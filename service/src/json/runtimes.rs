//! The list of languages in JSON.

use belljar::{Error, Runtime, Runtimes};
use schemars::JsonSchema;
use serde::Serialize;

/// One language, and what it needs.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RuntimeRow {
    pub(crate) name: String,
    pub(crate) available: bool,
    pub(crate) version: Option<String>,
    pub(crate) program: Option<String>,
    /// What is in the way, and what to install.
    pub(crate) problem: Option<String>,
}

/// All of them. Blocks: asking an interpreter means waiting for a child.
pub(crate) fn rows(runtimes: &Runtimes) -> Result<Vec<RuntimeRow>, Error> {
    runtimes.names().map(|name| runtimes.get(name).map(row)).collect()
}

fn row(runtime: &Runtime) -> RuntimeRow {
    let name = runtime.name().to_owned();
    match runtime.resolve(None) {
        Ok(interpreter) => {
            let said = |text: String| (!text.is_empty()).then_some(text);
            RuntimeRow {
                name,
                available: true,
                version: said(interpreter.version().to_owned()),
                program: said(interpreter.program().display().to_string()),
                problem: None,
            }
        }
        Err(error) => RuntimeRow {
            name,
            available: false,
            version: None,
            program: None,
            problem: Some(error.to_string()),
        },
    }
}
