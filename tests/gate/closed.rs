//! What was not granted, or may never be.

use std::net::IpAddr;
use std::slice;
use std::sync::Arc;

use belljar::{Allowed, Egress, Network, Source};
use belljar_tests::{Test, expect, sandbox, stdout, tests};

use crate::clients::{asking, grants, run_granted};
use crate::places::{HERE, Names, Server, answer_request, says};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_name_that_was_not_granted_does_not_resolve(Python),
        a_redirect_to_what_was_not_granted_leads_nowhere(Python),
        a_name_that_changes_its_meaning_is_judged_again(Python),
        one_blocked_answer_among_good_ones_is_enough(Python),
        every_blocked_range_is_refused_behind_a_name(Python),
        what_the_operator_does_not_allow_is_refused_before_anything_starts(Python),
        ranges_that_may_never_be_opened_are_refused(Python),
        servers_of_the_host_are_out_of_reach(Python),
        a_run_without_a_grant_has_no_network_at_all(Python),
    ]
}

async fn a_name_that_was_not_granted_does_not_resolve() {
    let (names, server) = (Names::here(&["a.test", "b.test"]).await, Server::new(says("x")).await);
    let [a, b] = ["a.test", "b.test"].map(|name| format!("{name}:{}", server.port));
    let outcome = run_granted("python", &names, &[a], asking(&[b])).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "gaierror\n");
    assert_eq!((server.came(), names.asked("b.test")), (0, 0));
    let denial = outcome.denials.iter().find(|denial| denial.kind == "network").expect("a denial");
    assert!(denial.what.contains("b.test"), "{denial:?}");
    assert!(denial.hint.contains("--allow-net b.test:"), "{denial:?}");
}

async fn a_redirect_to_what_was_not_granted_leads_nowhere() {
    let names = Names::here(&["a.test", "b.test"]).await;
    let secret = Server::new(says("not for you")).await;
    let to = format!("http://b.test:{}/", secret.port);
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let server = Server::new(head).await;
    let a = format!("a.test:{}", server.port);
    let outcome =
        run_granted("python", &names, slice::from_ref(&a), asking(slice::from_ref(&a))).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "gaierror\n");
    assert_eq!((server.came(), secret.came()), (1, 0));
}

async fn a_name_that_changes_its_meaning_is_judged_again() {
    let metadata: IpAddr = [169, 254, 169, 254].into();
    let names = Arc::new(Names::new(&[("a.test", vec![vec![HERE], vec![metadata]])]).await);
    let changing = Arc::clone(&names);
    let server = Server::serving(move |stream| {
        changing.change("a.test");
        answer_request(stream, says("first"))
    })
    .await;
    let a = format!("a.test:{}", server.port);
    let outcome =
        run_granted("python", &names, slice::from_ref(&a), asking(&[a.clone(), a.clone()])).await;
    expect(&outcome, "ok");
    let said = stdout(&outcome);
    assert!(said.starts_with("first\n") && !said.ends_with("first\n"), "{said}");
    assert_eq!(server.came(), 1);
    let network = outcome.network.expect("it had one");
    assert_eq!(network.connections[1].verdict, "refused_address", "{network:?}");
    assert!(outcome.denials.iter().any(|denial| denial.what.contains("a.test")));
}

async fn one_blocked_answer_among_good_ones_is_enough() {
    let names = Names::new(&[("a.test", vec![vec![HERE, [10, 0, 0, 1].into()]])]).await;
    let server = Server::new(says("x")).await;
    let a = format!("a.test:{}", server.port);
    let outcome =
        run_granted("python", &names, slice::from_ref(&a), asking(slice::from_ref(&a))).await;
    expect(&outcome, "ok");
    assert_ne!(stdout(&outcome), "x\n");
    assert_eq!(server.came(), 0);
}

/// The first and the last address of every range that is never reached by itself, and the forms in
/// which an IPv6 address hides one of IPv4.
const BLOCKED: &[&str] = &[
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.255",
    "192.0.2.0",
    "192.0.2.255",
    "192.168.0.0",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.0",
    "203.0.113.255",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.255",
    "::",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001:db8::1",
    "2002:a00:1::1",
    "2002:7f00:1::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff::1",
    "fec0::1",
    "fe80::1",
    "ff02::1",
];

