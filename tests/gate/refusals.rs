//! Attempts that end in the jar's own kernel, and are told all the same.

use belljar::{Denied, Outcome};
use belljar_tests::{Test, expect, stdout, tests};

use crate::clients::run_granted;
use crate::places::{Names, Server, says};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_place_that_was_not_granted_is_told_by_its_number(Python),
        another_port_of_a_granted_name_is_told_by_that_name(Python),
        datagrams_are_told(Python),
        every_attempt_is_counted(Python),
        servers_of_the_run_itself_are_its_own_affair(Python),
        whoever_knocks_everywhere_is_told_as_a_few(Python),
        nothing_that_a_run_does_with_itself_hides_an_attempt(Python),
        a_door_at_every_address_lets_nobody_through_but_to_what_was_granted(Python),
        a_grant_is_all_that_is_missing(Python),
        what_node_tries_is_told(Node),
    ]
}

/// What was refused, by which rule, and what to do about it.
fn told(outcome: &Outcome) -> Vec<(&str, &str, &str, u64)> {
    let network = outcome.denials.iter().filter(|denial| denial.kind == "network");
    network
        .map(|Denied { what, rule, hint, count, .. }| (what.as_str(), *rule, hint.as_ref(), *count))
        .collect()
}

/// Runs `code` where the name a.test and this port of it are granted.
async fn granted_one(runtime: &str, code: String) -> (Outcome, u16) {
    let (names, server) = (Names::here(&["a.test"]).await, Server::new(says("a")).await);
    let grants = [format!("a.test:{}", server.port)];
    let code = code.replace("GRANTED", &server.port.to_string());
    let outcome = run_granted(runtime, &names, &grants, code).await;
    expect(&outcome, "ok");
    (outcome, server.port)
}

/// Connects to each place, and prints how that ends.
fn connecting(places: &str) -> String {
    format!(
        "import socket\nfor place in {places}:\n    try:\n        \
         socket.create_connection(place, 5)\n        print('connected')\n    \
         except OSError as e:\n        print(type(e).__name__)\n"
    )
}

async fn a_place_that_was_not_granted_is_told_by_its_number() {
    let places = "[('1.2.3.4', 80), ('169.254.169.254', 80), ('10.1.2.3', 5432), \
                  ('2606:4700::1111', 443), ('::ffff:9.9.9.9', 53)]";
    let (outcome, _) = granted_one("python", connecting(places)).await;
    assert_eq!(stdout(&outcome), "ConnectionRefusedError\n".repeat(5));
    assert_eq!(
        told(&outcome),
        [
            (
                "connect to 1.2.3.4:80",
                "network/not-granted",
                "grant it with --allow-net 1.2.3.4:80",
                1
            ),
            (
                "connect to 169.254.169.254:80",
                "network/blocked-address",
                "169.254.169.254 is link-local (RFC 3927), where clouds keep metadata: no run reaches it",
                1
            ),
            (
                "connect to 10.1.2.3:5432",
                "network/private-address",
                "10.1.2.3 is private (RFC 1918): an operator can open its range",
                1
            ),
            (
                "connect to [2606:4700::1111]:443",
                "network/not-granted",
                "grant a name that leads there: IPv6 is reached by name only",
                1
            ),
            (
                "connect to 9.9.9.9:53",
                "network/not-granted",
                "grant it with --allow-net 9.9.9.9:53",
                1
            ),
        ]
    );
}

async fn another_port_of_a_granted_name_is_told_by_that_name() {
    let (outcome, _) = granted_one("python", connecting("[('a.test', 1)]")).await;
    assert_eq!(stdout(&outcome), "ConnectionRefusedError\n");
    let hint = "grant it with --allow-net a.test:1";
    assert_eq!(told(&outcome), [("connect to a.test:1", "network/not-granted", hint, 1)]);
}

async fn datagrams_are_told() {
    let code = "import socket\n\
                for family, place in ((2, ('8.8.8.8', 53)), (10, ('2001:4860:4860::8888', 53)),\n\
                \x20       (2, ('a.test', GRANTED)), (2, ('127.0.0.1', 9))):\n    \
                s = socket.socket(family, socket.SOCK_DGRAM)\n    s.settimeout(10)\n    \
                s.connect(place)\n    s.send(b'x')\n    try: print(s.recv(1))\n    \
                except OSError as e: print(type(e).__name__)\n";
    let (outcome, port) = granted_one("python", code.to_owned()).await;
    assert_eq!(stdout(&outcome), "ConnectionRefusedError\n".repeat(4));
    let hint = "TCP is all that is relayed; names resolve with the resolver of /etc/resolv.conf";
    let rule = "network/datagram";
    assert_eq!(
        told(&outcome),
        [
            ("send a datagram to 8.8.8.8:53", rule, hint, 1),
            ("send a datagram to [2001:4860:4860::8888]:53", rule, hint, 1),
            (format!("send a datagram to a.test:{port}").as_str(), rule, hint, 1),
        ]
    );
}

async fn every_attempt_is_counted() {
    let (outcome, _) = granted_one("python", connecting("[('1.2.3.4', 80)] * 100")).await;
    let (_, _, _, count) = told(&outcome)[0];
    assert_eq!((count, told(&outcome).len()), (100, 1));
}

