//! Addresses in disguise: every form of a number that some library takes for one.

use belljar_tests::{Test, expect, stdout, tests};

use crate::clients::run_granted;
use crate::places::{Names, Server, says};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        no_form_of_an_address_leads_out(Python),
        no_form_of_an_address_leads_out_through_the_proxy(Python),
        no_form_of_an_address_leads_out_of_node(Node),
    ]
}

/// Loopback, metadata and a private network, in decimal, octal, hexadecimal, short, mapped and
/// padded forms, with trailing dots, and behind names that stand for them.
const FORMS: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7f.0x0.0x0.0x1",
    "017700000001",
    "0177.0.0.1",
    "0177.1",
    "127.0.0.1.",
    "127.000.000.001",
    "0",
    "0.0.0.0",
    "169.254.169.254",
    "169.254.43518",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376",
    "169.254.169.254.",
    "10.1",
    "10.0.0.1",
    "0x0a000001",
    "012.0.0.1",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254",
    "2002:7f00:1::",
    "fe80::1",
    "fd00:ec2::254",
    "0:0:0:0:0:ffff:a9fe:a9fe",
    "[::1]",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "127.0.0.1%00.api.test",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "instance-data",
    "metadata",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost.localdomain",
    "127.0.0.1.nip.test",
    "api.test.127.0.0.1",
    "api.test@127.0.0.1",
    "ip6-localhost",
];

/// Connects to every form, and prints those that worked.
fn connecting(port: u16) -> String {
    format!(
        "import socket\nfor form in {FORMS:?}:\n    try:\n        \
         s = socket.create_connection((form.replace('[', '').replace(']', ''), {port}), 5)\n        \
         s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n        \
         print('REACHED', form, s.recv(99))\n    except Exception as e:\n        pass\n\
         print('done')\n"
    )
}

async fn no_form_of_an_address_leads_out() {
    let (names, server) = (Names::here(&["api.test"]).await, Server::new(says("host")).await);
    let granted = vec![format!("api.test:{}", server.port)];
    let outcome = run_granted("python", &names, &granted, connecting(server.port)).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "done\n");
    assert_eq!(server.came(), 0);
}

async fn no_form_of_an_address_leads_out_through_the_proxy() {
    let (names, server) = (Names::here(&["api.test"]).await, Server::new(says("host")).await);
    let granted = vec![format!("api.test:{}", server.port)];
    let code = format!(
        "import socket\nfor form in {FORMS:?}:\n    \
         for place in (f'{{form}}:{port}', f'[{{form}}]:{port}'):\n        \
         s = socket.create_connection(('127.64.0.80', 3128), 5)\n        \
         s.sendall(f'CONNECT {{place}} HTTP/1.1\\r\\nHost: {{place}}\\r\\n\\r\\n'.encode())\n        \
         head = s.recv(4096)\n        \
         if not head.startswith((b'HTTP/1.1 4', b'HTTP/1.1 5')): print('REACHED', place, head)\n\
         print('done')\n",
        port = server.port
    );
    let outcome = run_granted("python", &names, &granted, code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "done\n");
    assert_eq!(server.came(), 0);
}

async fn no_form_of_an_address_leads_out_of_node() {
    let (names, server) = (Names::here(&["api.test"]).await, Server::new(says("host")).await);
    let granted = vec![format!("api.test:{}", server.port)];
    let code = format!(
        "(async () => {{ for (const form of {FORMS:?}) for (const host of [form, `[${{form}}]`]) {{\n\
         try {{ const r = await fetch(`http://${{host}}:{port}/`, {{signal: AbortSignal.timeout(5000)}});\n\
         console.log('REACHED', form, await r.text()) }} catch {{}} }} console.log('done') }})()",
        port = server.port
    );
    let outcome = run_granted("node", &names, &granted, code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "done\n");
    assert_eq!(server.came(), 0);
}
