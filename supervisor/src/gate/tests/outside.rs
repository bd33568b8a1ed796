use super::*;

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::CNAME;

fn a(text: &str) -> RData {
    RData::A(text.parse::<Ipv4Addr>().unwrap().into())
}

fn aaaa(text: &str) -> RData {
    RData::AAAA(text.parse::<Ipv6Addr>().unwrap().into())
}

/// What becomes of a connection to a name of which a resolver says this.
async fn verdict(says: impl Fn(RecordType) -> Vec<RData> + Send + Sync + 'static) -> &'static str {
    let port = echo().await;
    let resolver = liar::resolver(move |_, kind| says(kind)).await;
    let opened = Opened::with(&grants(&["name.test"], port), &Limits::strict(), resolver);
    let mut stream = connect(port).await;
    // It may be refused already.
    drop(stream.write_all(b"x").await);
    let answered = stream.read_u8().await.is_ok();
    let (used, denied) = opened.close();
    let verdict = used.connections[0].verdict;
    assert_eq!(verdict == "refused_address", denied.len() == 1, "{verdict} {denied:?}");
    assert_eq!(verdict == "run_ended", answered, "{verdict}");
    verdict
}

#[tokio::test]
async fn an_answer_that_is_not_reached_spoils_all() {
    for blocked in [
        "10.0.0.5",
        "169.254.169.254",
        "0.0.0.0",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
    ] {
        let alone = move |kind| if kind == RecordType::A { vec![a(blocked)] } else { Vec::new() };
        assert_eq!(verdict(alone).await, "refused_address", "{blocked}");
        for both in [["127.0.0.1", blocked], [blocked, "127.0.0.1"]] {
            let both = move |kind| match kind {
                RecordType::A => both.map(a).to_vec(),
                _ => Vec::new(),
            };
            assert_eq!(verdict(both).await, "refused_address", "{blocked}");
        }
    }
    for blocked in [
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.5",
        "64:ff9b::a00:5",
        "64:ff9b:1::a00:5",
        "2002:a00:5::1",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "fec0::1",
        "2001:0:1:2:3:4:80ff:fffa",
    ] {
        let both = move |kind| match kind {
            RecordType::A => vec![a("127.0.0.1")],
            _ => vec![aaaa(blocked)],
        };
        assert_eq!(verdict(both).await, "refused_address", "{blocked}");
    }
}

#[tokio::test]
async fn a_denial_says_what_was_found_and_who_can_help() {
    let port = echo().await;
    let resolver = liar::resolver(|_, _| vec![a("10.0.0.5")]).await;
    let opened = Opened::with(&grants(&["intra.test"], port), &Limits::strict(), resolver);
    assert_eq!(rest(&mut connect(port).await).await, (Vec::new(), true));
    let (used, denied) = opened.close();
    assert_eq!(used.connections[0].address, None);
    let denial = &denied[0];
    assert_eq!((denial.kind, denial.rule), ("network", "network/private-address"));
    assert_eq!(denial.what, format!("connect to intra.test:{port} at 10.0.0.5"));
    assert!(denial.hint.contains("operator"), "{}", denial.hint);
}

#[tokio::test]
async fn a_thousand_answers_are_survived_and_judged_to_the_last() {
    let many = |last: &'static str| {
        move |kind| match kind {
            RecordType::A => {
                let mut all = vec![a("127.0.0.1"); 1];
                all.extend(
                    (0..1000_u32)
                        .map(|low| RData::A(Ipv4Addr::from_bits(0x7f00_0001 + low).into())),
                );
                all.push(a(last));
                all
            }
            _ => Vec::new(),
        }
    };
    assert_eq!(verdict(many("127.0.0.1")).await, "run_ended");
    assert_eq!(verdict(many("10.0.0.5")).await, "refused_address");
}

#[tokio::test]
async fn an_answer_that_changes_is_judged_again() {
    let port = echo().await;
    let has_changed = Arc::new(AtomicBool::new(false));
    let change = Arc::clone(&has_changed);
    // A question may be repeated before it is answered.
    let resolver = liar::resolver(move |_, kind| match kind {
        RecordType::A if has_changed.load(Ordering::SeqCst) => vec![a("169.254.169.254")],
        RecordType::A => vec![a("127.0.0.1")],
        _ => Vec::new(),
    })
    .await;
    let opened = Opened::with(&grants(&["rebind.test"], port), &Limits::strict(), resolver);
    let mut first = connect(port).await;
    first.write_all(b"x").await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), b'x');
    change.store(true, Ordering::SeqCst);
    assert_eq!(rest(&mut connect(port).await).await, (Vec::new(), true));
    // The first one stays where it is.
    first.write_all(b"y").await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), b'y');
    let (used, _) = opened.close();
    let verdicts: Vec<_> = used.connections.iter().map(|row| row.verdict).collect();
    assert_eq!(verdicts, ["run_ended", "refused_address"]);
}

#[tokio::test]
async fn lies_lead_nowhere() {
    let elsewhere = |_| vec![RData::CNAME(CNAME("name.test.".parse().unwrap()))];
    assert_eq!(verdict(elsewhere).await, "unresolved");
    assert_eq!(verdict(|_| Vec::new()).await, "unresolved");
    for garbage in [&b""[..], b"\0", &[0xff; 512], &[0xc0, 0x0c].repeat(300).leak()[..]] {
        let port = echo().await;
        let resolver = liar::noise(garbage).await;
        let opened = Opened::with(&grants(&["name.test"], port), &Limits::strict(), resolver);
        assert_eq!(rest(&mut connect(port).await).await, (Vec::new(), true));
        assert_eq!(opened.close().0.connections[0].verdict, "unresolved");
    }
}

#[tokio::test]
async fn a_resolver_that_is_silent_holds_up_nobody_else() {
    let port = echo().await;
    let (silent, _socket) = liar::silence().await;
    let mute = Opened::with(&grants(&["mute.test"], port), &Limits::strict(), silent);
    let mut waiting = connect(port).await;
    let waiting = tokio::spawn(async move { rest(&mut waiting).await });
    let quick_port = echo().await;
    let quick = Opened::new(&grants(&["quick.test"], quick_port), &Limits::strict()).await;
    let mut stream = connect(quick_port).await;
    stream.write_all(b"x").await.unwrap();
    stream.read_u8().await.unwrap();
    assert!(!waiting.is_finished(), "it was held up");
    assert_eq!(waiting.await.unwrap(), (Vec::new(), true));
    assert_eq!(mute.close().0.connections[0].verdict, "unresolved");
    drop(quick);
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_not_the_end() {
    // Nothing listens at the first ones; a connection there is refused at once.
    let says = |kind| match kind {
        RecordType::A => vec![a("127.0.0.9"), a("127.0.0.8"), a("127.0.0.1")],
        _ => Vec::new(),
    };
    assert_eq!(verdict(says).await, "run_ended");
}
