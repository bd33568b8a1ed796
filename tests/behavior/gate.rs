//! A gate, from a program that knows nothing of it to a server of the host.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use belljar::{Allowed, Chunk, Egress, Error, Limits, Network, Outcome, Sandbox, Source, State};
use belljar_tests::{Test, expect, limits, sandbox, stderr, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_granted_name_is_reached_and_accounted_for(Python),
        what_is_not_granted_is_refused_and_told(Python),
        every_address_is_the_jars_own(Python),
        the_doors_of_a_gate_are_not_the_payloads(Python),
        no_server_of_the_host_is_in_reach_beside_the_gate(Python),
        many_grants_have_many_doors(Python),
        every_limit_of_a_gate_when_lowered_changes_a_run(Python),
        a_gate_needs_an_operator_who_allows_it(),
        a_gate_is_on_the_receipt(),
    ]
}

/// A server of the host, on a loopback address, until it is dropped.
struct Server {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    wake: fn(SocketAddr),
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(
        address: SocketAddr,
        wake: fn(SocketAddr),
        mut serve_one: impl FnMut() + Send + 'static,
    ) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !ends.load(Ordering::SeqCst) {
                serve_one();
            }
        });
        Self { address, is_over, wake, thread: Some(thread) }
    }

    fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        (self.wake)(self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Answers each line in capitals.
fn echo() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let wake = |address| drop(TcpStream::connect(address));
    Server::start(listener.local_addr().unwrap(), wake, move || {
        let mut stream = listener.accept().unwrap().0;
        let mut line = [0; 64];
        while let Ok(bytes @ 1..) = stream.read(&mut line) {
            line[..bytes].make_ascii_uppercase();
            if stream.write_all(&line[..bytes]).is_err() {
                break;
            }
        }
    })
}

/// Greets whoever comes, and keeps them.
fn greeter() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let wake = |address| drop(TcpStream::connect(address));
    let mut guests = Vec::new();
    Server::start(listener.local_addr().unwrap(), wake, move || {
        let mut guest = listener.accept().unwrap().0;
        if guest.write_all(b"welcome").is_ok() {
            guests.push(guest);
        }
    })
}

/// A resolver that says 127.0.0.1 of every name.
fn resolver() -> Server {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let wake = |address| drop(UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[], address));
    Server::start(socket.local_addr().unwrap(), wake, move || {
        let mut query = [0; 512];
        let (bytes, from) = socket.recv_from(&mut query).unwrap();
        if bytes < 17 {
            return;
        }
        let name_ends = 12 + query[12..bytes].iter().position(|byte| *byte == 0).unwrap();
        let question = &query[12..name_ends + 5];
        let wants_ipv4 = question[question.len() - 3] == 1;
        let mut answer = query[..2].to_vec();
        answer.extend([0x81, 0x80, 0, 1, 0, u8::from(wants_ipv4), 0, 0, 0, 0]);
        answer.extend(question);
        if wants_ipv4 {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
        }
        socket.send_to(&answer, from).unwrap();
    })
}

/// Runs a source where an operator lets everything be reached that is on this host.
async fn operated(runtime: &str, source: Source) -> Outcome {
    let resolver = resolver();
    operated_by(runtime, &resolver).run(source).await.unwrap()
}

fn operated_by(runtime: &str, resolver: &Server) -> Sandbox {
    let egress = Egress {
        allowed: Allowed::Anything,
        open_ranges: ["127.0.0.0/8", "10.0.0.0/8"].map(|range| range.parse().unwrap()).to_vec(),
        resolver: Some(resolver.address),
    };
    sandbox(runtime).limits(limits()).egress(egress).build().unwrap()
}

fn granted(code: String, grants: &[String]) -> Source {
    let grants = grants.iter().map(|grant| grant.parse().unwrap()).collect();
    Source::code(code).network(Network::Gate(grants))
}

