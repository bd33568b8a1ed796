//! `belljar-js ENTRY [ARGS...]`: the JavaScript runtime that needs nothing on the host.
//!
//! It is a payload like any other: it holds no trust and draws no boundary. Scripts may read and
//! write whatever the process may, because the jar around the process decides what that is.
//!
//! Exit status: 0, or what `belljar.exit` was given; 1 for an uncaught error; 2 when there was
//! nothing to run.

mod engine;
mod modules;
mod natives;
mod output;
mod raw;
mod secrets;
mod timers;

use std::{convert::Infallible, env, ffi::OsStr, rc::Rc};

use engine::Engine;
use modules::Modules;
use output::Output;

fn main() {
    let output = Rc::new(Output::default());
    let Err(reason) = run(&output);
    output::complain(format!("belljar-js: {reason}\n"));
    output.exit(2)
}

/// `Err` is whatever keeps the first statement of the script from running.
fn run(output: &Rc<Output>) -> Result<Infallible, String> {
    let secrets = secrets::receive()?;
    let memory_bytes =
        env::var_os("BELLJAR_JS_MEMORY_BYTES").as_deref().map(memory_bytes).transpose()?;
    let mut args = env::args_os().skip(1);
    let entry = args.next().ok_or("usage: belljar-js ENTRY [ARGS...]")?;
    let args = args.map(|arg| arg.to_string_lossy().into_owned()).collect();

    let modules = Modules::here();
    let name = modules.name(entry.as_ref())?;
    let source = modules::read_source(&name)?;

    let engine = Engine::new(modules, output, memory_bytes, args, &secrets)
        .map_err(|error| format!("the engine did not start: {error}"))?;
    drop(secrets);
    let code = engine.run(&name, source);
    // Nothing is torn down: the kernel frees a heap faster than we could.
    output.exit(code)
}

fn memory_bytes(value: &OsStr) -> Result<usize, String> {
    let number = value.to_str().and_then(|text| text.parse().ok());
    let refusal = || format!("BELLJAR_JS_MEMORY_BYTES is not a number: {}", value.display());
    number.ok_or_else(refusal)
}
