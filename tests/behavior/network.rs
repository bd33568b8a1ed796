//! A network of a run's own: what ordinary programs do with a loopback interface.

use std::net::{TcpListener, UdpSocket};

use belljar::{Error, Limits, Network, Outcome, SessionOptions, Source, State};
use belljar_protocol::Layer;
use belljar_tests::{Test, expect, run, run_with, sandbox, stderr, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_server_and_its_client_meet(Python),
        an_event_loop_serves_itself(Python),
        a_server_of_http_is_asked_by_another_process(Python),
        datagrams_arrive(Python),
        node_serves_and_fetches(Node),
        bash_speaks_tcp(),
        two_processes_share_a_manager(Python),
        names_of_the_run_itself_resolve(Python),
        every_socket_option_of_an_ordinary_server_can_be_set(Python),
        no_server_of_the_host_is_in_reach(Python),
        no_run_reaches_another(Python),
        its_network_cannot_be_changed(Python),
        the_outcome_says_what_it_had(),
        without_one_there_is_none(Python),
        a_session_keeps_its_server(Python),
        a_secret_is_bound_only_where_there_is_a_gate(),
        its_sockets_hold_no_more_than_its_memory(Python),
    ]
}

fn looped(code: &str) -> Source {
    Source::code(code).network(Network::Loopback)
}

async fn says(runtime: &str, code: &str, said: &str) -> Outcome {
    let outcome = run(runtime, looped(code)).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), said, "{}", stderr(&outcome));
    outcome
}

async fn a_server_and_its_client_meet() {
    let code = "\
import socket
for family, host in (socket.AF_INET, '127.0.0.1'), (socket.AF_INET, '127.9.8.7'), (socket.AF_INET6, '::1'):
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
        client = socket.create_connection((host, port), timeout=5)
        near, _ = server.accept()
        client.sendall(b'x' * 100_000)
        client.shutdown(socket.SHUT_WR)
        got = b''
        while part := near.recv(65536): got += part
        near.sendall(b'thanks'); near.close()
        print(host, len(got), client.recv(10).decode())
";
    let outcome = says(
        "python",
        code,
        "127.0.0.1 100000 thanks\n127.9.8.7 100000 thanks\n::1 100000 thanks\n",
    )
    .await;
    assert!(outcome.denials.is_empty(), "{:?}", outcome.denials);
}

async fn an_event_loop_serves_itself() {
    let code = "\
import asyncio
async def serve(reader, writer):
    writer.write((await reader.readline()).upper())
    await writer.drain()
    writer.close()
async def ask(port, word):
    reader, writer = await asyncio.open_connection('localhost', port)
    writer.write(word + b'\\n')
    answer = await reader.read()
    writer.close()
    return answer
async def main():
    server = await asyncio.start_server(serve, 'localhost', 0)
    port = server.sockets[0].getsockname()[1]
    only = [s for s in server.sockets if s.getsockname()[1] != port]
    for other in only: other.close()
    answers = await asyncio.gather(*(ask(port, b'w%d' % n) for n in range(50)))
    print(len(answers), answers[7])
asyncio.run(main())
";
    let outcome = says("python", code, "50 b'W7\\n'\n").await;
    assert!(outcome.denials.is_empty(), "{:?}", outcome.denials);
}

