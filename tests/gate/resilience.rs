//! What goes wrong on either side of a gate stays there.

use std::slice;
use std::time::{Duration, Instant};

use belljar::{Egress, Limits, Source};
use belljar_tests::{Test, expect, limits, run, sandbox, stdout, tests};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

use crate::clients::{asking, grants, run_granted};
use crate::places::{HERE, Names, Server, says};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        hundreds_of_connections_at_one_time(Python),
        more_connections_than_may_be_wait_for_their_turn(Python),
        bytes_beyond_the_limit_are_cut_off(Python),
        a_rate_is_kept(Python),
        a_half_open_connection_carries_what_is_left(Python),
        a_reset_arrives(Python),
        a_server_of_names_that_is_silent_holds_up_nobody_else(Python),
        a_thousand_addresses_are_survived(Python),
        a_reader_that_does_not_read_costs_little(Python),
        connections_end_with_their_run(Python),
        a_crowd_in_a_small_jar_is_served(Python, Cgroup),
    ]
}

async fn echo() -> Server {
    Server::serving(|mut stream| async move {
        let (mut from, mut to) = stream.split();
        tokio::io::copy(&mut from, &mut to).await?;
        to.shutdown().await
    })
    .await
}

/// One that never stops talking.
async fn flood() -> Server {
    Server::serving(|mut stream| async move {
        loop {
            stream.write_all(&vec![b'x'; 65536]).await?;
        }
    })
    .await
}

async fn hundreds_of_connections_at_one_time() {
    let (names, server) = (Names::here(&["api.test"]).await, echo().await);
    let place = format!("api.test:{}", server.port);
    let limits = Limits { connections: 400, descriptors: 512, ..limits() };
    let code = format!(
        "import socket\nall = [socket.create_connection(('api.test', {}), 20) for _ in range(300)]\n\
         for n, s in enumerate(all): s.sendall(b'%d' % n); s.shutdown(socket.SHUT_WR)\n\
         print(sum(int(s.makefile().read()) for s in all))\n",
        server.port
    );
    let sandbox = sandbox("python").limits(limits).egress(names.egress()).build();
    let source = Source::code(code).network(grants(&[place]));
    let outcome = sandbox.expect("a sandbox").run(source).await.expect("an outcome");
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), format!("{}\n", 299 * 300 / 2));
    let network = outcome.network.expect("it had one");
    let seen = network.connections.len() as u64 + network.unrecorded_connections;
    assert_eq!(seen, 300);
}

async fn more_connections_than_may_be_wait_for_their_turn() {
    let (names, server) = (Names::here(&["api.test"]).await, echo().await);
    let place = format!("api.test:{}", server.port);
    let code = format!(
        "import socket\nfor s in [socket.create_connection(('api.test', {}), 20) for _ in range(40)]:\n    \
         s.sendall(b'x'); s.shutdown(socket.SHUT_WR); assert s.recv(9) == b'x'; s.close()\n\
         print('all')\n",
        server.port
    );
    let limits = Limits { connections: 2, ..limits() };
    let sandbox = sandbox("python").limits(limits).egress(names.egress()).build();
    let source = Source::code(code).network(grants(&[place]));
    let outcome = sandbox.expect("a sandbox").run(source).await.expect("an outcome");
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "all\n");
}

async fn bytes_beyond_the_limit_are_cut_off() {
    let names = Names::here(&["api.test"]).await;
    let server = flood().await;
    let place = format!("api.test:{}", server.port);
    let code = format!(
        "import socket\ntotal = 0\nfor _ in range(2):\n    try:\n        \
         s = socket.create_connection(('api.test', {}), 20)\n        \
         while part := s.recv(1 << 20): total += len(part)\n    \
         except OSError: pass\nprint(total)\n",
        server.port
    );
    let limits = Limits { network_bytes: 3_000_000, ..limits() };
    let sandbox = sandbox("python").limits(limits).egress(names.egress()).build();
    let source = Source::code(code).network(grants(&[place]));
    let outcome = sandbox.expect("a sandbox").run(source).await.expect("an outcome");
    expect(&outcome, "ok");
    let total: u64 = stdout(&outcome).trim().parse().expect("a number");
    assert!((1_000_000..=3_000_000).contains(&total), "{total}");
    let network = outcome.network.expect("it had one");
    assert_eq!(network.connections[0].verdict, "network_bytes");
    assert!(outcome.denials.iter().any(|denial| denial.hint.contains("network_bytes")));
}

