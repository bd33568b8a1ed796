//! What a warm start costs, end to end through the library, against the least that it could and
//! against starts from nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use belljar::{Sandbox, Source, Template, Warm};
use belljar_benches::{
    Contest, Effort, Error, Goal, Jars, Table, Waiting, bare, descendants, interpreter,
    private_dirty_bytes, unavailable,
};
use rquickjs::{Context, Runtime};

const FLOOR: &str = env!("CARGO_BIN_EXE_belljar-bench-floor");
const ECHO: &str = env!("CARGO_BIN_EXE_belljar-bench-echo");
const PRINT: &str = "print(1)";
/// What a pool needs after a run, so that its work is not done in the next row's time.
const REST: Duration = Duration::from_millis(15);
/// Node takes longer to start, and a pool of it to be full again.
const LONG_REST: Duration = Duration::from_millis(120);

fn main() -> Result<(), Error> {
    let effort = Effort::asked_for(200)?;
    let jars = Jars::new()?;
    python(effort, &jars)?;
    others(effort, &jars)?;
    pandas(effort, &jars)?;
    load(effort, &jars)?;
    throughput(effort, &jars)?;
    footprint(effort, &jars)
}

fn warm(jars: &Jars, runtime: &str, warm: Warm) -> Result<Sandbox, Error> {
    let sandbox = Sandbox::builder(runtime).warm(warm).build()?;
    let warmth = jars.block_on(sandbox.warm_up())?;
    warmth.refused.map_or(Ok(sandbox), |why| Err(format!("{runtime}: {why}").into()))
}

fn python(effort: Effort, jars: &Jars) -> Result<(), Error> {
    let sandbox = warm(jars, "python", Warm::default())?;
    // Nothing waits: each run has its child forked while it waits itself.
    let demand = warm(jars, "python", Warm::default().max(0))?;
    let program = interpreter(&sandbox).to_owned();
    let floor = Waiting::start(Path::new(FLOOR), &[ECHO])?;
    let fork = Waiting::forking(&program, &modules())?;
    let source = Source::code(PRINT);
    let bubblewrap = bubblewrap(&program);
    let mut contest = Contest::default();
    contest.enter("hand-off floor", || floor.ask(PRINT.as_bytes()));
    contest.enter("plain fork of a template", || fork.fork(PRINT).map(drop));
    contest.measure("python, forked ahead", || jars.time(&sandbox, &source));
    contest.rest(REST);
    contest.measure("python, forked on demand", || jars.time(&demand, &source));
    contest.rest(REST);
    let table = contest.hold(effort.rounds)?;
    table.print("Python, print(1)", "hand-off floor")?;
    table.compare("python, forked ahead", &["hand-off floor"], Goal::AtMost(4.0))?;
    table.compare("python, forked ahead", &["plain fork of a template"], Goal::Told)?;
    let on_demand = "python, forked on demand";
    table.compare(on_demand, &["plain fork of a template"], Goal::AtMost(1.35))?;
    if unavailable("bwrap", &bubblewrap).is_none() {
        // Apart from the others: whoever follows forty milliseconds of it finds the caches empty.
        let mut contest = Contest::default();
        contest.measure("python, forked ahead", || jars.time(&sandbox, &source));
        contest.rest(REST);
        contest.enter("bubblewrap + python", || bare("bwrap", &bubblewrap));
        let table = contest.hold(effort.rounds.div_ceil(4))?;
        let over = "bubblewrap + python";
        table.compare("python, forked ahead", &[over], Goal::AtMost(1.0 / 25.0))?;
    }
    jars.block_on(async { tokio::join!(sandbox.close(), demand.close()) });
    Ok(())
}

