use super::*;

/// A door that leads to the proxy of a gate.
async fn door(opened: &Opened) -> SocketAddr {
    let shared = Arc::clone(&opened.gate.shared);
    let port = server(move |stream| {
        let shared = Arc::clone(&shared);
        async move { super::super::proxy::serve(&shared, stream).await }
    })
    .await;
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// What a proxy answers to this, to the end.
async fn answer(opened: &Opened, said: &[u8]) -> String {
    let mut stream = TcpStream::connect(door(opened).await).await.unwrap();
    // It may have answered before it heard all.
    drop(stream.write_all(said).await);
    String::from_utf8(rest(&mut stream).await.0).unwrap()
}

#[tokio::test]
async fn connect_leads_to_what_is_granted() {
    let port = echo().await;
    let opened = Opened::new(&grants(&["echo.test"], port), &Limits::strict()).await;
    for name in ["echo.test", "ECHO.test.", "Echo.Test"] {
        let mut stream = TcpStream::connect(door(&opened).await).await.unwrap();
        // What follows at once is not lost.
        let request = format!("CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}\r\n\r\nearly");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let (all, is_broken) = rest(&mut stream).await;
        let all = String::from_utf8(all).unwrap();
        assert!(all.starts_with("HTTP/1.1 200 ") && all.ends_with("\r\n\r\nearly"), "{all}");
        assert!(!is_broken);
    }
}

#[tokio::test]
async fn what_is_not_granted_is_refused_in_words() {
    let port = echo().await;
    let opened = Opened::new(&grants(&["echo.test"], port), &Limits::strict()).await;
    for place in [
        format!("evil.example:{port}"),
        "echo.test:1".to_owned(),
        format!("127.0.0.1:{port}"),
        "169.254.169.254:80".to_owned(),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        "[2606:4700::1]:443".to_owned(),
    ] {
        let said = answer(&opened, format!("CONNECT {place} HTTP/1.1\r\n\r\n").as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 403 "), "{place}: {said}");
        let has_advice = said.contains("--allow-net");
        let has_none = ["169.254", "[::1]", "[2606"].iter().any(|start| place.starts_with(start));
        assert_eq!(has_advice, !has_none, "{said}");
    }
    for place in ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "127.0.0.1.", ""] {
        let request = format!("CONNECT {place}:{port} HTTP/1.1\r\n\r\n");
        let said = answer(&opened, request.as_bytes()).await;
        let is_refused = said.starts_with("HTTP/1.1 400 ") || said.starts_with("HTTP/1.1 403 ");
        assert!(is_refused, "{place}: {said}");
    }
    let (used, denied) = opened.close();
    let is_refused = |verdict| matches!(verdict, "not_granted" | "refused_address");
    assert!(used.connections.iter().all(|row| is_refused(row.verdict)), "{used:?}");
    let rule = |place: &str| {
        denied.iter().find(|denial| denial.what.contains(place)).map(|denial| denial.rule)
    };
    assert_eq!(rule("echo.test:1"), Some("network/not-granted"));
    assert_eq!(rule("169.254.169.254:80"), Some("network/blocked-address"));
    assert_eq!(rule("[2606:4700::1]:443"), Some("network/not-granted"));
    assert!(rule("[::1]").is_some(), "{denied:?}");
    assert_eq!(denied[0].hint, format!("grant it with --allow-net evil.example:{port}"));
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_here_too() {
    let port = echo().await;
    let resolver = liar::resolver(|_, _| vec![RData::A(Ipv4Addr::new(10, 0, 0, 5).into())]).await;
    let opened = Opened::with(&grants(&["intra.test"], port), &Limits::strict(), resolver);
    let said =
        answer(&opened, format!("CONNECT intra.test:{port} HTTP/1.1\r\n\r\n").as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 403 ") && !said.contains("10.0.0.5"), "{said}");
    assert_eq!(opened.close().0.connections[0].verdict, "refused_address");
}

#[tokio::test]
async fn what_is_no_connect_is_refused_in_words() {
    let port = echo().await;
    let opened = Opened::new(&grants(&["echo.test"], port), &Limits::strict()).await;
    let giant = format!("CONNECT echo.test:{port} HTTP/1.1\r\nX: {}", "x".repeat(100_000));
    let get = format!("GET http://echo.test:{port}/ HTTP/1.1\r\nHost: echo.test\r\n\r\n");
    for (request, status) in [
        (get.as_str(), "405"),
        ("POST / HTTP/1.1\r\n\r\n", "405"),
        ("connect echo.test:1 HTTP/1.1\r\n\r\n", "405"),
        (&giant, "431"),
        ("CONNECT echo.test HTTP/1.1\r\n\r\n", "400"),
        ("CONNECT echo.test:0 HTTP/1.1\r\n\r\n", "400"),
        ("CONNECT echo.test:+1 HTTP/1.1\r\n\r\n", "400"),
        ("CONNECT echo.test:99999 HTTP/1.1\r\n\r\n", "400"),
        ("CONNECT user@echo.test:1 HTTP/1.1\r\n\r\n", "400"),
        ("CONNECT  echo.test:1 HTTP/1.1\r\n\r\n", "400"),
        ("CONNECT echo.test:1 HTTP/2.0\r\n\r\n", "400"),
        ("CONNECT echo.test:1\nHost: x\r\n\r\n", "400"),
        ("\r\n\r\n", "400"),
        ("\u{16}\u{3}\u{1} what\r\n\r\n", "400"),
    ] {
        let said = answer(&opened, request.as_bytes()).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.60}: {said}");
    }
    assert_eq!(opened.close().0.connections, []);
}

#[tokio::test]
async fn tls_through_the_proxy_is_for_the_name_that_was_asked_for() {
    let (port, mut heard) = recorder().await;
    let opened = Opened::new(&grants(&["echo.test"], port), &Limits::strict()).await;
    let mut stream = TcpStream::connect(door(&opened).await).await.unwrap();
    let request = format!("CONNECT echo.test:{port} HTTP/1.1\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(&super::tls::greeting("evil.example")).await.unwrap();
    assert!(rest(&mut stream).await.1);
    assert_eq!(heard.recv().await.unwrap(), b"");
    assert_eq!(opened.close().0.connections[0].verdict, "server_name");
}
