//! The same three jobs through the jars of others, whichever are installed, and through ours: a
//! table for the README, of ratios to the job without a jar.

use std::time::Duration;

use belljar::{Sandbox, SandboxBuilder, Source, Warm};
use belljar_benches::{Contest, Effort, Error, Jars, Job, Place, Sheet, bare, rivals};

const BASELINE: &str = "no sandbox";

/// A name for the column, the program, how it takes code, and the code, which prints `1`.
const JOBS: [(&str, &str, &str, &str); 3] = [
    ("python", "/usr/bin/python3", "-c", "print(1)"),
    ("bash", "/usr/bin/bash", "-c", "echo 1"),
    ("node", "/usr/bin/node", "-e", "console.log(1)"),
];

/// What a row of ours tells the builder.
type Setting = fn(SandboxBuilder) -> SandboxBuilder;

/// A row of ours each: its name, what the builder is told, and how long a run leaves work behind
/// that would fall into the next row's time. A new way to start is one more line here.
const OURS: &[(&str, Setting, Duration)] = &[
    ("belljar, cold: all seven layers, limits on the tree", |builder| builder, Duration::ZERO),
    ("belljar, warm: the same", |builder| builder.warm(Warm::default()), REST),
];
/// What a pool needs to be full again, with the slowest of interpreters.
const REST: Duration = Duration::from_millis(120);

fn main() -> Result<(), Error> {
    let effort = Effort::asked_for(100)?;
    let jars = Jars::new()?;
    let place = Place::make()?;
    let mut sheet = Sheet::new(BASELINE);
    for (name, program, option, code) in JOBS {
        match Job::new(name, program, &[option, code], "1") {
            Ok(job) => hold(&job, code, effort, &jars, &place, &mut sheet)?,
            Err(error) => sheet.leave_out("everybody", name, &error.to_string()),
        }
    }
    Ok(sheet.print()?)
}

/// One job through everybody who can do it, in one contest.
fn hold(
    job: &Job,
    code: &str,
    effort: Effort,
    jars: &Jars,
    place: &Place,
    sheet: &mut Sheet,
) -> Result<(), Error> {
    job.check(job.alone()).map_err(|why| format!("{}: {why}", job.name))?;
    let mut contest = Contest::default();
    contest.enter(BASELINE, || bare(&job.program, &job.args));
    for rival in rivals(job, place)? {
        match rival.check(job) {
            Ok(()) => {
                let name = format!("{}: {}", rival.title, rival.walls);
                contest.enter(&name, move || rival.run());
            }
            Err(why) => sheet.leave_out(&rival.title, job.name, &why),
        }
    }
    for (name, setting, rest) in OURS.iter().copied() {
        match ours(job, code, setting, jars) {
            Ok((sandbox, source)) => {
                contest.enter(name, move || jars.run(&sandbox, &source).map(drop));
                contest.rest(rest);
            }
            Err(why) => sheet.leave_out(name, job.name, &why.to_string()),
        }
    }
    sheet.add(job, contest.hold(effort.rounds)?);
    Ok(())
}

/// A sandbox for the job's program that was seen to do the job.
fn ours(job: &Job, code: &str, setting: Setting, jars: &Jars) -> Result<(Sandbox, Source), Error> {
    let sandbox = setting(Sandbox::builder(job.name).program(&job.program)).build()?;
    let source = Source::code(code);
    if sandbox.warmth().is_some() {
        jars.block_on(sandbox.warm_up())?;
    }
    let outcome = jars.run(&sandbox, &source)?;
    job.judge(&outcome.stdout.bytes)?;
    Ok((sandbox, source))
}