fn others(effort: Effort, jars: &Jars) -> Result<(), Error> {
    let rounds = effort.rounds.div_ceil(2);
    let sandboxes = ["node", "bash", "js"].map(|name| warm(jars, name, Warm::default()));
    let [node, bash, js] = sandboxes;
    let (node, bash, js) = (node?, bash?, js?);
    let programs = [&node, &bash].map(|sandbox| interpreter(sandbox).to_owned());
    let [alone_node, alone_bash] = &programs;
    let (log, echo) = (Source::code("0"), Source::code(":"));
    let mut contest = Contest::default();
    contest.enter("bash -c :", || bare(alone_bash, &["-c", ":"]));
    contest.measure("bash, in an empty jar", || jars.time(&bash, &echo));
    contest.rest(REST);
    contest.enter("QuickJS context in process", || {
        let engine = Context::full(&Runtime::new()?)?;
        Ok(engine.with(|within| within.eval::<(), _>("0"))?)
    });
    contest.measure("js, primed", || jars.time(&js, &log));
    contest.rest(REST);
    let table = contest.hold(rounds)?;
    table.print("Other runtimes, a program that does nothing", "bash -c :")?;
    table.compare("bash, in an empty jar", &["bash -c :"], Goal::AtMost(1.3))?;
    table.compare("js, primed", &["QuickJS context in process"], Goal::AtMost(3.0))?;
    table.compare("js, primed", &["bash, in an empty jar"], Goal::AtMost(1.0))?;
    let mut contest = Contest::default();
    contest.enter("node -e 0", || bare(alone_node, &["-e", "0"]));
    contest.measure("node, primed", || jars.time(&node, &log));
    contest.rest(LONG_REST);
    let table = contest.hold(rounds.div_ceil(2))?;
    table.print("Node, a program that does nothing", "node -e 0")?;
    table.compare("node, primed", &["node -e 0"], Goal::AtMost(1.0 / 20.0))?;
    jars.block_on(async { tokio::join!(node.close(), bash.close(), js.close()) });
    Ok(())
}

/// Where pandas is: `BELLJAR_BENCH_VENV` names a virtual environment that has it.
fn pandas(effort: Effort, jars: &Jars) -> Result<(), Error> {
    let Some(venv) = std::env::var_os("BELLJAR_BENCH_VENV").map(PathBuf::from) else {
        return note("pandas: not measured, BELLJAR_BENCH_VENV names no virtual environment");
    };
    let template = Template::default().preload(["pandas"]);
    let sandbox = Sandbox::builder("python").program(&venv);
    let sandbox = sandbox.warm(Warm::default().template(template)).build()?;
    if let Some(why) = jars.block_on(sandbox.warm_up())?.refused {
        return note(&format!("pandas: not measured, {why}"));
    }
    let alone = venv.join("bin/python");
    let source = Source::code("import pandas; print(pandas.Series([1, 2]).sum())");
    let mut contest = Contest::default();
    contest.enter("python -c 'import pandas'", || bare(&alone, &["-c", "import pandas"]));
    contest.measure("python, pandas preloaded", || {
        jars.time(&sandbox, &Source::code("import pandas"))
    });
    contest.rest(REST);
    contest.measure("the same, used", || jars.time(&sandbox, &source));
    contest.rest(REST);
    let table = contest.hold(effort.rounds.div_ceil(5))?;
    table.print("pandas", "python -c 'import pandas'")?;
    let goal = Goal::AtMost(1.0 / 100.0);
    table.compare("python, pandas preloaded", &["python -c 'import pandas'"], goal)?;
    jars.block_on(sandbox.close());
    Ok(())
}

/// A steady load of half of what can be sustained: what one in a hundred waits.
fn load(effort: Effort, jars: &Jars) -> Result<(), Error> {
    let sandbox = warm(jars, "python", Warm::default().max(16))?;
    let sustained = jars.per_second(&sandbox, &Source::code(PRINT), runs(effort, 400), 4)?;
    let pause = Duration::from_secs_f64(2.0 / sustained);
    let mut table = Table::default();
    for _ in 0..runs(effort, 1000) {
        let started = Instant::now();
        table.record("python, forked ahead", jars.time(&sandbox, &Source::code(PRINT))?);
        std::thread::sleep(pause.saturating_sub(started.elapsed()));
    }
    let [p50, p99] = [50, 99].map(|part| table.quantile("python, forked ahead", part));
    let ratio = p99.as_secs_f64() / p50.as_secs_f64();
    note(&format!(
        "\nA steady load of {:.0}/s, half of the {sustained:.0}/s that can be sustained: \
         p99 {ratio:.2}x p50 ({} than 5x)",
        sustained / 2.0,
        if ratio <= 5.0 { "met: less" } else { "MISSED: more" }
    ))?;
    jars.block_on(sandbox.close());
    Ok(())
}

