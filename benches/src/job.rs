//! What every contender is given to do, and how it is seen that it was done.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::Error;

/// More is a page of help.
const LONGEST_REASON_CHARS: usize = 160;

/// A program, and what it has to print.
#[derive(Debug)]
pub struct Job {
    /// For the table; also the runtime's name.
    pub name: &'static str,
    /// Without links: what is measured is the interpreter, not what stands in front of it.
    pub program: PathBuf,
    /// What it is started with.
    pub args: Vec<String>,
    prints: &'static str,
}

impl Job {
    /// # Errors
    /// When the program is not there.
    pub fn new(
        name: &'static str,
        program: &str,
        args: &[&str],
        prints: &'static str,
    ) -> Result<Self, Error> {
        let program = fs::canonicalize(program).map_err(|error| format!("{program}: {error}"))?;
        Ok(Self { name, program, args: args.iter().map(|&it| it.to_owned()).collect(), prints })
    }

    /// The words that start it.
    pub fn words(&self) -> Vec<String> {
        let program = self.program.to_string_lossy().into_owned();
        std::iter::once(program).chain(self.args.iter().cloned()).collect()
    }

    /// The command that starts it without a jar.
    pub fn alone(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command
    }

    /// Starts a command that is to do this job, and looks at what comes of it.
    ///
    /// # Errors
    /// Why the job was not done, in one line.
    pub fn check(&self, mut command: Command) -> Result<(), String> {
        let output = command.env_clear().stdin(Stdio::null()).output();
        let output = output.map_err(|error| error.to_string())?;
        if output.status.success() {
            return self.judge(&output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<_> = said.split_whitespace().collect();
        let begins: String = said.join(" ").chars().take(LONGEST_REASON_CHARS).collect();
        Err(format!("{}: {begins}", output.status))
    }

    /// Looks at what was printed.
    ///
    /// # Errors
    /// When it is something else.
    pub fn judge(&self, printed: &[u8]) -> Result<(), String> {
        let printed = String::from_utf8_lossy(printed);
        if printed.trim_end() == self.prints {
            return Ok(());
        }
        Err(format!("printed {:?} instead of {:?}", printed.trim_end(), self.prints))
    }
}