async fn a_rate_is_kept() {
    let (names, server) = (Names::here(&["api.test"]).await, echo().await);
    let place = format!("api.test:{}", server.port);
    let code = format!(
        "import socket, threading\ns = socket.create_connection(('api.test', {}), 20)\n\
         def send():\n    s.sendall(b'x' * 1_500_000); s.shutdown(socket.SHUT_WR)\n\
         threading.Thread(target=send).start()\ntotal = 0\n\
         while part := s.recv(65536): total += len(part)\nprint(total)\n",
        server.port
    );
    // Three million bytes both ways, of which the first second's may come at once.
    let limits = Limits { network_bytes_per_s: 1_000_000, ..limits() };
    let sandbox = sandbox("python").limits(limits).egress(names.egress()).build();
    let source = Source::code(code).network(grants(&[place]));
    let outcome = sandbox.expect("a sandbox").run(source).await.expect("an outcome");
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "1500000\n");
    assert!(outcome.usage.wall > Duration::from_millis(1500), "{:?}", outcome.usage.wall);
}

async fn a_half_open_connection_carries_what_is_left() {
    let names = Names::here(&["api.test"]).await;
    let server = Server::serving(|mut stream| async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        stream.write_all(format!("{} bytes", all.len()).as_bytes()).await
    })
    .await;
    let place = format!("api.test:{}", server.port);
    let code = format!(
        "import socket\ns = socket.create_connection(('api.test', {}), 20)\n\
         s.sendall(b'x' * 500_000); s.shutdown(socket.SHUT_WR); print(s.makefile().read())",
        server.port
    );
    let outcome = run_granted("python", &names, &[place], code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "500000 bytes\n");
}

async fn a_reset_arrives() {
    let names = Names::here(&["api.test"]).await;
    let server = Server::serving(|stream| async move {
        stream.set_zero_linger()?;
        Ok(())
    })
    .await;
    let place = format!("api.test:{}", server.port);
    let code = format!(
        "import socket\ntry: print(socket.create_connection(('api.test', {}), 20).recv(9))\n\
         except OSError as e: print(type(e).__name__)\n",
        server.port
    );
    let outcome = run_granted("python", &names, &[place], code).await;
    expect(&outcome, "ok");
    assert!(["ConnectionResetError\n", "b''\n"].contains(&stdout(&outcome).as_str()));
}

async fn a_server_of_names_that_is_silent_holds_up_nobody_else() {
    let silent = UdpSocket::bind((HERE, 0)).await.expect("a socket");
    let names = Names::here(&["api.test"]).await;
    let resolver = silent.local_addr().ok();
    let egress = Egress { resolver, ..names.egress() };
    let sandbox = sandbox("python").egress(egress).build().expect("a sandbox");
    let code = format!("print('begun', flush=True)\n{}", asking(&["api.test:80".to_owned()]));
    let source = Source::code(code).network(grants(&["api.test:80".to_owned()]));
    let held_up = async {
        let outcome = sandbox.run(source).await.expect("an outcome");
        expect(&outcome, "ok");
        let network = outcome.network.expect("it had one");
        assert!(["unresolved", "run_ended"].contains(&network.connections[0].verdict));
    };
    let others = async {
        let server = Server::new(says("quick")).await;
        let place = format!("api.test:{}", server.port);
        let began = Instant::now();
        let outcome =
            run_granted("python", &names, slice::from_ref(&place), asking(slice::from_ref(&place)))
                .await;
        assert_eq!(stdout(&outcome), "quick\n");
        expect(&run("python", "print(1)").await, "ok");
        began.elapsed()
    };
    tokio::join!(held_up, others);
}

