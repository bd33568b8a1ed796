use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ranges(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// The first and the last address of each, and its neighbours outside where those are reached.
const NEVER: &[(&str, &str)] = &[
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "239.255.255.255"),
    ("240.0.0.0", "255.255.255.255"),
    ("::", "::1"),
    ("::1.2.3.4", "::8.8.8.8"),
    ("64:ff9b::", "64:ff9b::ffff:ffff"),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
    ("100::", "100::ffff:ffff:ffff:ffff"),
    ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("5f00::", "5f00::1"),
    ("4000::", "4000::1"),
    ("168.63.129.16", "168.63.129.16"),
    ("100.100.100.200", "fd00:ec2::254"),
];

#[test]
fn what_is_no_place_of_the_world_is_not_reached() {
    for (first, last) in NEVER {
        for end in [first, last] {
            assert!(judge(address(end), &[]).is_err(), "{end}");
        }
    }
}

#[test]
fn the_world_is_reached() {
    for text in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.255",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "2a00::1",
        "2003::1",
    ] {
        assert_eq!(judge(address(text), &[]), Ok(address(text)), "{text}");
    }
}

#[test]
fn an_address_in_disguise_is_judged_as_what_it_is() {
    assert_eq!(judge(address("::ffff:1.1.1.1"), &[]), Ok(address("1.1.1.1")));
    let open = ranges(&["10.0.0.0/8", "127.0.0.0/8", "::1/128", "fc00::/7"]);
    for (first, last) in NEVER {
        for end in [first, last] {
            let IpAddr::V4(v4) = address(end) else { continue };
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for form in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !high, !low),
            ] {
                // `::1` was opened by its own name; so was what `::0.0.0.1` is.
                assert!(
                    form == Ipv6Addr::LOCALHOST || judge(IpAddr::V6(form), &open).is_err(),
                    "{form}"
                );
            }
        }
    }
}

#[test]
fn an_operator_opens_private_ranges_and_nothing_else() {
    let check = |text: &str| Egress { open_ranges: ranges(&[text]), ..Egress::default() }.check();
    for (range, inside, outside) in [
        ("10.1.0.0/16", "10.1.2.3", "10.2.0.1"),
        ("172.16.0.0/12", "172.31.0.1", "192.168.0.1"),
        ("192.168.7.0/24", "192.168.7.9", "192.168.8.9"),
        ("100.64.0.0/10", "100.64.0.1", "100.100.100.200"),
        ("198.18.0.0/15", "198.19.0.1", "169.254.169.254"),
        ("fc00::/7", "fd12::1", "fd00:ec2::254"),
        ("fd00:ec2::/32", "fd00:ec2::1", "fd00:ec2::254"),
    ] {
        check(range).unwrap();
        assert_eq!(judge(address(inside), &ranges(&[range])), Ok(address(inside)), "{range}");
        assert!(judge(address(outside), &ranges(&[range])).is_err(), "{range}");
    }
    for range in [
        "0.0.0.0/0",
        "0.0.0.0/8",
        "8.0.0.0/5",
        "10.0.0.0/7",
        "169.254.0.0/16",
        "169.254.169.254/32",
        "100.100.100.200/32",
        "192.0.2.0/24",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "1.1.1.0/24",
        "::/0",
        "::/128",
        "fe80::/10",
        "ff00::/8",
        "::ffff:0:0/96",
        "::ffff:10.0.0.0/104",
        "64:ff9b::/96",
        "64:ff9b::a00:0/104",
        "2002:a00::/24",
        "2001::/32",
        "fd00:ec2::254/128",
        "2000::/3",
    ] {
        assert!(check(range).is_err(), "{range}");
    }
    // Whatever got past the check, closed rows stay closed.
    let all = ranges(&["0.0.0.0/0", "::/0"]);
    for text in ["169.254.169.254", "0.0.0.0", "224.0.0.1", "fe80::1", "::", "ff02::1", "2002::1"] {
        assert!(judge(address(text), &all).is_err(), "{text}");
    }
}

#[test]
fn a_range_is_granted_where_something_in_it_is_reached() {
    let net = |text: &str| text.parse::<Ipv4Net>().unwrap();
    for closed in ["10.0.0.0/8", "10.1.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "240.0.0.0/8"] {
        assert!(judge_range(net(closed), &[]).is_err(), "{closed}");
    }
    judge_range(net("10.1.0.0/16"), &ranges(&["10.0.0.0/8"])).unwrap();
    judge_range(net("10.0.0.0/8"), &ranges(&["10.1.0.0/16"])).unwrap();
    judge_range(net("1.1.1.0/24"), &[]).unwrap();
}