async fn a_granted_name_is_reached_and_accounted_for() {
    let server = echo();
    let port = server.port();
    let code = format!(
        "import socket\n\
         with socket.create_connection(('api.example.com', {port}), timeout=10) as server:\n\
         \x20   server.sendall(b'hello'); print(server.recv(10))\n"
    );
    let outcome = operated("python", granted(code, &[format!("api.example.com:{port}")])).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "b'HELLO'\n", "{}", stderr(&outcome));
    let network = outcome.network.unwrap();
    assert_eq!((network.kind, network.sent_bytes, network.received_bytes), ("gate", 5, 5));
    assert_eq!(network.grants, [format!("api.example.com:{port}")]);
    assert_eq!(network.connections.len(), 1, "{network:?}");
    let connection = &network.connections[0];
    assert_eq!((connection.host.as_str(), connection.port), ("api.example.com", port));
    assert_eq!(connection.address, Some(([127, 0, 0, 1], port).into()));
    assert!(outcome.denials.is_empty(), "{:?}", outcome.denials);
}

async fn what_is_not_granted_is_refused_and_told() {
    let server = echo();
    let port = server.port();
    let code = "import socket\n\
                for _ in range(3):\n\
                \x20   try: socket.create_connection(('evil.example.net', 80), timeout=10); print('REACHED')\n\
                \x20   except OSError: pass\n\
                print('no')\n";
    let resolver = resolver();
    let sandbox = operated_by("python", &resolver);
    let source = || granted(code.to_owned(), &[format!("api.example.com:{port}")]);
    let mut run = sandbox.start(source()).await.unwrap();
    let mut told = Vec::new();
    while let Some(chunk) = run.output().await {
        if let Chunk::Denial(denied) = chunk {
            told.push(denied);
        }
    }
    let outcome = run.wait().await.unwrap();
    assert_eq!(stdout(&outcome), "no\n");
    assert_eq!(outcome.denials.len(), 1, "{:?}", outcome.denials);
    let denied = &outcome.denials[0];
    assert_eq!(denied.kind, "network");
    assert!(denied.what.contains("evil.example.net"), "{denied:?}");
    assert!(denied.count >= 3, "{denied:?}");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].what, denied.what);
}

async fn every_address_is_the_jars_own() {
    // Nobody listens at these ports, so nothing is asked of the gate: what is local refuses. The
    // last address of a range would be a broadcast elsewhere.
    let code = "import socket\n\
                for host in '10.9.8.7', '10.77.1.2', '10.77.255.255', '10.9.8.6', '10.78.0.1':\n\
                \x20   try: socket.create_connection((host, 8), timeout=10)\n\
                \x20   except OSError as error: print(host, error.errno)\n";
    let source = granted(code.to_owned(), &["10.9.8.7:7".into(), "10.77.0.0/16:7".into()]);
    let outcome = operated("python", source).await;
    let refused = nix::libc::ECONNREFUSED;
    let hosts = ["10.9.8.7", "10.77.1.2", "10.77.255.255", "10.9.8.6", "10.78.0.1"];
    let said = hosts.map(|host| format!("{host} {refused}\n"));
    assert_eq!(stdout(&outcome), said.concat(), "{}", stderr(&outcome));
    let told = outcome.denials.iter().map(|denial| denial.what.clone());
    assert_eq!(told.collect::<Vec<_>>(), hosts.map(|host| format!("connect to {host}:8")));
    assert!(outcome.network.unwrap().connections.is_empty());
}

async fn the_doors_of_a_gate_are_not_the_payloads() {
    let server = echo();
    let port = server.port();
    let code = format!(
        "import socket\n\
         there = socket.gethostbyname('api.example.com')\n\
         for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:\n\
         \x20   for host, port in (there, {port}), ('0.0.0.0', {port}), ('0.0.0.0', 53):\n\
         \x20       for option in socket.SO_REUSEADDR, socket.SO_REUSEPORT:\n\
         \x20           if kind == socket.SOCK_DGRAM and port != 53: continue\n\
         \x20           sock = socket.socket(socket.AF_INET, kind)\n\
         \x20           sock.setsockopt(socket.SOL_SOCKET, option, 1)\n\
         \x20           try: sock.bind((host, port)); sock.listen(); print('TAKEN', kind, host, port)\n\
         \x20           except OSError as error: pass\n\
         print(there.startswith('127.'))\n"
    );
    let outcome = operated("python", granted(code, &[format!("api.example.com:{port}")])).await;
    assert_eq!(stdout(&outcome), "True\n", "{}", stderr(&outcome));
}