async fn a_thousand_addresses_are_survived() {
    // All of this machine, where nobody listens: whatever is tried leaves nothing on a wire.
    let many: Vec<_> = (0..1000_u32).map(|n| (0x7f01_0000 + n).to_be_bytes().into()).collect();
    let names = Names::new(&[("many.test", vec![many])]).await;
    let code = asking(&["many.test:9".to_owned()]);
    let outcome = run_granted("python", &names, &["many.test:9".to_owned()], code).await;
    expect(&outcome, "ok");
    assert_eq!(outcome.network.expect("it had one").received_bytes, 0);
}

async fn a_reader_that_does_not_read_costs_little() {
    let names = Names::here(&["api.test"]).await;
    let server = flood().await;
    let place = format!("api.test:{}", server.port);
    let code = format!(
        "import socket, time\nall = [socket.create_connection(('api.test', {}), 20) for _ in range(30)]\n\
         time.sleep(1.5)",
        server.port
    );
    let before = resident_bytes();
    let outcome = run_granted("python", &names, &[place], code).await;
    expect(&outcome, "ok");
    let network = outcome.network.expect("it had one");
    // What 30 sockets and 30 pairs of buffers hold.
    assert!(network.received_bytes < 60 << 20, "{}", network.received_bytes);
    assert!(resident_bytes().saturating_sub(before) < 64 << 20);
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("of this process");
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("pages") * 4096
}

async fn connections_end_with_their_run() {
    let names = Names::here(&["api.test"]).await;
    let (ended, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::serving(move |mut stream| {
        let ended = ended.clone();
        async move {
            stream.write_all(b"x").await?;
            let read = stream.read(&mut [0]).await;
            ended.send(read.is_err() || read.is_ok_and(|bytes| bytes == 0)).unwrap_or_default();
            Ok(())
        }
    })
    .await;
    let place = format!("api.test:{}", server.port);
    // What its own kernel accepted is not outside yet; who was answered is.
    let code = format!(
        "import socket, os\nall = [socket.create_connection(('api.test', {}), 20) for _ in range(3)]\n\
         for s in all: assert s.recv(1) == b'x'\n\
         os.kill(os.getpid(), 9)",
        server.port
    );
    let outcome = run_granted("python", &names, &[place], code).await;
    expect(&outcome, "signalled");
    for _ in 0..3 {
        assert_eq!(hears.recv().await, Some(true));
    }
}

/// Sockets of a small memory have room for little. What does not fit is dropped, and waits: for many
/// seconds, if it came in pieces as large as elsewhere.
async fn a_crowd_in_a_small_jar_is_served() {
    const SMALL_BYTES: u64 = 32 << 20;
    let (wall, cpu) = (Duration::from_mins(2), Duration::from_mins(1));
    let limits = Limits { memory_bytes: SMALL_BYTES, wall, cpu, ..limits() };
    let code = "import socket, threading, time\n\
        threading.stack_size(65536)\n\
        def take(server, pause, taken):\n    \
            connection, _ = server.accept()\n    \
            while piece := connection.recv(65536): taken.append(len(piece)); time.sleep(pause)\n\
        def give(port):\n    \
            with socket.create_connection(('127.0.0.1', port)) as connection:\n        \
                for _ in range(30): connection.sendall(bytes(131072))\n\
        for pause in (0, 0.001) * 3:\n    \
            taken, threads = [], []\n    \
            for _ in range(14):\n        \
                server = socket.create_server(('127.0.0.1', 0))\n        \
                threads.append(threading.Thread(target=take, args=(server, pause, taken)))\n        \
                threads.append(threading.Thread(target=give, args=(server.getsockname()[1],)))\n    \
            for thread in threads: thread.start()\n    \
            for thread in threads: thread.join()\n    \
            print(sum(taken))\n";
    let names = Names::here(&["api.test"]).await;
    let sandbox = sandbox("python").limits(limits).egress(names.egress()).build();
    let source = Source::code(code).network(grants(&["api.test:80".to_owned()]));
    let outcome = sandbox.expect("a sandbox").run(source).await.expect("an outcome");
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "55050240\n".repeat(6));
}
