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
            "network/blocked-address: connect to [fe80::1]:443 at fe80::1",
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