/// Every worker used once, as many at a time as there are processors, and twice that.
fn throughput(effort: Effort, jars: &Jars) -> Result<(), Error> {
    let number = runs(effort, 1000);
    let sandbox = warm(jars, "python", Warm::default().max(16))?;
    let fork = Waiting::forking(interpreter(&sandbox), &modules())?;
    let started = Instant::now();
    for _ in 0..number {
        fork.fork(PRINT)?;
    }
    let plain = started.elapsed();
    let per_second = jars.per_second(&sandbox, &Source::code(PRINT), number, 4)?;
    let wall = f64::from(u32::try_from(number)?) / per_second;
    note(&format!(
        "\n{number} plain forks, one after the other: {:.0}/s",
        f64::from(u32::try_from(number)?) / plain.as_secs_f64()
    ))?;
    note(&format!(
        "{number} forked starts, four at a time: {per_second:.0}/s, {:.2}x the wall time",
        wall / plain.as_secs_f64()
    ))?;
    jars.block_on(sandbox.close());
    Ok(())
}

/// What waits costs memory, and a supervisor that waits with it a little time.
fn footprint(effort: Effort, jars: &Jars) -> Result<(), Error> {
    const KIB: u64 = 1024;
    let sandbox = warm(jars, "python", Warm::default().min(8))?;
    let seconds = if effort.is_smoke { 1 } else { 10 };
    // Those that wait are the smallest of the interpreters: init and keeper are no interpreters.
    let mut waiting: Vec<u64> = descendants()
        .into_iter()
        .filter(|pid| is_interpreter(*pid))
        .filter_map(private_dirty_bytes)
        .collect();
    waiting.sort_unstable();
    let typical = waiting.get(waiting.len() / 2).copied().unwrap_or_default();
    let used = own_time()?;
    std::thread::sleep(Duration::from_secs(seconds));
    let spent =
        own_time()?.saturating_sub(used).as_secs_f64() / Duration::from_secs(seconds).as_secs_f64();
    let met = |is_met| if is_met { "met" } else { "MISSED" };
    note(&format!(
        "\nprivate memory of one waiting forked child: {} KiB, at most 1536: {}",
        typical / KIB,
        met(typical <= 1536 * KIB)
    ))?;
    note(&format!(
        "processor time of a supervisor with a warm pool, idle: {:.3} %, below 0.1 %: {}",
        spent * 100.0,
        met(spent < 0.001)
    ))?;
    jars.block_on(sandbox.close());
    Ok(())
}

fn is_interpreter(pid: i32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.starts_with("python")
}

/// Of this process, and of all below it.
fn own_time() -> Result<Duration, Error> {
    let mut ticks = 0;
    for pid in descendants().into_iter().chain([std::process::id().cast_signed()]) {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/schedstat")) else { continue };
        ticks += stat.split_whitespace().next().map_or(Ok(0), str::parse::<u64>)?;
    }
    Ok(Duration::from_nanos(ticks))
}

fn runs(effort: Effort, usual: usize) -> usize {
    if effort.is_smoke { 4 } else { usual }
}

/// What the template has imported by itself.
fn modules() -> Vec<&'static str> {
    "argparse ast base64 bisect calendar collections contextlib copy csv dataclasses datetime \
     decimal enum fractions functools glob hashlib heapq html inspect io itertools json logging \
     math operator pathlib pickle pprint random re secrets shlex shutil statistics string struct \
     subprocess tempfile textwrap time traceback types typing unicodedata uuid zlib"
        .split_whitespace()
        .collect()
}

fn bubblewrap(python: &Path) -> Vec<String> {
    let mut args = vec!["--unshare-all".to_owned(), "--die-with-parent".to_owned()];
    let prefix = python.ancestors().nth(2).unwrap_or(Path::new("/usr")).display().to_string();
    for path in ["/usr", "/lib", "/lib64", prefix.as_str()] {
        if Path::new(path).exists() {
            args.extend(["--ro-bind", path, path].map(str::to_owned));
        }
    }
    args.extend(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"].map(str::to_owned));
    args.extend([python.display().to_string(), "-c".to_owned(), PRINT.to_owned()]);
    args
}

fn note(text: &str) -> Result<(), Error> {
    use std::io::Write as _;
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