async fn a_server_of_http_is_asked_by_another_process() {
    let code = "\
import os, socket, subprocess, sys, time, urllib.request
open('index.html', 'w').write('hello')
server = subprocess.Popen([sys.executable, '-m', 'http.server', '8000'], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
for _ in range(400):
    try: socket.create_connection(('127.0.0.1', 8000)).close(); break
    except ConnectionRefusedError: time.sleep(0.02)
for host in '127.0.0.1', 'localhost', 'belljar':
    print(host, urllib.request.urlopen(f'http://{host}:8000/index.html', timeout=5).read().decode())
server.kill()
";
    says("python", code, "127.0.0.1 hello\nlocalhost hello\nbelljar hello\n").await;
}

async fn datagrams_arrive() {
    let code = "\
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind(('127.0.0.1', 0))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.sendto(b'one', server.getsockname())
word, who = server.recvfrom(10)
server.sendto(word.upper(), who)
print(client.recv(10))
";
    says("python", code, "b'ONE'\n").await;
}

async fn node_serves_and_fetches() {
    let code = "\
const http = require('node:http');
const server = http.createServer((request, response) => response.end('hello ' + request.url));
server.listen(0, async () => {
  const { port } = server.address();
  for (const host of ['127.0.0.1', '[::1]', 'localhost'])
    console.log(host, await (await fetch(`http://${host}:${port}/x`)).text());
  server.closeAllConnections();
  server.close();
});
";
    says("node", code, "127.0.0.1 hello /x\n[::1] hello /x\nlocalhost hello /x\n").await;
}

async fn bash_speaks_tcp() {
    let code = "(exec 3<>/dev/tcp/localhost/7) 2>&1 | grep -o 'Connection refused' | head -1";
    let outcome = says("bash", code, "Connection refused\n").await;
    assert!(outcome.denials.is_empty(), "{:?}", outcome.denials);
}

async fn two_processes_share_a_manager() {
    let code = "\
import multiprocessing, multiprocessing.managers
def work(address, key):
    manager = multiprocessing.managers.SyncManager(address, key); manager.connect()
    manager.dict()
if __name__ == '__main__':
    manager = multiprocessing.managers.SyncManager(('127.0.0.1', 0), b'k')
    manager.start()
    worker = multiprocessing.Process(target=work, args=(manager.address, b'k'))
    worker.start(); worker.join()
    print(worker.exitcode, manager.address[0])
";
    says("python", code, "0 127.0.0.1\n").await;
}

async fn names_of_the_run_itself_resolve() {
    let code = "\
import socket
for family in socket.AF_INET, socket.AF_INET6:
    print({it[4][0] for it in socket.getaddrinfo('localhost', 80, family)})
try: socket.getaddrinfo('example.com', 80)
except socket.gaierror as error: print('nobody knows')
";
    says("python", code, "{'127.0.0.1'}\n{'::1'}\nnobody knows\n").await;
}

async fn every_socket_option_of_an_ordinary_server_can_be_set() {
    let code = "\
import socket as s
one = s.socket(); six = s.socket(s.AF_INET6); two = s.socket(s.AF_INET, s.SOCK_DGRAM)
for sock, level, option, value in [
    (one, s.SOL_SOCKET, s.SO_REUSEADDR, 1), (one, s.SOL_SOCKET, s.SO_REUSEPORT, 1),
    (one, s.SOL_SOCKET, s.SO_KEEPALIVE, 1), (one, s.IPPROTO_TCP, s.TCP_NODELAY, 1),
    (one, s.IPPROTO_TCP, s.TCP_KEEPIDLE, 9), (one, s.IPPROTO_TCP, s.TCP_KEEPINTVL, 9),
    (one, s.IPPROTO_TCP, s.TCP_KEEPCNT, 9), (one, s.IPPROTO_TCP, s.TCP_USER_TIMEOUT, 9),
    (one, s.IPPROTO_IP, s.IP_TOS, 16), (six, s.IPPROTO_IPV6, s.IPV6_V6ONLY, 1),
    (two, s.IPPROTO_IP, 11, 1), (two, s.SOL_SOCKET, s.SO_BROADCAST, 1),
]: sock.setsockopt(level, option, value)
print(one.getsockopt(s.IPPROTO_TCP, s.TCP_NODELAY), one.getsockopt(s.SOL_SOCKET, s.SO_TYPE))
";
    let outcome = says("python", code, "1 1\n").await;
    assert!(outcome.denials.is_empty(), "{:?}", outcome.denials);
}

async fn no_server_of_the_host_is_in_reach() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let wide = TcpListener::bind("[::]:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_nonblocking(true).unwrap();
    let ports = [&tcp, &wide].map(|listener| listener.local_addr().unwrap().port());
    let code = format!(
        "\
import errno, socket
for host in '127.0.0.1', '::1', '127.0.1.1':
    for port in {ports:?}:
        try: socket.create_connection((host, port), timeout=2); print('REACHED', host, port)
        except ConnectionRefusedError: pass
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'out', ('127.0.0.1', {udp_port}))
for host in '192.0.2.1', '10.0.0.1', '169.254.169.254':
    for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
        try:
            sock = socket.socket(socket.AF_INET, kind); sock.settimeout(2)
            sock.connect((host, 80)); print('ROUTE', host)
        except OSError as error: assert error.errno == errno.ENETUNREACH, error
print('alone')
",
        udp_port = udp.local_addr().unwrap().port(),
    );
    says("python", &code, "alone\n").await;
    let heard = udp.recv(&mut [0; 8]).unwrap_err().kind();
    assert_eq!(heard, std::io::ErrorKind::WouldBlock);
}

async fn no_run_reaches_another() {
    let serve = "\
import socket, sys
server = socket.create_server(('0.0.0.0', 7000)); server.settimeout(4)
unix = socket.socket(socket.AF_UNIX); unix.bind('\\0belljar-two-runs'); unix.listen()
print('ready', flush=True)
try: server.accept(); print('VISITED')
except TimeoutError: print('nobody came')
";
    let sandbox = sandbox("python").build().unwrap();
    let server = belljar_tests::ready(&sandbox, looped(serve)).await;
    let ask = "\
import socket
for address in ('127.0.0.1', 7000), '\\0belljar-two-runs':
    try: socket.socket(socket.AF_INET if type(address) is tuple else socket.AF_UNIX).connect(address); print('REACHED')
    except ConnectionRefusedError: print('refused')
";
    says("python", ask, "refused\nrefused\n").await;
    let outcome = server.wait().await.unwrap();
    assert_eq!(stdout(&outcome), "ready\nnobody came\n");
}

