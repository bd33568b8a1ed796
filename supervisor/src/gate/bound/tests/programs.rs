//! Programs as they are: nothing in them knows of a placeholder.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use super::super::authority::Authority;
use super::super::{Trust, relay};
use super::{NAME, Stage, VALUE, acceptor, echo};

/// A port at which [`NAME`] is reached through the gate, with TLS as the program wishes.
struct Door {
    stage: Stage,
    port: u16,
    /// What stands in the environment of a program in a jar, with files of here.
    env: Vec<(String, PathBuf)>,
    _files: TempDir,
}

impl Door {
    async fn open(with_tls: bool) -> Self {
        let theirs = Authority::new(vec![NAME.to_owned()]).unwrap();
        let (upstream, seen) = echo(with_tls.then(|| acceptor(&theirs, NAME))).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stage = Stage::at(port, upstream, seen, &[theirs.certificate_pem()]);
        let Trust { files, env } = stage.bindings.trust(&[]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let here = |path: &str| directory.path().join(path.rsplit('/').next().unwrap());
        for file in files {
            std::fs::write(here(&file.path), &file.bytes).unwrap();
        }
        let env = env.iter().map(|(name, path)| (name.clone(), here(path))).collect();
        let bound = Arc::clone(&stage.bound);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (bound, upstream) = (Arc::clone(&bound), TcpStream::connect(upstream));
                tokio::spawn(async move { relay(client, upstream.await.unwrap(), &bound).await });
            }
        });
        Self { stage, port, env, _files: directory }
    }

    /// Runs `program`, in whose arguments `@` stands for the placeholder.
    async fn run(&self, program: &str, args: &[&str]) -> String {
        let args = args.iter().map(|arg| arg.replace('@', &self.stage.placeholder));
        let env = self.env.iter().map(|(name, path)| (name, path));
        let output = Command::new(program).args(args).envs(env).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains("hunter2"), "{said}");
        said
    }
}

#[tokio::test]
async fn curl_sends_a_secret_that_it_does_not_have() {
    for (with_tls, scheme) in [(false, "http"), (true, "https")] {
        let door = Door::open(with_tls).await;
        let port = door.port;
        let (resolve, url) =
            (format!("{NAME}:{port}:127.0.0.1"), format!("{scheme}://{NAME}:{port}/"));
        let common = ["-sS", "--noproxy", "*", "--compressed", "--resolve", &resolve];
        let curl = |more: &[&'static str]| {
            let args = [&common[..], more, &[&url, &url]].concat().into_iter().map(str::to_owned);
            args.collect::<Vec<_>>()
        };
        for more in [
            curl(&["-H", "Authorization: Bearer @"]),
            curl(&["-u", "me:@"]),
            curl(&["-d", "@", "-H", "X-Key: @", "-H", "Expect: 100-continue"]),
            curl(&["--http2", "-H", "X-Key: @"]),
        ] {
            let said = door.run("curl", &more.iter().map(String::as_str).collect::<Vec<_>>()).await;
            assert!(said.contains(&door.stage.placeholder), "{said}");
        }
        let seen = door.stage.seen();
        assert_eq!(seen.len(), 8, "each asked twice");
        let [bearer, _, basic, _, posted, _, offered, _] = seen.try_into().unwrap();
        assert_eq!(bearer.header("authorization"), format!("Bearer {VALUE}"));
        let credentials = STANDARD.encode(format!("me:{VALUE}"));
        assert_eq!(basic.header("authorization"), format!("Basic {credentials}"));
        assert_eq!(
            (posted.header("x-key"), posted.body.len()),
            (VALUE, door.stage.placeholder.len())
        );
        assert_eq!(offered.header("x-key"), VALUE);
    }
}

#[tokio::test]
async fn python_sends_a_secret_that_it_does_not_have() {
    const SCRIPT: &str = "
import socket, ssl, sys, urllib.request
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: resolve('127.0.0.1', *rest, **more)
# What Python 3.13 and later insist on.
strict = ssl.create_default_context()
strict.verify_flags |= ssl.VERIFY_X509_STRICT
handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=strict)
opener = urllib.request.build_opener(*handlers)
ask = urllib.request.Request(sys.argv[1], data=b'body', headers={'X-Key': sys.argv[2]})
print(opener.open(ask, timeout=20).read().decode())
";
    for (with_tls, scheme) in [(false, "http"), (true, "https")] {
        let door = Door::open(with_tls).await;
        let url = format!("{scheme}://{NAME}:{}/", door.port);
        let said = door.run("python3", &["-c", SCRIPT, &url, "@"]).await;
        assert!(said.contains(&door.stage.placeholder), "{said}");
        let seen = door.stage.only();
        assert_eq!((seen.header("x-key"), seen.body.as_slice()), (VALUE, &b"body"[..]));
    }
}

#[tokio::test]
async fn node_sends_a_secret_that_it_does_not_have() {
    const SCRIPT: &str = "
const dns = require('dns');
const resolve = dns.lookup;
dns.lookup = (host, ...rest) => resolve('127.0.0.1', ...rest);
const [url, key] = process.argv.slice(1);
fetch(url, { method: 'POST', body: 'body', headers: { 'x-key': key } })
  .then((answer) => answer.text())
  .then(console.log);
";
    for (with_tls, scheme) in [(false, "http"), (true, "https")] {
        let door = Door::open(with_tls).await;
        let url = format!("{scheme}://{NAME}:{}/", door.port);
        let said = door.run("node", &["-e", SCRIPT, &url, "@"]).await;
        assert!(said.contains(&door.stage.placeholder), "{said}");
        let seen = door.stage.only();
        assert_eq!((seen.header("x-key"), seen.body.as_slice()), (VALUE, &b"body"[..]));
    }
}
