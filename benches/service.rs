//! What the service costs: a run over the socket, JSON in and out, against the same run through the
//! library.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use belljar::{Sandbox, SessionOptions, Source, Warm};
use belljar_benches::{Client, Contest, Effort, Error, Jars, Service, Table, cpu_of};
use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

const PRINT: &str = "print(1)";
const STAMP: &str = "import time; print(time.monotonic_ns(), flush=True); time.sleep(0.02)";
const AT_ONCE: usize = 4;
/// What a pool needs after a run, so that its work is not done in the next row's time.
const REST: Duration = Duration::from_millis(15);

const LIBRARY: &str = "python, forked, through the library";
const SERVED: &str = "the same over the socket";
const CALL: &str = "call of a session, through the library";
const SERVED_CALL: &str = "the same call over the socket";
const FIRST: &str = "first byte, from its write to its event";

const MOST_ADDED: Duration = Duration::from_micros(250);
const MOST_ADDED_CPU: f64 = 1.15;
const MOST_FIRST: Duration = Duration::from_millis(2);

fn main() -> Result<(), Error> {
    let effort = Effort::asked_for(400)?;
    let jars = Jars::new()?;
    let sandbox = Sandbox::builder("python").warm(Warm::default()).build()?;
    let warmth = jars.block_on(sandbox.warm_up())?;
    if let Some(why) = warmth.refused {
        return Err(why.into());
    }
    let service = Service::start(&["--warm", "python"])?;
    latency(effort, &jars, &sandbox, &service)?;
    calls(effort, &jars, &sandbox, &service)?;
    first_byte(effort, &service)?;
    processor(effort, &jars, &sandbox, &service)?;
    jars.block_on(sandbox.close());
    Ok(())
}

fn latency(effort: Effort, jars: &Jars, sandbox: &Sandbox, service: &Service) -> Result<(), Error> {
    let source = Source::code(PRINT);
    let mut client = service.connect()?;
    let mut contest = Contest::default();
    // As its caller sees it, on another thread, as the other row is.
    contest.enter(LIBRARY, || jars.run(sandbox, &source).map(drop));
    contest.rest(REST);
    contest.enter(SERVED, || run(&mut client));
    contest.rest(REST);
    let table = contest.hold(effort.rounds)?;
    table.print("A run, print(1)", LIBRARY)?;
    Ok(table.exceed(SERVED, LIBRARY, MOST_ADDED)?)
}

fn calls(effort: Effort, jars: &Jars, sandbox: &Sandbox, service: &Service) -> Result<(), Error> {
    let session = jars.block_on(sandbox.open(SessionOptions::new()))?;
    let mut client = service.connect()?;
    let opened = client.ask("/v1/sessions", &json!({"runtime": "python"}))?;
    let place = format!("/v1/sessions/{}/calls", text(&opened, "/id"));
    let call = json!({"code": "1 + 1"});
    let mut contest = Contest::default();
    contest.enter(CALL, || {
        let answer = jars.block_on(session.call("1 + 1"))?;
        answer.value.map(drop).ok_or_else(|| "no result".into())
    });
    contest.enter(SERVED_CALL, || {
        let answer = client.ask(&place, &call)?;
        let is_two = text(&answer, "/result/text") == "2";
        is_two.then_some(()).ok_or_else(|| answer.to_string().into())
    });
    let table = contest.hold(effort.rounds)?;
    table.print("A call of a session, 1 + 1", CALL)?;
    table.exceed(SERVED_CALL, CALL, MOST_ADDED)?;
    Ok(jars.block_on(session.close()).map(drop)?)
}

fn first_byte(effort: Effort, service: &Service) -> Result<(), Error> {
    let mut client = service.connect()?;
    let mut table = Table::default();
    let body = json!({"runtime": "python", "code": STAMP});
    for _ in 0..effort.rounds {
        client.follow("/v1/runs", &body, |event| {
            // What ends the line may be an event of its own.
            if let Ok(written) = text(event, "/content").trim().parse() {
                let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
                table.record(FIRST, now.saturating_sub(Duration::from_nanos(written)));
            }
            Ok(())
        })?;
        thread::sleep(REST);
    }
    table.print("Output, as it comes", FIRST)?;
    let typical = table.p50(FIRST).ok_or("no output")?;
    let word = if typical <= MOST_FIRST { "met" } else { "MISSED" };
    note(&format!("{FIRST}: p50 {typical:?}, at most {MOST_FIRST:?}: {word}"))
}

/// Processor time of the process that has the jars, for each run, with all processors at work.
fn processor(
    effort: Effort,
    jars: &Jars,
    sandbox: &Sandbox,
    service: &Service,
) -> Result<(), Error> {
    let number = if effort.is_smoke { AT_ONCE } else { 250 };
    let own = std::process::id();
    let (mut library, mut served) = (Duration::ZERO, Duration::ZERO);
    let mut speeds = [0.0; 2];
    let blocks = effort.rounds.div_ceil(50);
    for _ in 0..blocks {
        let before = cpu_of(own)?;
        speeds[0] += jars.per_second(sandbox, &Source::code(PRINT), number, AT_ONCE)?;
        library += cpu_of(own)?.saturating_sub(before);
        thread::sleep(REST);
        let (before, began) = (service.cpu()?, Instant::now());
        at_once(service, number)?;
        speeds[1] += f64::from(u32::try_from(number)?) / began.elapsed().as_secs_f64();
        served += service.cpu()?.saturating_sub(before);
        thread::sleep(REST);
    }
    let runs = u32::try_from(number * blocks)?;
    let ratio = served.as_secs_f64() / library.as_secs_f64();
    let word = if ratio <= MOST_ADDED_CPU { "met" } else { "MISSED" };
    let per_block = f64::from(u32::try_from(blocks)?);
    let speeds = speeds.map(|sum| sum / per_block);
    note(&format!(
        "\nprocessor time of a run, {AT_ONCE} at a time: library {:?}, service {:?}: {ratio:.2}x, \
         at most {MOST_ADDED_CPU}x: {word}",
        library / runs,
        served / runs,
    ))?;
    note(&format!("runs in a second: library {:.0}, service {:.0}", speeds[0], speeds[1]))
}

fn at_once(service: &Service, number: usize) -> Result<(), Error> {
    let share = number.div_ceil(AT_ONCE);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = service.connect().map_err(|error| error.to_string())?;
                    (0..share).try_for_each(|_| run(&mut client).map_err(|error| error.to_string()))
                })
            })
            .collect();
        for client in clients {
            client.join().map_err(|_| "a client ended early")??;
        }
        Ok(())
    })
}

fn run(client: &mut Client) -> Result<(), Error> {
    let ended = client.ask("/v1/runs", &json!({"runtime": "python", "code": PRINT}))?;
    is_good(&ended).then_some(()).ok_or_else(|| ended.to_string().into())
}

fn is_good(ended: &Value) -> bool {
    [("/status", "ok"), ("/start", "forked"), ("/stdout", "1\n")]
        .iter()
        .all(|(place, wanted)| text(ended, place) == *wanted)
}

fn text<'a>(row: &'a Value, place: &str) -> &'a str {
    row.pointer(place).and_then(Value::as_str).unwrap_or_default()
}

fn note(text: &str) -> Result<(), Error> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
