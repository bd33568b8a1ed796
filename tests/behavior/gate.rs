//! A gate, from a program that knows nothing of it to a server of the host.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use belljar::{Allowed, Chunk, Egress, Error, Network, Sandbox, Source, State};
use belljar_tests::{Test, expect, limits, sandbox, stderr, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_granted_name_is_reached_and_accounted_for(Python),
        what_is_not_granted_is_refused_and_told(Python),
        an_address_is_granted_like_a_name(Python),
        the_doors_of_a_gate_are_not_the_payloads(Python),
        no_server_of_the_host_is_in_reach_beside_the_gate(Python),
        many_grants_have_many_doors(Python),
        a_gate_needs_an_operator_who_allows_it(),
        a_gate_is_on_the_receipt(),
    ]
}

/// A server that answers each line in capitals, on a loopback address of the host.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut line = [0; 64];
                while let Ok(bytes @ 1..) = stream.read(&mut line) {
                    line[..bytes].make_ascii_uppercase();
                    if stream.write_all(&line[..bytes]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

/// A resolver that says 127.0.0.1 of every name.
fn resolver() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((bytes, from)) = socket.recv_from(&mut query) {
            let name_ends = 12 + query[12..bytes].iter().position(|byte| *byte == 0).unwrap();
            let question = &query[12..name_ends + 5];
            let wants_ipv4 = question[question.len() - 3] == 1;
            let mut answer = query[..2].to_vec();
            answer.extend([0x81, 0x80, 0, 1, 0, u8::from(wants_ipv4), 0, 0, 0, 0]);
            answer.extend(question);
            if wants_ipv4 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            if socket.send_to(&answer, from).is_err() {
                break;
            }
        }
    });
    address
}

fn operated(runtime: &str) -> Sandbox {
    let egress = Egress {
        allowed: Allowed::Anything,
        open_ranges: vec!["127.0.0.0/8".parse().unwrap()],
        resolver: Some(resolver()),
    };
    sandbox(runtime).limits(limits()).egress(egress).build().unwrap()
}

fn granted(code: String, grants: &[String]) -> Source {
    let grants = grants.iter().map(|grant| grant.parse().unwrap()).collect();
    Source::code(code).network(Network::Gate(grants))
}

async fn a_granted_name_is_reached_and_accounted_for() {
    let port = echo().port();
    let code = format!(
        "import socket\n\
         with socket.create_connection(('api.example.com', {port}), timeout=10) as server:\n\
         \x20   server.sendall(b'hello'); print(server.recv(10))\n"
    );
    let outcome =
        operated("python").run(granted(code, &[format!("api.example.com:{port}")])).await.unwrap();
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "b'HELLO'\n", "{}", stderr(&outcome));
    let network = outcome.network.unwrap();
    assert_eq!((network.kind, network.sent_bytes, network.received_bytes), ("gate", 5, 5));
    assert_eq!(network.grants, [format!("api.example.com:{port}")]);
    let [connection] = &network.connections[..] else { panic!("{network:?}") };
    assert_eq!((connection.host.as_str(), connection.port), ("api.example.com", port));
    assert_eq!(connection.address, Some(([127, 0, 0, 1], port).into()));
    assert!(outcome.denials.is_empty(), "{:?}", outcome.denials);
}

async fn what_is_not_granted_is_refused_and_told() {
    let port = echo().port();
    let code = "import socket\n\
                for _ in range(3):\n\
                \x20   try: socket.create_connection(('evil.example.net', 80), timeout=10); print('REACHED')\n\
                \x20   except OSError: pass\n\
                print('no')\n";
    let sandbox = operated("python");
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
    let [denied] = &outcome.denials[..] else { panic!("{:?}", outcome.denials) };
    assert_eq!(denied.kind, "network");
    assert!(denied.what.contains("evil.example.net"), "{denied:?}");
    assert!(denied.count >= 3, "{denied:?}");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].what, denied.what);
}

async fn an_address_is_granted_like_a_name() {
    // The jar has the address itself, and so has every address of a range.
    let code = "import socket\n\
                for host in '10.9.8.7', '10.77.1.2':\n\
                \x20   sock = socket.create_connection((host, 7), timeout=10)\n\
                \x20   print(sock.getpeername()[0], sock.recv(1))\n";
    let egress = Egress {
        allowed: Allowed::Anything,
        open_ranges: vec!["10.0.0.0/8".parse().unwrap()],
        resolver: Some(resolver()),
    };
    let sandbox = sandbox("python").egress(egress).build().unwrap();
    let source = granted(code.to_owned(), &["10.9.8.7:7".into(), "10.77.0.0/16:7".into()]);
    let outcome = sandbox.run(source).await.unwrap();
    // Nobody is there on this host; that it was asked for is what counts.
    let hosts: Vec<_> =
        outcome.network.unwrap().connections.iter().map(|it| it.host.clone()).collect();
    assert!(hosts.contains(&"10.9.8.7".to_owned()), "{hosts:?} {:?}", outcome.stderr);
}

async fn the_doors_of_a_gate_are_not_the_payloads() {
    let port = echo().port();
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
    let outcome =
        operated("python").run(granted(code, &[format!("api.example.com:{port}")])).await.unwrap();
    assert_eq!(stdout(&outcome), "True\n", "{}", stderr(&outcome));
}

async fn no_server_of_the_host_is_in_reach_beside_the_gate() {
    let (granted_port, other) = (echo().port(), echo().port());
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
    let outcome = operated("python").run(source).await.unwrap();
    assert_eq!(stdout(&outcome), "alone\n", "{}", stderr(&outcome));
}

async fn many_grants_have_many_doors() {
    let address = echo();
    let grants: Vec<_> = (0..64).map(|n| format!("n{n}.example.com:{}", address.port())).collect();
    let code = format!(
        "import socket\n\
         said = set()\n\
         for n in range(64):\n\
         \x20   with socket.create_connection((f'n{{n}}.example.com', {}), timeout=10) as it:\n\
         \x20       it.sendall(b'x'); said.add(it.recv(1))\n\
         print(said)\n",
        address.port()
    );
    let outcome = operated("python").run(granted(code, &grants)).await.unwrap();
    assert_eq!(stdout(&outcome), "{b'X'}\n", "{}", stderr(&outcome));
    assert_eq!(outcome.network.unwrap().connections.len(), 64);
}

async fn a_gate_needs_an_operator_who_allows_it() {
    let sandbox = sandbox("bash").build().unwrap();
    let refused = sandbox.run(granted("true".to_owned(), &["example.com:443".into()])).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
}

async fn a_gate_is_on_the_receipt() {
    let source = granted("true".to_owned(), &["example.com:443".into()]);
    let outcome = operated("bash").run(source).await.unwrap();
    expect(&outcome, "ok");
    let row = |name| outcome.receipt.limits.iter().find(|row| row.limit == name).unwrap();
    for name in ["connections", "network_bytes", "network_bytes_per_s"] {
        assert_eq!(row(name).state, State::Enforced);
        assert!(row(name).how.contains("the gate"));
    }
    assert!(outcome.receipt.layers[1].how.contains("the gate's sockets as the only way out"));
    assert!(outcome.usage.wall < Duration::from_secs(10));
}
