use super::*;

use etherparse::PacketBuilder;

/// What a kernel answers to a connection to `from`, and to what came before it.
fn reset(from: IpAddr, port: u16, sequence: u32) -> Vec<u8> {
    let builder = match from {
        IpAddr::V4(from) => PacketBuilder::ipv4(from.octets(), [127, 0, 0, 1], 64),
        IpAddr::V6(from) => PacketBuilder::ipv6(from.octets(), [0; 16], 64),
    };
    let builder = builder.tcp(port, 40_000, sequence, 0).rst().ack(1);
    let mut packet = Vec::new();
    builder.write(&mut packet, &[]).unwrap();
    packet
}

/// And to a datagram.
fn unreachable(to: [u8; 4], port: u16) -> Vec<u8> {
    let mut sent = Vec::new();
    PacketBuilder::ipv4([127, 0, 0, 1], to, 64).udp(40_000, port).write(&mut sent, b"hi").unwrap();
    let mut packet = Vec::new();
    let kind = etherparse::Icmpv4Type::DestinationUnreachable(
        etherparse::icmpv4::DestUnreachableHeader::Port,
    );
    PacketBuilder::ipv4(to, [127, 0, 0, 1], 64).icmpv4(kind).write(&mut packet, &sent).unwrap();
    packet
}

async fn told(packets: &[Vec<u8>]) -> Vec<String> {
    let port = echo().await;
    let opened = Opened::new(&grants(&["a.test"], port), &Limits::strict()).await;
    for packet in packets {
        assert_eq!(opened.kernel.send(packet).unwrap(), packet.len());
    }
    opened.close().1.into_iter().map(|denied| format!("{}: {}", denied.rule, denied.what)).collect()
}

#[tokio::test]
async fn attempts_are_told_by_what_stands_there() {
    let a = IpAddr::V4(FIRST);
    let packets = [
        reset(a, 1, 0),
        reset([1, 2, 3, 4].into(), 80, 0),
        reset("2606:4700::1".parse().unwrap(), 443, 0),
        reset("fe80::1".parse().unwrap(), 443, 0),
        unreachable([8, 8, 8, 8], 53),
    ];
    assert_eq!(
        told(&packets).await,
        [
            "network/not-granted: connect to a.test:1",
            "network/not-granted: connect to 1.2.3.4:80",
            "network/not-granted: connect to [2606:4700::1]:443",
            "network/blocked-address: connect to [fe80::1]:443",
            "network/datagram: send a datagram to 8.8.8.8:53",
        ]
    );
}

#[tokio::test]
async fn what_is_no_attempt_to_get_out_is_not_told() {
    let own = unreachable([127, 0, 0, 1], 53);
    let cut = reset([1, 2, 3, 4].into(), 80, 0)[..30].to_vec();
    let packets = [
        reset([127, 0, 0, 1].into(), 80, 0),
        reset("::1".parse().unwrap(), 80, 0),
        reset([1, 2, 3, 4].into(), 80, 7),
        own,
        cut,
        vec![0x45],
        vec![0xff; 128],
        Vec::new(),
    ];
    assert_eq!(told(&packets).await, Vec::<String>::new());
}

#[tokio::test]
async fn each_is_told_once_however_it_is_heard() {
    let packets = vec![reset([1, 2, 3, 4].into(), 80, 0); 40];
    let opened = Opened::new(&grants(&["a.test"], echo().await), &Limits::strict()).await;
    for packet in &packets {
        opened.kernel.send(packet).unwrap();
        tokio::task::yield_now().await;
    }
    let (_, denied) = opened.close();
    assert_eq!(denied.iter().map(|denied| denied.count).sum::<u64>(), 40);
}

/// More than are told apart by one rule, and then another one.
#[tokio::test]
async fn many_refusals_hide_none_of_another_kind() {
    let opened = Opened::new(&grants(&["a.test"], echo().await), &Limits::strict()).await;
    for port in 1..=100 {
        opened.kernel.send(&reset([1, 2, 3, 4].into(), port, 0)).unwrap();
        tokio::task::yield_now().await;
    }
    opened.kernel.send(&unreachable([8, 8, 8, 8], 53)).unwrap();
    opened.kernel.send(&reset([169, 254, 169, 254].into(), 80, 0)).unwrap();
    let (_, denied) = opened.close();
    let told = |what: &str| denied.iter().any(|denied| denied.what == what);
    assert!(told("connect to other places") && told("send a datagram to 8.8.8.8:53"), "{denied:?}");
    assert!(told("connect to 169.254.169.254:80"), "{denied:?}");
}

/// As many as come faster than they are heard.
#[tokio::test]
async fn what_may_be_lost_is_told() {
    let opened = Opened::new(&grants(&["a.test"], echo().await), &Limits::strict()).await;
    opened.kernel.set_nonblocking(true).unwrap();
    let (packet, began) = (reset([1, 2, 3, 4].into(), 80, 0), Instant::now());
    let mut sent = 0;
    while sent < 3000 && began.elapsed() < Duration::from_secs(30) {
        match opened.kernel.send(&packet) {
            Ok(_) => sent += 1,
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    let (_, denied) = opened.close();
    assert!(denied.iter().any(|denied| denied.what.contains("than are told")), "{sent} {denied:?}");
}
