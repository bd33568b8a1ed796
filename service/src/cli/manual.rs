//! `belljar man` and `belljar completions`: what the options say of themselves, in other forms.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use belljar::Error;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::options::{ManOptions, Options};
use super::say;

/// What is left out where commands of every day are listed, and explained here.
const HIDDEN: [&str; 1] = ["dial-stdio"];

pub(super) fn main(options: &ManOptions) -> Result<ExitCode, Error> {
    let pages = pages()?;
    if let Some(directory) = &options.dir {
        let cannot =
            |error| Error::Invalid(format!("cannot make {}: {error}", directory.display()));
        fs::create_dir_all(directory).map_err(cannot)?;
        for (name, page) in &pages {
            write(&directory.join(format!("{name}.1")), page)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let name =
        options.command.as_ref().map_or("belljar".to_owned(), |name| format!("belljar-{name}"));
    let page = pages.iter().find(|(page, _)| *page == name);
    let unknown =
        || Error::Invalid(format!("there is no page {name}; belljar --help lists commands"));
    let (_, page) = page.ok_or_else(unknown)?;
    say::print(page)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn completions(shell: Shell) -> Result<ExitCode, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Options::command(), "belljar", &mut script);
    say::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// The name of every page and its text, the first of belljar itself.
fn pages() -> Result<Vec<(String, String)>, Error> {
    let mut belljar = Options::command().disable_help_subcommand(true);
    for name in HIDDEN {
        belljar = belljar.mut_subcommand(name, |command| command.hide(false));
    }
    belljar.build();
    let commands: Vec<_> = belljar.get_subcommands().cloned().collect();
    let mut pages = vec![page(belljar)?];
    for command in commands {
        pages.push(page(command)?);
    }
    Ok(pages)
}

fn page(command: Command) -> Result<(String, String), Error> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut text = Vec::new();
    let failed = |error| Error::Internal(format!("cannot write the page {name}"), error);
    Man::new(command).render(&mut text).map_err(failed)?;
    Ok((name, String::from_utf8_lossy(&text).into_owned()))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let cannot = |error| Error::Invalid(format!("cannot write {}: {error}", path.display()));
    fs::write(path, text).map_err(cannot)
}
