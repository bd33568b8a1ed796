use super::*;

use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpSocket;

#[tokio::test]
async fn bytes_pass_both_ways_and_are_counted() {
    let port = echo().await;
    let opened = Opened::new(&grants(&["echo.test"], port), &Limits::strict()).await;
    let mut stream = connect(port).await;
    stream.write_all(b"hello there").await.unwrap();
    let mut answer = [0; 11];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"hello there");
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, (Vec::new(), false));
    until(|| opened.gate.shared.audit.close(Vec::new()).connections[0].verdict == "closed").await;
    let (used, denied) = opened.close();
    assert_eq!(denied, []);
    assert_eq!((used.kind, used.sent_bytes, used.received_bytes), ("gate", 11, 11));
    assert_eq!(used.grants, grants(&["echo.test"], port));
    let [row] = used.connections.as_slice() else { panic!("{used:?}") };
    assert_eq!((row.host.as_str(), row.port, row.verdict), ("echo.test", port, "closed"));
    assert_eq!(row.address, Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)));
    assert_eq!((row.sent_bytes, row.received_bytes), (11, 11));
}

#[tokio::test]
async fn a_server_may_speak_first() {
    let port = server(|mut stream| async move {
        stream.write_all(b"220 ready\r\n").await.unwrap();
        let mut told = [0; 4];
        stream.read_exact(&mut told).await.unwrap();
        stream.write_all(&told).await.unwrap();
    })
    .await;
    let opened = Opened::new(&grants(&["mail.test"], port), &Limits::strict()).await;
    let mut stream = connect(port).await;
    let mut greeting = [0; 11];
    stream.read_exact(&mut greeting).await.unwrap();
    stream.write_all(b"QUIT").await.unwrap();
    assert_eq!(rest(&mut stream).await, (b"QUIT".to_vec(), false));
    drop(opened);
}

#[tokio::test]
async fn who_is_done_speaking_may_still_listen() {
    let port = server(|mut stream| async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all.reverse();
        stream.write_all(&all).await.unwrap();
    })
    .await;
    let opened = Opened::new(&grants(&["reverse.test"], port), &Limits::strict()).await;
    let mut stream = connect(port).await;
    let told: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    stream.write_all(&told).await.unwrap();
    stream.shutdown().await.unwrap();
    let (mut answer, is_broken) = rest(&mut stream).await;
    answer.reverse();
    assert!(answer == told && !is_broken);
    drop(opened);
}

#[tokio::test]
async fn a_reset_is_passed_on_in_both_directions() {
    let port = server(|mut stream| async move {
        let mut told = [0; 1];
        stream.read_exact(&mut told).await.unwrap();
        stream.set_zero_linger().unwrap();
    })
    .await;
    let opened = Opened::new(&grants(&["rude.test"], port), &Limits::strict()).await;
    let mut stream = connect(port).await;
    stream.write_all(b"x").await.unwrap();
    let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let (used, _) = opened.close();
    assert_eq!(used.connections[0].verdict, "reset");

    let (said, mut heard) = mpsc::channel(1);
    let port = server(move |mut stream| {
        let said = said.clone();
        async move {
            let read = stream.read_to_end(&mut Vec::new()).await;
            said.send(read.map_err(|error| error.kind())).await.unwrap();
        }
    })
    .await;
    let opened = Opened::new(&grants(&["polite.test"], port), &Limits::strict()).await;
    let mut stream = connect(port).await;
    stream.write_all(b"x").await.unwrap();
    until(|| opened.gate.shared.meter.take(0) == 0 && sent(&opened) == 1).await;
    stream.set_zero_linger().unwrap();
    drop(stream);
    assert_eq!(heard.recv().await.unwrap(), Err(ErrorKind::ConnectionReset));
}

fn sent(opened: &Opened) -> u64 {
    opened.gate.shared.audit.close(Vec::new()).sent_bytes
}

#[tokio::test]
async fn a_slow_reader_holds_back_its_server_and_nobody_else() {
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let port = server(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            let piece = vec![7; 64 * 1024];
            while stream.write_all(&piece).await.is_ok() {
                count.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
        }
    })
    .await;
    let quick = echo().await;
    let names = [grants(&["flood.test"], port), grants(&["flood.test"], quick)].concat();
    let opened = Opened::new(&names, &Limits::strict()).await;
    let _never_read = connect(port).await;
    until(|| written.load(Ordering::Relaxed) > 0).await;
    let mut before = 0;
    // It stands still once the buffers of the kernel are full.
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = written.load(Ordering::Relaxed);
        if now == before {
            break;
        }
        before = now;
    }
    assert!(before < 64 * 1024 * 1024, "{before} bytes are held somewhere");
    let mut stream = connect(quick).await;
    stream.write_all(b"quick").await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    drop(opened);
}

#[tokio::test]
async fn the_end_of_a_run_ends_what_is_open() {
    let port = echo().await;
    let opened = Opened::new(&grants(&["echo.test"], port), &Limits::strict()).await;
    let mut stream = connect(port).await;
    stream.write_all(b"x").await.unwrap();
    stream.read_u8().await.unwrap();
    let (used, _) = opened.close();
    let row = &used.connections[0];
    assert_eq!((row.verdict, row.sent_bytes, row.received_bytes), ("run_ended", 1, 1));
    rest(&mut stream).await;
    until(|| std::net::TcpStream::connect((FIRST, port)).is_err()).await;
}

#[tokio::test]
async fn nobody_there_is_said() {
    // Nobody else is given the port, and nobody listens there.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let port = taken.local_addr().unwrap().port();
    let opened = Opened::new(&grants(&["gone.test"], port), &Limits::strict()).await;
    let mut stream = connect(port).await;
    assert_eq!(rest(&mut stream).await, (Vec::new(), true));
    let (used, denied) = opened.close();
    assert_eq!((used.connections[0].verdict, denied.len()), ("unreachable", 0));
}
