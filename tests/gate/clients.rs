//! Ordinary programs that know nothing of a gate.

use std::net::Ipv4Addr;
use std::slice;

use belljar::{Allowed, Egress, Limits, Network, Outcome, SessionOptions, Source};
use belljar_tests::{Completion, Test, expect, limits, sandbox, stdout, tests};

use crate::places::{Names, Server, says};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        requests_of_python_reach_what_is_granted(Venv),
        fetch_of_node_reaches_what_is_granted(Node),
        bash_reaches_it_by_its_own_sockets(Bash),
        a_wildcard_stands_for_every_name_below_it(Python),
        one_name_has_as_many_ports_as_are_granted(Python),
        an_address_is_granted_as_it_is(Python),
        a_session_keeps_its_gate(Python),
        a_program_that_insists_has_a_proxy(Python),
        what_came_through_is_told(Python),
        servers_of_the_run_itself_stay_its_own(Python),
    ]
}

/// Grants, as somebody writes them.
pub(crate) fn grants(places: &[String]) -> Network {
    Network::Gate(places.iter().map(|place| place.parse().expect("a grant")).collect())
}

/// Runs code with these places granted.
pub(crate) async fn run_granted(
    runtime: &str,
    names: &Names,
    places: &[String],
    source: impl Into<Source>,
) -> Outcome {
    let sandbox = sandbox(runtime).egress(names.egress()).build().expect("a sandbox");
    sandbox.run(source.into().network(grants(places))).await.expect("an outcome")
}

async fn requests_of_python_reach_what_is_granted() {
    let (names, server) =
        (Names::here(&["api.test"]).await, Server::new(says("from outside")).await);
    let place = format!("api.test:{}", server.port);
    let code = format!("import requests; print(requests.get('http://{place}/').text)");
    let venv = std::env::var("BELLJAR_TEST_VENV").expect("what the test needs");
    let sandbox =
        sandbox("python").program(venv).egress(names.egress()).build().expect("a sandbox");
    let outcome = sandbox.run(Source::code(code).network(grants(&[place]))).await.expect("a run");
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "from outside\n");
}

async fn fetch_of_node_reaches_what_is_granted() {
    let (names, server) =
        (Names::here(&["api.test"]).await, Server::new(says("from outside")).await);
    let place = format!("api.test:{}", server.port);
    let code = format!("fetch('http://{place}/').then(r => r.text()).then(t => console.log(t))");
    let outcome = run_granted("node", &names, &[place], code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "from outside\n");
}

async fn bash_reaches_it_by_its_own_sockets() {
    let (names, server) =
        (Names::here(&["api.test"]).await, Server::new(says("from outside")).await);
    let place = format!("api.test:{}", server.port);
    let path = place.replace(':', "/");
    let code = format!(
        "exec 3<>/dev/tcp/{path}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; while read -r l <&3; do :; done; echo \"$l\""
    );
    let outcome = run_granted("bash", &names, &[place], code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "from outside\n");
}

/// Asks for a page of each place, and prints what it got, or the class of what went wrong.
pub(crate) fn asking(places: &[String]) -> String {
    let urls: Vec<_> = places.iter().map(|place| format!("'http://{place}/'")).collect();
    format!(
        "import urllib.request\nfor url in [{}]:\n    try:\n        \
         print(urllib.request.urlopen(url, timeout=10).read().decode())\n    \
         except OSError as error:\n        print(type(getattr(error, 'reason', error)).__name__)\n",
        urls.join(", ")
    )
}

async fn a_wildcard_stands_for_every_name_below_it() {
    let names = Names::here(&["a.pkg.test", "b.c.pkg.test", "pkg.test", "apkg.test"]).await;
    let server = Server::new(says("here")).await;
    let at = |host: &str| format!("{host}:{}", server.port);
    let asked = ["a.pkg.test", "b.c.pkg.test", "A.PKG.test", "pkg.test", "apkg.test"].map(at);
    let code = asking(&asked);
    let outcome = run_granted("python", &names, &[at("*.pkg.test")], code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "here\nhere\nhere\ngaierror\ngaierror\n");
    assert_eq!(server.came(), 3);
}

async fn one_name_has_as_many_ports_as_are_granted() {
    let names = Names::here(&["api.test"]).await;
    let servers = [Server::new(says("one")).await, Server::new(says("two")).await];
    let closed = Server::new(says("three")).await;
    let at = |server: &Server| format!("api.test:{}", server.port);
    let code = asking(&[at(&servers[0]), at(&servers[1]), at(&closed)]);
    let outcome = run_granted("python", &names, &[at(&servers[0]), at(&servers[1])], code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "one\ntwo\nConnectionRefusedError\n");
    assert_eq!(closed.came(), 0);
}

/// An address of this machine that an operator may open.
fn own_address() -> Option<Ipv4Addr> {
    let addresses = nix::ifaddrs::getifaddrs().expect("the interfaces");
    let mut addresses = addresses.filter_map(|it| Some(it.address?.as_sockaddr_in()?.ip()));
    // That of a machine in an example stays closed: RFC 5737.
    addresses.find(|it| !it.is_loopback() && !it.is_link_local() && !it.is_documentation())
}