async fn every_blocked_range_is_refused_behind_a_name() {
    let records: Vec<_> = BLOCKED
        .iter()
        .enumerate()
        .map(|(at, address)| {
            let address: IpAddr = address.parse().expect("an address");
            (format!("r{at}.range.test"), vec![vec![address]])
        })
        .collect();
    let records: Vec<_> = records.iter().map(|(name, it)| (name.as_str(), it.clone())).collect();
    let names = Names::new(&records).await;
    let egress = Egress { open_ranges: Vec::new(), ..names.egress() };
    let sandbox = sandbox("python").egress(egress).build().expect("a sandbox");
    for part in records.chunks(24) {
        let places: Vec<_> = part.iter().map(|(name, _)| format!("{name}:80")).collect();
        let source = Source::code(asking(&places)).network(grants(&places));
        let outcome = sandbox.run(source).await.expect("an outcome");
        expect(&outcome, "ok");
        let network = outcome.network.expect("it had one");
        assert_eq!(network.connections.len(), places.len());
        for connection in &network.connections {
            assert_eq!(connection.verdict, "refused_address", "{connection:?}");
            assert_eq!(connection.received_bytes, 0, "{connection:?}");
        }
    }
}

async fn what_the_operator_does_not_allow_is_refused_before_anything_starts() {
    let allowed = Allowed::These(vec!["*.ok.test:443".parse().expect("a grant")]);
    for (allowed, place, is_fine) in [
        (Allowed::Nothing, "a.ok.test:443", false),
        (allowed.clone(), "a.ok.test:443", true),
        (allowed.clone(), "a.ok.test:80", false),
        (allowed.clone(), "ok.test:443", false),
        (allowed.clone(), "192.0.2.1:443", false),
        (allowed, "*.test:443", false),
    ] {
        let egress = Egress { allowed, ..Egress::default() };
        let sandbox = sandbox("python").egress(egress).build().expect("a sandbox");
        let source = Source::code("print(1)").network(grants(&[place.to_owned()]));
        match sandbox.run(source).await {
            Ok(outcome) => assert!(is_fine && stdout(&outcome) == "1\n", "{place}"),
            Err(error) => {
                assert!(!is_fine && error.code() == "policy_refused", "{place}: {error}");
                assert!(error.to_string().contains(place), "{error}");
            }
        }
    }
}

async fn ranges_that_may_never_be_opened_are_refused() {
    for range in [
        "169.254.0.0/16",
        "169.254.169.254/32",
        "0.0.0.0/0",
        "0.0.0.0/8",
        "224.0.0.0/4",
        "fe80::/10",
        "::/0",
        "ff00::/8",
        "fd00:ec2::254/128",
        "::ffff:10.0.0.0/104",
    ] {
        let open_ranges = vec![range.parse().expect("a range")];
        let egress = Egress { open_ranges, allowed: Allowed::Anything, resolver: None };
        let refusal = egress.check().expect_err(range).to_string();
        assert!(refusal.contains("opened"), "{refusal}");
    }
    let open_ranges = ["10.0.0.0/8", "192.168.1.0/24", "fd12::/16", "100.64.0.0/10"];
    let open_ranges = open_ranges.iter().map(|range| range.parse().expect("a range")).collect();
    Egress { open_ranges, ..Egress::default() }.check().expect("these may be opened");
}

async fn servers_of_the_host_are_out_of_reach() {
    let (names, server) = (Names::here(&["api.test"]).await, Server::new(says("host")).await);
    let granted = Server::new(says("granted")).await;
    let code = asking(&[
        format!("127.0.0.1:{}", server.port),
        format!("localhost:{}", server.port),
        format!("[::1]:{}", server.port),
        format!("127.0.0.53:{}", server.port),
        "169.254.169.254:80".to_owned(),
        "10.0.0.1:80".to_owned(),
        "1.1.1.1:443".to_owned(),
    ]);
    let place = format!("api.test:{}", granted.port);
    let outcome = run_granted("python", &names, &[place], code.clone()).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "ConnectionRefusedError\n".repeat(7));
    let sandbox = sandbox("python").build().expect("a sandbox");
    let source = Source::code(code).network(Network::Loopback);
    let outcome = sandbox.run(source).await.expect("an outcome");
    expect(&outcome, "ok");
    let unreachable = "ConnectionRefusedError\n".repeat(4) + &"OSError\n".repeat(3);
    assert_eq!(stdout(&outcome), unreachable);
    assert_eq!((server.came(), granted.came()), (0, 0));
}

async fn a_run_without_a_grant_has_no_network_at_all() {
    let (names, server) = (Names::here(&["api.test"]).await, Server::new(says("x")).await);
    let sandbox = sandbox("python").egress(names.egress()).build().expect("a sandbox");
    let code = "import socket\ntry:\n    socket.socket()\nexcept OSError as e:\n    print(e.errno)";
    let outcome = sandbox.run(code).await.expect("an outcome");
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), format!("{}\n", nix::libc::EAFNOSUPPORT));
    assert!(outcome.network.is_none());
    assert_eq!((server.came(), names.asked("api.test")), (0, 0));
}
