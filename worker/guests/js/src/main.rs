//! `belljar-js ENTRY [ARGS...]`: the JavaScript runtime that needs nothing on the host.
//!
//! It is a payload like any other: it holds no trust and draws no boundary. Scripts may read and
//! write whatever the process may, because the jar around the process decides what that is.
//!
//! `belljar-js --rich ENTRY [ARGS...]` leaves the value of the last statement in a file as well.
//!
//! `belljar-js --rules RULES ...` makes no code of text before either of them, nor after.
//!
//! `belljar-js --primed` gets ready first, and then waits on descriptor 3 for what to run.
//!
//! Exit status: 0, or what `belljar.exit` was given; 1 for an uncaught error; 2 when there was
//! nothing to run.

mod engine;
mod line;
mod modules;
mod natives;
mod output;
mod raw;
mod secrets;
mod timers;

use std::{convert::Infallible, env, path::Path, rc::Rc};

use engine::Engine;
use line::Line;
use modules::Modules;
use output::Output;
use secrets::Secrets;

fn main() {
    let output = Rc::new(Output::default());
    let Err(reason) = run(&output);
    output::complain(format!("belljar-js: {reason}\n"));
    output.exit(2)
}

/// `Err` is whatever keeps the first statement of the script from running.
fn run(output: &Rc<Output>) -> Result<Infallible, String> {
    let secrets = secrets::receive()?;
    let memory_bytes = memory_bytes()?;
    let mut args = env::args_os().skip(1);
    let entry = args.next().ok_or("usage: belljar-js ENTRY [ARGS...]")?;
    if entry == "--primed" {
        return run_primed(output, memory_bytes);
    }
    let args = args.map(|arg| arg.to_string_lossy().into_owned());
    let args = std::iter::once(entry.to_string_lossy().into_owned()).chain(args);

    let modules = Modules::here();
    let script = Script::find(&modules, args)?;

    let engine = Engine::new(modules, output, memory_bytes).map_err(refused)?;
    script.hold(&engine)?;
    engine.begin(script.args, &secrets).map_err(refused)?;
    drop(secrets);
    let code = engine.run(&script.name, script.source, script.result);
    // Nothing is torn down: the kernel frees a heap faster than we could.
    output.exit(code)
}

/// The same, with everything done ahead that does not depend on the task.
fn run_primed(output: &Rc<Output>, memory_bytes: Option<usize>) -> Result<Infallible, String> {
    rehearse(memory_bytes)?;
    let modules = Modules::here();
    let engine = Engine::new(modules.clone(), output, memory_bytes).map_err(refused)?;
    engine.prepare().map_err(refused)?;

    let line = Line::take();
    let Some(task) = line.wait()? else { output.exit(0) };
    output.announce_on(line);
    line::write_files(&task.files)?;
    line::set_environment(&task.env)?;
    engine.set_memory_limit(self::memory_bytes()?);
    let script = Script::find(&modules, task.argv.into_iter())?;
    script.hold(&engine)?;
    engine.begin(script.args, &Secrets::from(&task.secrets)).map_err(refused)?;
    drop(task.secrets);
    let code = engine.run(&script.name, script.source, script.result);
    output.exit(code)
}

/// What there is to run.
struct Script {
    name: String,
    source: String,
    args: Vec<String>,
    /// Where its value is left, if somebody wants it.
    result: Option<&'static Path>,
    /// Whether it keeps to rules while it runs.
    is_guarded: bool,
}

impl Script {
    fn find(modules: &Modules, args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = args.peekable();
        // Which rules those are, was decided before the start.
        let is_guarded = args.next_if(|arg| arg == "--rules").and_then(|_| args.next()).is_some();
        let is_rich = args.next_if(|arg| arg == "--rich").is_some();
        let entry = args.next().ok_or("there is no script to run")?;
        let name = modules.name(entry.as_ref())?;
        let source = modules::read_source(&name)?;
        let result = is_rich.then_some(Path::new("/work/.belljar-result.json"));
        Ok(Self { name, source, args: args.collect(), result, is_guarded })
    }

    fn hold(&self, engine: &Engine) -> Result<(), String> {
        if self.is_guarded { engine.guard().map_err(refused) } else { Ok(()) }
    }
}

/// Runs a script that nobody hears in an engine of its own, so that the code of a run has been
/// touched before there is a run.
fn rehearse(memory_bytes: Option<usize>) -> Result<(), String> {
    let engine =
        Engine::new(Modules::here(), &Rc::new(Output::nowhere()), memory_bytes).map_err(refused)?;
    engine.begin(Vec::new(), &Secrets::default()).map_err(refused)?;
    engine.run("rehearsal", include_str!("rehearsal.js").to_owned(), None);
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn refused(error: rquickjs::Error) -> String {
    format!("the engine did not start: {error}")
}

fn memory_bytes() -> Result<Option<usize>, String> {
    let Some(value) = env::var_os("BELLJAR_JS_MEMORY_BYTES") else { return Ok(None) };
    let number = value.to_str().and_then(|text| text.parse().ok());
    let refusal = || format!("BELLJAR_JS_MEMORY_BYTES is not a number: {}", value.display());
    number.map(Some).ok_or_else(refusal)
}