async fn an_address_is_granted_as_it_is() -> Completion {
    let Some(address) = own_address() else {
        return Completion::ignored_with("a host with an address beyond loopback");
    };
    let server = Server::at(address, says("by number")).await;
    let range = format!("{address}/32").parse().expect("a range");
    let egress = Egress { allowed: Allowed::Anything, open_ranges: vec![range], resolver: None };
    let sandbox = sandbox("python").egress(egress).build().expect("a sandbox");
    let [a, b, _, _] = address.octets();
    for granted in [format!("{address}:{}", server.port), format!("{a}.{b}.0.0/16:{}", server.port)]
    {
        let code = asking(&[format!("{address}:{}", server.port)]);
        let source = Source::code(code).network(grants(&[granted]));
        let outcome = sandbox.run(source).await.expect("an outcome");
        expect(&outcome, "ok");
        assert_eq!(stdout(&outcome), "by number\n");
    }
    assert_eq!(server.came(), 2);
    Completion::Completed
}

async fn a_session_keeps_its_gate() {
    let (names, server) = (Names::here(&["api.test"]).await, Server::new(says("again")).await);
    let place = format!("api.test:{}", server.port);
    let sandbox = sandbox("python").egress(names.egress()).build().expect("a sandbox");
    let options = SessionOptions::new().network(grants(slice::from_ref(&place)));
    let session = sandbox.open(options).await.expect("a session");
    for _ in 0..2 {
        let code =
            format!("import urllib.request as u; u.urlopen('http://{place}').read().decode()");
        let answer = session.call(code.as_str()).await.expect("an answer");
        assert_eq!(answer.value.expect("a value").text, "'again'", "{:?}", answer.stderr);
    }
    drop(session.close().await);
    assert_eq!(server.came(), 2);
}

async fn a_program_that_insists_has_a_proxy() {
    let (names, server) = (Names::here(&["api.test"]).await, Server::new(says("tunnelled")).await);
    let place = format!("api.test:{}", server.port);
    let code = format!(
        "import http.client\nfor place in ['{place}', 'other.test:80', '127.0.0.1:{port}']:\n    \
         c = http.client.HTTPConnection('127.64.0.80', 3128)\n    c.set_tunnel(place)\n    \
         try:\n        c.request('GET', '/')\n        print(c.getresponse().read().decode())\n    \
         except OSError as error:\n        print(str(error)[:24])\n",
        port = server.port
    );
    let outcome = run_granted("python", &names, &[place], code).await;
    expect(&outcome, "ok");
    let said = stdout(&outcome);
    assert!(said.starts_with("tunnelled\nTunnel connection failed"), "{said}");
    assert_eq!(said.matches("Tunnel connection failed").count(), 2, "{said}");
    assert_eq!(server.came(), 1);
    assert!(outcome.denials.iter().any(|denial| denial.hint.contains("other.test:80")));
}

async fn what_came_through_is_told() {
    let (names, server) = (Names::here(&["api.test"]).await, Server::new(says("12345")).await);
    let answer_bytes = says("12345").len() as u64;
    let place = format!("api.test:{}", server.port);
    // Whoever is let in finds the one before told to the end. The last may still be open when its
    // run is over.
    let limits = Limits { connections: 1, ..limits() };
    let sandbox = sandbox("python").limits(limits).egress(names.egress()).build();
    let source = Source::code(asking(&[place.clone(), place.clone(), place.clone()]));
    let source = source.network(grants(slice::from_ref(&place)));
    let outcome = sandbox.expect("a sandbox").run(source).await.expect("an outcome");
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "12345\n".repeat(3));
    let network = outcome.network.expect("it had one");
    assert_eq!((network.kind, network.grants.as_slice()), ("gate", &[place][..]));
    assert_eq!(network.connections.len(), 3);
    for connection in &network.connections[..2] {
        assert_eq!((connection.host.as_str(), connection.port), ("api.test", server.port));
        assert_eq!(connection.address, Some(([127, 0, 0, 1], server.port).into()));
        assert_eq!(connection.verdict, "closed");
        assert_eq!(connection.received_bytes, answer_bytes);
        assert!(connection.sent_bytes > 30, "{connection:?}");
    }
    let all = 2 * answer_bytes..=3 * answer_bytes;
    assert!(all.contains(&network.received_bytes), "{network:?}");
}

async fn servers_of_the_run_itself_stay_its_own() {
    let (names, server) = (Names::here(&["api.test"]).await, Server::new(says("outside")).await);
    let place = format!("api.test:{}", server.port);
    let code = format!(
        "import http.server, threading, urllib.request\n\
         class Own(http.server.BaseHTTPRequestHandler):\n    def do_GET(self):\n        \
         self.send_response(200); self.end_headers(); self.wfile.write(b'inside')\n    \
         def log_message(self, *_): pass\n\
         own = http.server.HTTPServer(('127.0.0.1', {port}), Own)\n\
         threading.Thread(target=own.serve_forever, daemon=True).start()\n\
         for url in ['http://127.0.0.1:{port}/', 'http://localhost:{port}/', 'http://{place}/']:\n    \
         print(urllib.request.urlopen(url).read().decode())\n",
        port = server.port
    );
    let outcome = run_granted("python", &names, &[place], code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "inside\ninside\noutside\n");
    assert_eq!(server.came(), 1);
}
