//! For programs that insist on a proxy: `CONNECT`, and nothing else (RFC 9110, section 9.3.6).

use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::audit::End;
use super::door::{finish, reach, through};
use super::open::{Shared, Unsaid};
use super::stream::{read, write_all};
use super::table::Target;
use crate::network::host_name;

/// The longest head of a request, and how long it may take.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD: Duration = Duration::from_secs(10);
/// How long a refused client may take to read why.
const LINGER: Duration = Duration::from_secs(1);
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Why a request leads nowhere.
struct Refusal {
    status: &'static str,
    why: String,
}

/// One connection through the proxy.
pub(super) async fn serve(shared: &Shared, client: TcpStream) {
    let (place, early) = match timeout(HEAD, request(&client)).await {
        Ok(Ok(request)) => request,
        Ok(Err(Some(refusal))) => return refuse(&client, &refusal).await,
        // Gone, or silent: there is nobody to tell.
        Ok(Err(None)) | Err(_) => return,
    };
    let (target, port) = place;
    let flow = shared.audit.begin(&target, port);
    let unsaid = Unsaid::of(shared);
    let end = match reach(shared, &flow, &target, port).await {
        Ok(server) => {
            let greeted = write_all(&client, b"HTTP/1.1 200 Connection established\r\n\r\n").await;
            match greeted {
                Ok(()) => through(shared, &flow, &target, (&client, &server), early, unsaid).await,
                Err(end) => end,
            }
        }
        Err(end) => {
            flow.end(end);
            // What is refused in words needs no reset, which would overtake them.
            return refuse(&client, &refusal(end, &target, port)).await;
        }
    };
    finish(&flow, &client, end);
}

/// Whom a request names, and what follows it. Without a refusal there is nobody any more.
async fn request(client: &TcpStream) -> Result<((Target, u16), Vec<u8>), Option<Refusal>> {
    let mut said = Vec::new();
    let mut piece = [0; 2048];
    let head = loop {
        let read = read(client, &mut piece).await.map_err(|_| None)?;
        if read == 0 {
            return Err(None);
        }
        let seen = said.len().saturating_sub(END_OF_HEAD.len());
        said.extend_from_slice(piece.get(..read).unwrap_or_default());
        let rest = said.get(seen..).unwrap_or_default();
        let end = rest.windows(END_OF_HEAD.len()).position(|window| window == END_OF_HEAD);
        if let Some(end) = end {
            break seen + end;
        }
        if said.len() > HEAD_BYTES {
            let why = format!("a head is at most {HEAD_BYTES} bytes");
            let status = "431 Request Header Fields Too Large";
            return Err(Some(Refusal { status, why }));
        }
    };
    let early = said.split_off((head + END_OF_HEAD.len()).min(said.len()));
    said.truncate(head);
    let place = place(&said).map_err(Some)?;
    Ok((place, early))
}

fn place(head: &[u8]) -> Result<(Target, u16), Refusal> {
    let bad = |why: &str| Refusal { status: "400 Bad Request", why: why.to_owned() };
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| bad("the request is no text"))?;
    let mut words = line.split(' ');
    let (Some(method), Some(place), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("the request is not CONNECT HOST:PORT HTTP/1.1"));
    };
    if method != "CONNECT" {
        let why = "only CONNECT is served; without a proxy, granted names are reached directly";
        return Err(Refusal { status: "405 Method Not Allowed", why: why.to_owned() });
    }
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(bad("only HTTP/1.1 is served"));
    }
    let (host, port) = place.rsplit_once(':').ok_or_else(|| bad("the port is missing"))?;
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| is_number && *port != 0);
    let port = port.ok_or_else(|| bad("the port is not between 1 and 65535"))?;
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let target = match (in_brackets, host.parse()) {
        (Some(host), _) => {
            let address: Ipv6Addr = host.parse().map_err(|_| bad("that is no address of IPv6"))?;
            Target::Address(address.to_canonical())
        }
        (None, Ok(address)) => Target::Address(IpAddr::V4(address)),
        (None, Err(_)) => Target::Name(host_name(host).map_err(|why| bad(&why))?),
    };
    Ok((target, port))
}

fn refusal(end: End, target: &Target, port: u16) -> Refusal {
    let (status, why) = match end {
        End::NotGranted if matches!(target, Target::Address(IpAddr::V6(_))) => {
            ("403 Forbidden", format!("{target}:{port} is not granted; grant a name, and use that"))
        }
        End::NotGranted => (
            "403 Forbidden",
            format!("{target}:{port} is not granted; grant it with --allow-net {target}:{port}"),
        ),
        End::RefusedAddress => {
            ("403 Forbidden", format!("{target} has an address that no run reaches"))
        }
        End::NetworkBytes => ("403 Forbidden", "the run has used up what may pass".to_owned()),
        End::Unresolved => ("502 Bad Gateway", format!("{target} does not resolve")),
        _ => ("502 Bad Gateway", format!("nothing answers at {target}:{port}")),
    };
    Refusal { status, why }
}

async fn refuse(client: &TcpStream, Refusal { status, why }: &Refusal) {
    let length = why.len() + 1;
    let answer = format!(
        "HTTP/1.1 {status}\r\nAllow: CONNECT\r\nConnection: close\r\n\
         Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{why}\n"
    );
    // Who does not wait for its answer has none.
    drop(timeout(HEAD, write_all(client, answer.as_bytes())).await);
    drop(timeout(LINGER, drain(client)).await);
}

/// Reads what is still on its way: a socket that is closed before answers with a reset, which
/// overtakes the words.
async fn drain(client: &TcpStream) {
    if shutdown(client.as_raw_fd(), Shutdown::Write).is_err() {
        return;
    }
    let mut piece = [0; 2048];
    while matches!(read(client, &mut piece).await, Ok(1..)) {}
}