async fn servers_of_the_run_itself_are_its_own_affair() {
    let code = "import socket\ns = socket.create_server(('', 0))\nport = s.getsockname()[1]\n\
                for host in ('127.0.0.1', 'localhost', '127.9.9.9'):\n    \
                socket.create_connection((host, port), 5).close()\n    \
                s.accept()[0].close()\n\
                s.close()\nfor host in ('127.0.0.1', '::1', 'localhost'):\n    \
                try: socket.create_connection((host, port), 5)\n    \
                except ConnectionRefusedError: print('refused')\n\
                u = socket.socket(2, socket.SOCK_DGRAM)\nu.connect(('192.0.2.1', 9))\n\
                print(u.getsockname()[0])\n";
    let (outcome, _) = granted_one("python", code.to_owned()).await;
    assert_eq!(stdout(&outcome), "refused\nrefused\nrefused\n127.0.0.1\n");
    assert_eq!(told(&outcome), []);
}

/// Five thousand places, as fast as it can.
async fn whoever_knocks_everywhere_is_told_as_a_few() {
    let code = "import socket\nfor port in range(1, 5000):\n    \
                s = socket.socket()\n    s.setblocking(False)\n    \
                s.connect_ex(('1.2.3.4', port))\n    s.close()\nprint('done')\n";
    let (outcome, _) = granted_one("python", code.to_owned()).await;
    assert_eq!(stdout(&outcome), "done\n");
    let told = told(&outcome);
    assert!((65..=66).contains(&told.len()), "{}", told.len());
    assert!(told.iter().any(|(what, ..)| *what == "connect to other places"), "{told:?}");
}

/// Refused and broken connections of its own, more than are heard in a second, and then an attempt.
async fn nothing_that_a_run_does_with_itself_hides_an_attempt() {
    let code = "import socket, struct\nfor _ in range(4000):\n    \
                s = socket.socket()\n    s.connect_ex(('127.0.0.1', 1))\n    s.close()\n\
                server = socket.create_server(('127.0.0.1', 0))\nfor _ in range(1500):\n    \
                s = socket.create_connection(server.getsockname())\n    t, _ = server.accept()\n    \
                t.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\n    \
                t.close()\n    s.close()\n\
                print(socket.socket().connect_ex(('169.254.169.254', 80)))\n";
    let (outcome, _) = granted_one("python", code.to_owned()).await;
    assert_eq!(stdout(&outcome), format!("{}\n", nix::libc::ECONNREFUSED));
    let told = told(&outcome);
    let [(what, rule, _, 1)] = told[..] else { unreachable!("{told:?}") };
    assert_eq!((what, rule), ("connect to 169.254.169.254:80", "network/blocked-address"));
}

/// A wildcard has one socket for all addresses of the jar, and those are all that there are.
async fn a_door_at_every_address_lets_nobody_through_but_to_what_was_granted() {
    let names = Names::here(&["a.b.test", "c.test"]).await;
    let server = Server::new(says("b")).await;
    let port = server.port;
    let code = format!(
        "import socket\n\
         for host in ('1.2.3.4', '169.254.169.254', '127.0.0.1', '10.0.0.1', 'a.b.test'):\n    \
         try:\n        s = socket.create_connection((host, {port}), 5)\n        \
         s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n        \
         print(s.recv(4096).decode().split()[-1])\n    \
         except OSError as e:\n        print(type(e).__name__)\n"
    );
    let grants = [format!("*.b.test:{port}")];
    let outcome = run_granted("python", &names, &grants, code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "ConnectionResetError\n".repeat(4) + "b\n");
    assert_eq!(server.came(), 1);
    let rules: Vec<_> = told(&outcome).into_iter().map(|(what, rule, ..)| (what, rule)).collect();
    let connect = |host: &str| format!("connect to {host}:{port}");
    assert_eq!(
        rules,
        [
            (connect("1.2.3.4").as_str(), "network/not-granted"),
            (connect("169.254.169.254").as_str(), "network/blocked-address"),
            (connect("127.0.0.1").as_str(), "network/not-granted"),
            (connect("10.0.0.1").as_str(), "network/private-address"),
        ]
    );
    let verdicts = outcome.network.expect("it had one").connections;
    let verdicts: Vec<_> = verdicts.iter().map(|connection| connection.verdict).collect();
    let wanted = ["not_granted", "refused_address", "not_granted", "refused_address"];
    // The last may still be open when its run is over.
    let [refused @ .., "closed" | "run_ended"] = &verdicts[..] else {
        unreachable!("{verdicts:?}")
    };
    assert_eq!(refused, wanted);
}

/// What a hint says works: the same program with that grant gets there.
async fn a_grant_is_all_that_is_missing() {
    let names = Names::here(&["a.test"]).await;
    let (one, other) = (Server::new(says("one")).await, Server::new(says("other")).await);
    let code = format!(
        "import socket\ntry:\n    s = socket.create_connection(('a.test', {}), 5)\n    \
         s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n    print(s.recv(4096).decode().split()[-1])\n\
         except OSError as e:\n    print(type(e).__name__)\n",
        other.port
    );
    let mut grants = vec![format!("a.test:{}", one.port)];
    let refused = run_granted("python", &names, &grants, code.clone()).await;
    assert_eq!(stdout(&refused), "ConnectionRefusedError\n");
    let (_, _, hint, _) = told(&refused)[0];
    grants.push(hint.rsplit(' ').next().expect("a grant").to_owned());
    let outcome = run_granted("python", &names, &grants, code).await;
    assert_eq!(stdout(&outcome), "other\n");
    assert_eq!(told(&outcome), []);
}

async fn what_node_tries_is_told() {
    let code = "fetch('http://1.2.3.4/').catch((e) => console.log(e.cause.code))";
    let (outcome, _) = granted_one("node", code.to_owned()).await;
    assert_eq!(stdout(&outcome), "ECONNREFUSED\n");
    let hint = "grant it with --allow-net 1.2.3.4:80";
    assert_eq!(told(&outcome), [("connect to 1.2.3.4:80", "network/not-granted", hint, 1)]);
}
