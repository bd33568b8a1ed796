//! What the gate costs: a Python program that connects and loads, in a jar through the gate, and
//! without a jar directly; and what a grant costs at the start, to runs with one and without.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use belljar::{Allowed, Egress, Limits, Network, Sandbox, Source};
use belljar_benches::{Contest, Effort, Error, Goal, Jars, interpreter};

/// Prints how many seconds it took.
const CONNECT: &str = "
import socket, sys, time
port, number = int(sys.argv[1]), int(sys.argv[2])
began = time.perf_counter()
for _ in range(number):
    with socket.create_connection(('127.0.0.1', port)) as connection:
        connection.sendall(b'?')
        assert connection.recv(1) == b'!'
print(time.perf_counter() - began)
";
const LOAD: &str = "
import socket, sys, time
port, number = int(sys.argv[1]), int(sys.argv[2])
buffer = bytearray(1 << 20)
with socket.create_connection(('127.0.0.1', port)) as connection:
    began = time.perf_counter()
    connection.sendall(b'x')
    while number > 0:
        read = connection.recv_into(buffer)
        assert read > 0
        number -= read
print(time.perf_counter() - began)
";
const NOOP: &str = env!("CARGO_BIN_EXE_belljar-bench-noop");
const CONNECTIONS: u32 = 200;
const LOADED_BYTES: u64 = 256 << 20;
const ADDED: Duration = Duration::from_micros(300);

fn main() -> Result<(), Error> {
    let effort = Effort::asked_for(15)?;
    let jars = Jars::new()?;
    starts(effort, &jars)?;
    traffic(effort, &jars)
}

/// A program that does nothing. Whether a run could be granted something is nothing to it.
fn starts(effort: Effort, jars: &Jars) -> Result<(), Error> {
    const WITHOUT: &str = "no grant, and none possible";
    let grants = || Egress { allowed: Allowed::Anything, ..Egress::default() };
    let closed = Sandbox::builder("native").build()?;
    let open = Sandbox::builder("native").egress(grants()).build()?;
    let granted = Network::Gate(vec!["a.example.com:443".parse()?]);
    let mut contest = Contest::default();
    for (row, sandbox, network) in [
        (WITHOUT, &closed, Network::None),
        ("no grant, but some possible", &open, Network::None),
        ("loopback", &open, Network::Loopback),
        ("one grant", &open, granted),
    ] {
        let source = Source::program(NOOP).network(network);
        contest.enter(row, move || jars.run(sandbox, &source).map(drop));
    }
    let table = contest.hold(effort.rounds.saturating_mul(10))?;
    table.print("A native program that does nothing, and the network it is given", WITHOUT)?;
    table.compare("no grant, but some possible", &[WITHOUT], Goal::AtMost(1.02))?;
    Ok(table.compare("one grant", &[WITHOUT], Goal::Told)?)
}

fn traffic(effort: Effort, jars: &Jars) -> Result<(), Error> {
    let limits =
        Limits { network_bytes: 1 << 40, network_bytes_per_s: 1 << 36, ..Limits::strict() };
    let egress = Egress {
        allowed: Allowed::Anything,
        open_ranges: vec!["127.0.0.0/8".parse()?],
        resolver: None,
    };
    let sandbox = Sandbox::builder("python").limits(limits).egress(egress).build()?;
    let answers = serve(answer)?;
    let loads = serve(load)?;
    let mut contest = Contest::default();
    for (row, code, port, number) in [
        ("a connection", CONNECT, answers, u64::from(CONNECTIONS)),
        ("a load of 256 MiB", LOAD, loads, LOADED_BYTES),
    ] {
        let each = if port == answers { CONNECTIONS } else { 1 };
        let sandbox = &sandbox;
        let args = [port.to_string(), number.to_string()];
        let direct_args = args.clone();
        contest.measure(&format!("{row}, directly"), move || {
            Ok(directly(interpreter(sandbox), code, &direct_args)? / each)
        });
        contest.measure(&format!("{row}, through the gate"), move || {
            let grant = format!("127.0.0.1:{port}").parse()?;
            let [port, number] = &args;
            let source = Source::code(code).arg(port).arg(number);
            let source = source.network(Network::Gate(vec![grant]));
            Ok(seconds(&jars.run(sandbox, &source)?.stdout.bytes)? / each)
        });
    }
    let table = contest.hold(effort.rounds)?;
    table.print("The gate", "a load of 256 MiB, directly")?;
    table.compare(
        "a load of 256 MiB, through the gate",
        &["a load of 256 MiB, directly"],
        Goal::AtMost(2.0),
    )?;
    Ok(table.exceed("a connection, through the gate", "a connection, directly", ADDED)?)
}

fn directly(python: &std::path::Path, code: &str, args: &[String; 2]) -> Result<Duration, Error> {
    let mut command = Command::new(python);
    let out = command.args(["-I", "-c", code]).args(args).stderr(Stdio::inherit()).output()?;
    seconds(&out.stdout)
}

fn seconds(printed: &[u8]) -> Result<Duration, Error> {
    Ok(Duration::try_from_secs_f64(std::str::from_utf8(printed)?.trim().parse()?)?)
}

/// A server that does `each` with every connection, on a thread of its own.
fn serve(each: fn(TcpStream) -> std::io::Result<()>) -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes is none of the server's business; its own row says so.
            std::thread::spawn(move || each(stream).is_ok());
        }
    });
    Ok(port)
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.read_exact(&mut [0])?;
    stream.write_all(b"!")
}

fn load(mut stream: TcpStream) -> std::io::Result<()> {
    stream.read_exact(&mut [0])?;
    let piece = vec![7; 1 << 20];
    for _ in 0..LOADED_BYTES >> 20 {
        stream.write_all(&piece)?;
    }
    Ok(())
}
