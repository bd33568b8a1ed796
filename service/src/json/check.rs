//! Language rules in JSON: what is to be checked, and where it breaks them.

use belljar::{Error, Mode, RuleFinding, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::allowed::{lower, mode};
use super::request::{FileRow, program};

/// Code that is to be checked, and not run.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckRequest {
    runtime: String,
    code: Option<String>,
    #[serde(default)]
    files: Vec<FileRow>,
    entry: Option<String>,
    /// That of the service otherwise.
    mode: Option<String>,
}

/// What is to be checked, in the words of the library.
pub(crate) struct Check {
    pub(crate) runtime: String,
    pub(crate) source: Source,
    pub(crate) mode: Mode,
}

/// Where code breaks the rules of its language.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CheckAnswer {
    /// The mode that it was checked against.
    pub(crate) mode: &'static str,
    pub(crate) findings: Vec<FindingRow>,
}

/// [`RuleFinding`] in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct FindingRow {
    /// Empty for code that is no file.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: u32,
    /// From 1, in characters.
    pub(crate) column: u32,
    pub(crate) rule: String,
    pub(crate) text: String,
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) advice: String,
}

impl CheckRequest {
    /// Wants no more of the language than `most`.
    pub(crate) fn lower(&mut self, most: Mode) {
        lower(&mut self.mode, most);
    }

    /// # Errors
    /// [`Error::Invalid`] for what makes no sense, [`Error::Refused`] for a mode that is none.
    pub(crate) fn understand(self) -> Result<Check, Error> {
        let mode = mode(self.mode.as_deref())?;
        let files = self.files.into_iter().map(FileRow::file).collect::<Result<Vec<_>, _>>()?;
        let source = program(self.code, files, self.entry)?;
        Ok(Check { runtime: self.runtime, source, mode })
    }
}

impl FindingRow {
    /// `main.py:3:5`, as compilers say it; without a file, `what` stands for it.
    pub(crate) fn place(&self, what: &str) -> String {
        let file = if self.file.is_empty() { what } else { &self.file };
        format!("{file}:{}:{}", self.line, self.column)
    }
}

impl From<&RuleFinding> for FindingRow {
    fn from(finding: &RuleFinding) -> Self {
        Self {
            file: finding.file.clone(),
            line: finding.line,
            column: finding.column,
            rule: finding.rule.to_owned(),
            text: finding.text.clone(),
            message: finding.message.clone(),
            advice: finding.advice.clone(),
        }
    }
}
