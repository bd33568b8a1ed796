use super::*;

use std::str::FromStr;

use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use tokio::net::UdpSocket;

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_str(name).unwrap(), kind));
    message
}

async fn ask(opened: &Opened, message: &Message) -> Message {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.send_to(&message.to_vec().unwrap(), opened.resolver).await.unwrap();
    let mut answer = [0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut answer));
    let length = read.await.unwrap().unwrap();
    Message::from_vec(&answer[..length]).unwrap()
}

/// What a name has.
async fn found(opened: &Opened, name: &str, kind: RecordType) -> Result<Vec<RData>, ResponseCode> {
    let answer = ask(opened, &question(name, kind)).await;
    match answer.metadata.response_code {
        ResponseCode::NoError => Ok(answer.answers.into_iter().map(|it| it.data).collect()),
        code => Err(code),
    }
}

fn at(address: [u8; 4]) -> Vec<RData> {
    vec![RData::A(Ipv4Addr::from(address).into())]
}

#[tokio::test]
async fn a_granted_name_has_one_address_and_nothing_else() {
    let port = echo().await;
    let names = grants(&["a.test", "b.test", "*.c.test"], port);
    let opened = Opened::new(&names, &Limits::strict()).await;
    for name in ["a.test.", "A.Test.", "a.test"] {
        assert_eq!(found(&opened, name, RecordType::A).await, Ok(at([127, 64, 1, 0])), "{name}");
    }
    assert_eq!(found(&opened, "b.test.", RecordType::A).await, Ok(at([127, 64, 1, 1])));
    assert_eq!(found(&opened, "x.c.test.", RecordType::A).await, Ok(at([127, 64, 1, 2])));
    assert_eq!(found(&opened, "y.z.c.test.", RecordType::A).await, Ok(at([127, 64, 1, 3])));
    assert_eq!(found(&opened, "X.C.test.", RecordType::A).await, Ok(at([127, 64, 1, 2])));
    for kind in [RecordType::AAAA, RecordType::HTTPS, RecordType::SVCB, RecordType::MX] {
        assert_eq!(found(&opened, "a.test.", kind).await, Ok(Vec::new()), "{kind}");
    }
    assert_eq!(found(&opened, "localhost.", RecordType::A).await, Ok(at([127, 0, 0, 1])));
    assert_eq!(found(&opened, "belljar.", RecordType::A).await, Ok(at([127, 0, 1, 1])));
    assert_eq!(found(&opened, "belljar.", RecordType::AAAA).await, Ok(Vec::new()));
    let here = Ok(vec![RData::AAAA(std::net::Ipv6Addr::LOCALHOST.into())]);
    assert_eq!(found(&opened, "x.localhost.", RecordType::AAAA).await, here);
    assert_eq!(opened.close().1, []);
}

#[tokio::test]
async fn what_is_not_granted_does_not_resolve_and_is_told() {
    let port = echo().await;
    let opened = Opened::new(&grants(&["a.test", "*.c.test"], port), &Limits::strict()).await;
    let nothing = Err(ResponseCode::NXDomain);
    for name in ["evil.example.", "EVIL.example.", "c.test.", "metadata.google.internal."] {
        for kind in [RecordType::A, RecordType::AAAA] {
            assert_eq!(found(&opened, name, kind).await, nothing, "{name}");
        }
    }
    // Not what any program does by itself, so these are told as well.
    for (name, kind) in [
        ("a.test.corp.example.", RecordType::A),
        ("six.example.", RecordType::AAAA),
        ("text.example.", RecordType::TXT),
    ] {
        assert_eq!(found(&opened, name, kind).await, nothing, "{name}");
    }
    // Noise: names of addresses, names that nobody has.
    for (name, kind) in [
        ("1.0.0.127.in-addr.arpa.", RecordType::PTR),
        ("169.254.169.254.", RecordType::A),
        ("2852039166.", RecordType::A),
        ("0xa9fea9fe.", RecordType::A),
        ("0251.0376.0251.0376.", RecordType::A),
    ] {
        assert_eq!(found(&opened, name, kind).await, nothing, "{name}");
    }
    let (_, denied) = opened.close();
    let told: Vec<_> = denied.iter().map(|it| (it.what.as_str(), it.rule, it.count)).collect();
    let rule = "network/not-granted";
    assert_eq!(
        told,
        [
            ("connect to evil.example", rule, 1),
            ("connect to evil.example", rule, 1),
            ("connect to c.test", rule, 1),
            ("connect to metadata.google.internal", rule, 1),
            ("connect to a.test.corp.example", rule, 1),
            ("connect to six.example", rule, 1),
            ("connect to text.example", rule, 1),
        ]
    );
    assert_eq!(denied[0].hint, "grant it with --allow-net evil.example:PORT");
}

