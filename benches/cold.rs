//! What a cold run costs, end to end through the library, against the same program without a jar
//! and in the jars of others.

use std::path::{Path, PathBuf};

use belljar::{Sandbox, Source};
use belljar_benches::{Contest, Effort, Error, Goal, Jars, bare, beside, interpreter, unavailable};

const NOOP: &str = env!("CARGO_BIN_EXE_belljar-bench-noop");
const FLOOR: &str = env!("CARGO_BIN_EXE_belljar-bench-floor");

/// A language, a program of it that does nothing, and how to start that without a jar.
const LANGUAGES: [(&str, &str, &[&str]); 3] = [
    ("python", "pass", &["-I", "-c", "pass"]),
    ("node", "", &["-e", "0"]),
    ("bash", ":", &["-c", ":"]),
];

fn main() -> Result<(), Error> {
    let effort = Effort::asked_for(200)?;
    let jars = Jars::new()?;
    native(effort, &jars)?;
    languages(effort, &jars)
}

fn native(effort: Effort, jars: &Jars) -> Result<(), Error> {
    let sandbox = Sandbox::builder("native").build()?;
    let source = Source::program(NOOP);
    let bubblewrap = bubblewrap();
    let mut contest = Contest::default();
    contest.enter("bare", || bare(NOOP, &[""; 0]));
    contest.enter("floor", || bare(FLOOR, &[NOOP]));
    contest.enter("floor with a root", || bare(FLOOR, &["--root", NOOP]));
    let absent = unavailable("bwrap", &bubblewrap);
    if absent.is_none() {
        contest.enter("bubblewrap", || bare("bwrap", &bubblewrap));
    }
    contest.enter("belljar", || jars.run(&sandbox, &source).map(drop));

    let table = contest.hold(effort.rounds)?;
    table.print("A native program that does nothing", "bare")?;
    note(absent.map(|why| format!("bubblewrap: {why}")))?;
    table.compare("belljar", &["floor"], Goal::AtMost(1.5))?;
    table.compare("belljar", &["floor with a root"], Goal::Told)?;
    Ok(table.compare("belljar", &["bubblewrap"], Goal::AtMost(1.0))?)
}

fn languages(effort: Effort, jars: &Jars) -> Result<(), Error> {
    let script = Script::write()?;
    let sandbox = Sandbox::builder("js").build()?;
    let guest = beside("belljar-js")?;
    let mut contest = Contest::default();
    contest.enter("floor", || bare(FLOOR, &[NOOP]));
    let mut compared = Vec::new();
    let mut notes = Vec::new();
    for (name, code, alone) in LANGUAGES {
        let sandbox = match Sandbox::builder(name).build() {
            Ok(sandbox) => sandbox,
            Err(error) => {
                notes.push(format!("{name}: {error}"));
                continue;
            }
        };
        let program = interpreter(&sandbox).to_owned();
        notes.push(format!("{name}: {}", program.display()));
        let source = Source::code(code);
        compared.push((format!("{name} bare"), format!("{name} in a jar")));
        contest.enter(&format!("{name} bare"), move || bare(&program, alone));
        contest.enter(&format!("{name} in a jar"), move || jars.run(&sandbox, &source).map(drop));
    }
    compared.push(("js bare".to_owned(), "js in a jar".to_owned()));
    contest.enter("js bare", || bare(&guest, &[&script.0]));
    contest.enter("js in a jar", || jars.run(&sandbox, &Source::code("0")).map(drop));

    let table = contest.hold(effort.rounds.div_ceil(2))?;
    table.print("Languages, a program that does nothing", "floor")?;
    notes.into_iter().try_for_each(|it| note(Some(it)))?;
    for (alone, in_a_jar) in compared {
        let wanted = matches!(in_a_jar.as_str(), "python in a jar" | "node in a jar");
        let goal = if wanted { Goal::AtMost(1.15) } else { Goal::Told };
        table.compare(&in_a_jar, &[&alone, "floor"], goal)?;
    }
    Ok(())
}

/// What its manual shows, with all namespaces: no filter, no Landlock, no limits.
fn bubblewrap() -> Vec<&'static str> {
    let mut args = vec!["--unshare-all", "--die-with-parent"];
    for path in ["/usr", "/lib", "/lib64"] {
        if Path::new(path).exists() {
            args.extend(["--ro-bind", path, path]);
        }
    }
    args.extend(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
    args.extend(["--ro-bind", NOOP, "/program", "/program"]);
    args
}

fn note(text: Option<String>) -> std::io::Result<()> {
    use std::io::Write as _;
    text.map_or(Ok(()), |text| writeln!(std::io::stdout().lock(), "  {text}"))
}

/// A file for the guest that takes no code as an argument.
struct Script(PathBuf);

impl Script {
    fn write() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("belljar-bench-{}.js", std::process::id()));
        std::fs::write(&path, "0")?;
        Ok(Self(path))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            drop(note(Some(format!("{}: {error}", self.0.display()))));
        }
    }
}
