//! How the cost of a warm start grows: with what a template has imported, and with how many runs
//! there are at once. With `BELLJAR_BENCH_PLOT=FILE` both are drawn, as an SVG.

use std::path::PathBuf;
use std::time::Duration;

use belljar::{Sandbox, Source, Template, Warm};
use belljar_benches::{Curve, Effort, Error, Jars, Plot, anonymous_bytes, descendants};

const PRINT: &str = "print(1)";
const STANDARD: [&str; 12] = [
    "asyncio",
    "http.client",
    "ssl",
    "sqlite3",
    "unittest",
    "xml.etree.ElementTree",
    "email",
    "urllib.request",
    "concurrent.futures",
    "multiprocessing",
    "ctypes",
    "doctest",
];
const AT_ONCE: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

fn main() -> Result<(), Error> {
    let effort = Effort::asked_for(60)?;
    let jars = Jars::new()?;
    let by_size = by_size(effort, &jars)?;
    let by_number = by_number(effort, &jars)?;
    if let Some(path) = std::env::var_os("BELLJAR_BENCH_PLOT") {
        let plot = Plot {
            title: "A warm start of Python, print(1), from the call to the outcome",
            curves: &[by_size, by_number].concat(),
        };
        std::fs::write(PathBuf::from(path), plot.svg())?;
    }
    Ok(())
}

/// Milliseconds by the private memory of a template, in MiB.
fn by_size(effort: Effort, jars: &Jars) -> Result<Vec<Curve>, Error> {
    say(&format!("{:<28}{:>14}{:>14}{:>14}", "template", "MiB", "ahead ms", "demand ms"))?;
    let venv = std::env::var_os("BELLJAR_BENCH_VENV").map(PathBuf::from);
    let mut sizes = vec![("bare", Some(Vec::new())), ("common modules", None)];
    sizes.push(("and a dozen larger ones", Some(STANDARD.to_vec())));
    if venv.is_some() {
        sizes.push(("numpy", Some(vec!["numpy"])));
        sizes.push(("pandas", Some(vec!["pandas"])));
    }
    let (mut ahead, mut demand) = (Vec::new(), Vec::new());
    for (name, modules) in sizes {
        let build = |warm: Warm| {
            let template = Template::default();
            let template = match &modules {
                Some(modules) => template.preload(modules.iter().copied()),
                None => template,
            };
            let builder = Sandbox::builder("python").warm(warm.template(template));
            match &venv {
                Some(venv) => builder.program(venv).build(),
                None => builder.build(),
            }
        };
        let (kept, empty) = (build(Warm::default())?, build(Warm::default().max(0))?);
        if let Some(why) = jars.block_on(kept.warm_up())?.refused {
            say(&format!("{name:<28}  not measured: {why}"))?;
            continue;
        }
        jars.block_on(empty.warm_up())?;
        let mib = template_mib();
        let [kept_ms, empty_ms] = [&kept, &empty].map(|sandbox| median(effort, jars, sandbox));
        let (kept_ms, empty_ms) = (kept_ms?, empty_ms?);
        say(&format!("{name:<28}{mib:>14.1}{kept_ms:>14.2}{empty_ms:>14.2}"))?;
        ahead.push((mib, kept_ms));
        demand.push((mib, empty_ms));
        jars.block_on(async { tokio::join!(kept.close(), empty.close()) });
    }
    let axis = "private memory of the template, MiB";
    Ok(vec![
        Curve { axis, name: "forked ahead", points: ahead },
        Curve { axis, name: "forked on demand", points: demand },
    ])
}

/// Milliseconds by how many runs there are at once.
fn by_number(effort: Effort, jars: &Jars) -> Result<Vec<Curve>, Error> {
    say(&format!("\n{:<28}{:>14}{:>14}", "runs at once", "each second", "p50 ms"))?;
    let most = if effort.is_smoke { 2 } else { AT_ONCE.len() };
    let mut points = Vec::new();
    for number in AT_ONCE.into_iter().take(most) {
        let warm = Warm::default().min(number.min(64)).max(64).memory_bytes(2 << 30);
        let sandbox = Sandbox::builder("python").warm(warm).build()?;
        jars.block_on(sandbox.warm_up())?;
        let runs = (number * 4).max(effort.rounds);
        let (each_second, p50) = jars.at_once(&sandbox, &Source::code(PRINT), runs, number)?;
        let p50 = p50.as_secs_f64() * 1e3;
        say(&format!("{number:<28}{each_second:>14.0}{p50:>14.2}"))?;
        points.push((f64::from(u32::try_from(number)?).log2(), p50));
        jars.block_on(sandbox.close());
    }
    Ok(vec![Curve { axis: "runs at once, log2", name: "p50", points }])
}

fn median(effort: Effort, jars: &Jars, sandbox: &Sandbox) -> Result<f64, Error> {
    let mut samples = Vec::with_capacity(effort.rounds);
    for _ in 0..effort.rounds {
        samples.push(jars.time(sandbox, &Source::code(PRINT))?);
        std::thread::sleep(Duration::from_millis(15));
    }
    samples.sort_unstable();
    Ok(samples.get(samples.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1e3)
}

/// In the largest process below this one: the template, as children only have what they wrote to.
fn template_mib() -> f64 {
    let sizes = descendants().into_iter().filter_map(anonymous_bytes);
    let kib = sizes.max().unwrap_or(0) / 1024;
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}

fn say(line: &str) -> Result<(), Error> {
    use std::io::Write as _;
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