#[tokio::test]
async fn names_of_clouds_and_clusters_are_granted_by_name_only() {
    let port = echo().await;
    let wide = grants(&["*.internal", "*.goog", "*.local", "*.default.svc", "*.svc"], port);
    let opened = Opened::new(&wide, &Limits::strict()).await;
    for name in [
        "metadata.google.internal.",
        "Metadata.Google.Internal.",
        "metadata.goog.",
        "db.prod.svc.cluster.local.",
        "kubernetes.default.svc.",
        "x.svc.",
        "instance-data.ec2.internal.",
    ] {
        assert_eq!(
            found(&opened, name, RecordType::A).await,
            Err(ResponseCode::NXDomain),
            "{name}"
        );
    }
    assert!(found(&opened, "wiki.internal.", RecordType::A).await.is_ok());
    drop(opened);
    let port = echo().await;
    let exact = grants(&["db.prod.svc.cluster.local"], port);
    let opened = Opened::new(&exact, &Limits::strict()).await;
    let found = found(&opened, "db.prod.svc.cluster.local.", RecordType::A).await;
    assert_eq!(found, Ok(at([127, 64, 1, 0])));
}

#[tokio::test]
async fn there_are_so_many_names_below_one() {
    let port = echo().await;
    let opened = Opened::new(&grants(&["*.c.test"], port), &Limits::strict()).await;
    for index in 0..256 {
        let name = format!("n{index}.c.test.");
        assert!(found(&opened, &name, RecordType::A).await.is_ok(), "{name}");
    }
    let late = found(&opened, "late.c.test.", RecordType::A).await;
    assert_eq!(late, Err(ResponseCode::NXDomain));
    assert!(found(&opened, "n255.c.test.", RecordType::A).await.is_ok());
    let (_, denied) = opened.close();
    assert_eq!(denied[0].rule, "network/too-many-names");
}

#[tokio::test]
async fn what_is_no_question_is_survived() {
    let port = echo().await;
    let opened = Opened::new(&grants(&["a.test"], port), &Limits::strict()).await;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let good = question("a.test.", RecordType::A).to_vec().unwrap();
    let mut many = good.clone();
    many[4] = 0xff;
    let mut circle = good.clone();
    circle[12..14].copy_from_slice(&[0xc0, 0x0c]);
    let mut answer = good.clone();
    answer[2] |= 0x80;
    let giant = vec![0x41; 60_000];
    for bad in [&b""[..], b"\0", &many, &circle, &answer, &giant, &[0xff; 1232], &good[..13]] {
        socket.send_to(bad, opened.resolver).await.unwrap();
    }
    let mut update = question("a.test.", RecordType::A);
    update.metadata.op_code = OpCode::Update;
    assert_eq!(ask(&opened, &update).await.metadata.response_code, ResponseCode::NotImp);
    let mut chaos = question("version.bind.", RecordType::TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(ask(&opened, &chaos).await.metadata.response_code, ResponseCode::Refused);
    let mut twice = question("a.test.", RecordType::A);
    twice.add_query(twice.queries[0].clone());
    assert_eq!(ask(&opened, &twice).await.metadata.response_code, ResponseCode::FormErr);
    assert_eq!(found(&opened, "a.test.", RecordType::A).await, Ok(at([127, 64, 1, 0])));
}

#[tokio::test]
async fn questions_come_over_streams_too() {
    let port = echo().await;
    let opened = Opened::new(&grants(&["a.test"], port), &Limits::strict()).await;
    let shared = Arc::clone(&opened.gate.shared);
    let door = server(move |stream| {
        let shared = Arc::clone(&shared);
        async move { super::super::names::serve(&shared, stream).await }
    })
    .await;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, door)).await.unwrap();
    let good = question("a.test.", RecordType::A).to_vec().unwrap();
    for _ in 0..3 {
        stream.write_u16(u16::try_from(good.len()).unwrap()).await.unwrap();
        stream.write_all(&good).await.unwrap();
        let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(Message::from_vec(&answer).unwrap().answers.len(), 1);
    }
    stream.write_u16(u16::MAX).await.unwrap();
    assert!(stream.read_u8().await.is_err());
}