async fn its_network_cannot_be_changed() {
    let code = "\
import fcntl, socket, struct
handle = socket.socket()
def ask(request, name, tail):
    try: fcntl.ioctl(handle, request, struct.pack('16s', name) + tail); return 'DONE'
    except OSError as error: return error.errno
address = struct.pack('HH4s8x', 2, 0, socket.inet_aton('8.8.8.8'))
print(ask(0x8914, b'lo', struct.pack('H14x', 0)), ask(0x8916, b'lo:9', address), ask(0x89a0, b'br0', b''))
try: open('/proc/sys/net/ipv4/ip_forward', 'w').write('1')
except OSError as error: print(type(error).__name__)
socket.create_server(('127.0.0.1', 0))
";
    let outcome = says("python", code, "1 1 1\nFileNotFoundError\n").await;
    assert!(outcome.denials.iter().all(|denied| denied.rule == "seccomp/ioctl"), "{outcome:?}");
}

async fn the_outcome_says_what_it_had() {
    let outcome = run("bash", looped("true")).await;
    let network = outcome.network.unwrap();
    assert_eq!((network.kind, network.sent_bytes), ("loopback", 0));
    let how = |layer| {
        let row = outcome.receipt.layers.iter().find(|row| row.layer == layer).unwrap();
        row.how.as_str()
    };
    assert!(how(Layer::Namespaces).contains("a loopback interface and nothing else"));
    assert!(how(Layer::Landlock).contains("TCP is left to the network namespace"));
    assert!(how(Layer::Seccomp).contains("TCP and UDP"));
    for row in &outcome.receipt.limits {
        let by_gate = row.limit == "connections" || row.limit.starts_with("network_");
        assert_eq!(row.state == State::NotApplicable, by_gate, "{row:?}");
    }
}

async fn without_one_there_is_none() {
    let code = "\
import socket
for family in socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK:
    try: socket.socket(family, socket.SOCK_DGRAM); print('OPEN')
    except OSError as error: print(error.errno)
";
    let outcome = run("python", code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "97\n97\n97\n");
    assert!(outcome.network.is_none());
    assert!(outcome.denials.iter().any(|denied| denied.rule == "network=none"), "{outcome:?}");
}

async fn a_session_keeps_its_server() {
    let sandbox = sandbox("python").build().unwrap();
    let options = SessionOptions::new().network(Network::Loopback);
    let session = sandbox.open(options).await.unwrap();
    let opened = session
        .call("import socket\nserver = socket.create_server(('127.0.0.1', 0)); 1")
        .await
        .unwrap();
    assert!(opened.error.is_none(), "{opened:?}");
    let answer = session
        .call("client = socket.create_connection(server.getsockname()); server.accept()[1] == client.getsockname()")
        .await
        .unwrap();
    assert_eq!(answer.value.unwrap().text, "True");
    let outcome = session.close().await.unwrap();
    assert_eq!(outcome.network.unwrap().kind, "loopback");
}

async fn a_secret_is_bound_only_where_there_is_a_gate() {
    let sandbox = sandbox("native").build().unwrap();
    for network in [Network::None, Network::Loopback] {
        let source = Source::program("/bin/true").network(network);
        let source = source.secret("KEY", "value").unwrap();
        let source = source.bind_secret("KEY", "example.com:443".parse().unwrap());
        let refused = sandbox.run(source).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
}

async fn its_sockets_hold_no_more_than_its_memory() {
    // Written and never read: as much as the kernel takes, on as many connections as there can be.
    let code = "\
import socket, time
server = socket.create_server(('127.0.0.1', 0), backlog=128)
held, ends = 0, []
try:
    for _ in range(110):
        client = socket.create_connection(server.getsockname()); near, _ = server.accept()
        client.setblocking(False); near.setblocking(False); ends += [client, near]
        for end in client, near:
            try:
                while True: held += end.send(bytes(65536))
            except BlockingIOError: pass
except OSError as error: print(error)
if held > 64 << 20: time.sleep(10)
print(held)
";
    let limits = Limits { memory_bytes: 64 << 20, ..belljar_tests::limits() };
    let outcome = run_with("python", limits, looped(code)).await;
    // Where a cgroup bounds them there is no room for more; otherwise whoever looks ends the run.
    if outcome.verdict.status() == "ok" {
        let held: u64 = stdout(&outcome).lines().last().unwrap().parse().unwrap();
        assert!(held > 0 && held <= 64 << 20, "{held} bytes in sockets");
    } else {
        expect(&outcome, "memory");
    }
}