async fn no_server_of_the_host_is_in_reach_beside_the_gate() {
    let (server, beside) = (echo(), echo());
    let (granted_port, other) = (server.port(), beside.port());
    let code = format!(
        "import socket\n\
         for host in '127.0.0.1', 'localhost', 'api.example.com', '127.0.1.1', '::1':\n\
         \x20   for port in {other}, {granted_port}:\n\
         \x20       if (host, port) == ('api.example.com', {granted_port}): continue\n\
         \x20       try: socket.create_connection((host, port), timeout=5); print('REACHED', host, port)\n\
         \x20       except OSError: pass\n\
         print('alone')\n"
    );
    let source = granted(code, &[format!("api.example.com:{granted_port}")]);
    let outcome = operated("python", source).await;
    assert_eq!(stdout(&outcome), "alone\n", "{}", stderr(&outcome));
}

async fn many_grants_have_many_doors() {
    let server = echo();
    let grants: Vec<_> = (0..64).map(|n| format!("n{n}.example.com:{}", server.port())).collect();
    let code = format!(
        "import socket\n\
         said = set()\n\
         for n in range(64):\n\
         \x20   with socket.create_connection((f'n{{n}}.example.com', {}), timeout=10) as it:\n\
         \x20       it.sendall(b'x'); said.add(it.recv(1))\n\
         print(said)\n",
        server.port()
    );
    let outcome = operated("python", granted(code, &grants)).await;
    assert_eq!(stdout(&outcome), "{b'X'}\n", "{}", stderr(&outcome));
    assert_eq!(outcome.network.unwrap().connections.len(), 64);
}

/// Those that only a gate has, in their order.
pub(crate) const LIMITS: [&str; 3] = ["connections", "network_bytes", "network_bytes_per_s"];

async fn every_limit_of_a_gate_when_lowered_changes_a_run() {
    let (guests, lines, resolver) = (greeter(), echo(), resolver());
    let begin = |port: u16| {
        format!("import socket, time\nthere = ('api.example.com', {port})\nbegan = time.time()\n")
    };
    let two = begin(guests.port())
        + "one = socket.create_connection(there); print(one.recv(9))\n\
           two = socket.create_connection(there, timeout=5)\n\
           try: print(two.recv(9))\n\
           except TimeoutError: print('waits')\n";
    let many = begin(lines.port())
        + "sock, came = socket.create_connection(there), 0\n\
           try:\n    \
               for turn in 10_000, 20_000, 30_000:\n        \
                   sock.sendall(bytes(10_000))\n        \
                   while came < turn and (part := sock.recv(65536)): came += len(part)\n\
           except OSError: pass\n\
           print(came == 30_000, time.time() - began > 3)\n";
    let table = [
        (&two, &guests, Limits { connections: 1, ..limits() }),
        (&many, &lines, Limits { network_bytes: 10_000, ..limits() }),
        (&many, &lines, Limits { network_bytes_per_s: 10_000, ..limits() }),
    ];
    for (name, (code, server, lowered)) in LIMITS.iter().zip(table) {
        let source = || granted(code.clone(), &[format!("api.example.com:{}", server.port())]);
        let plenty = operated_by("python", &resolver).run(source()).await.unwrap();
        let sandbox = operated_by("python", &resolver).with_limits(lowered).unwrap();
        let little = sandbox.run(source()).await.unwrap();
        assert_ne!(stdout(&plenty), stdout(&little), "{name}: {}", stderr(&little));
        expect(&plenty, "ok");
    }
}

async fn a_gate_needs_an_operator_who_allows_it() {
    let sandbox = sandbox("bash").build().unwrap();
    let refused = sandbox.run(granted("true".to_owned(), &["example.com:443".into()])).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
}

async fn a_gate_is_on_the_receipt() {
    let source = granted("true".to_owned(), &["example.com:443".into()]);
    let outcome = operated("bash", source).await;
    expect(&outcome, "ok");
    let row = |name| outcome.receipt.limits.iter().find(|row| row.limit == name).unwrap();
    for name in ["connections", "network_bytes", "network_bytes_per_s"] {
        assert_eq!(row(name).state, State::Enforced);
        assert!(row(name).how.contains("the gate"));
    }
    assert!(outcome.receipt.layers[1].how.contains("the gate's sockets as the only way out"));
    assert!(outcome.usage.wall < Duration::from_secs(10));
}
