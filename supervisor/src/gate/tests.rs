//! The gate without a jar: its doors stand on the loopback interface of the host.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as Listener, UdpSocket as Datagrams};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};

use belljar_protocol::Transport;
use hickory_proto::rr::RData;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::table::{PROXY, RESOLVER};
use super::{Gate, Layout};
use crate::{Allowed, Denied, Egress, Limits, Network, NetworkUse, Source};

mod inside;
mod liar;
mod limits;
mod outside;
mod proxy;
mod refusals;
mod relay;
mod tls;

/// The first name that was granted is here.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 64, 1, 0);

/// An open gate, and what it says.
struct Opened {
    gate: Gate,
    denials: mpsc::Receiver<Denied>,
    /// Its resolver.
    resolver: SocketAddr,
    /// Where it hears what the kernel of a jar refuses.
    kernel: UnixDatagram,
}

impl Opened {
    /// With these grants, toward loopback addresses, and a resolver that says they are all there.
    async fn new(grants: &[String], limits: &Limits) -> Self {
        let honest = liar::resolver(|_, _| vec![RData::A(Ipv4Addr::LOCALHOST.into())]).await;
        Self::with(grants, limits, honest)
    }

    fn with(grants: &[String], limits: &Limits, resolver: SocketAddr) -> Self {
        let egress = Egress {
            allowed: Allowed::Anything,
            open_ranges: vec!["127.0.0.0/8".parse().unwrap()],
            resolver: Some(resolver),
        };
        let grants = grants.iter().map(|grant| grant.parse().unwrap()).collect();
        let mut source = Source::code("").network(Network::Gate(grants));
        let layout = Layout::new(&mut source, &egress, limits.memory_bytes).unwrap();
        let (mut resolver, mut kernel) = (None, None);
        let sockets = layout.gateway.doors.iter().map(|door| {
            let address = Ipv4Addr::from(door.address);
            // Doors that every jar has are bound anywhere: tests run beside each other. So are
            // those for all addresses, beside the server that they lead to.
            let here = match address {
                _ if (address, door.port) == RESOLVER || (address, door.port) == PROXY => {
                    (Ipv4Addr::LOCALHOST, 0)
                }
                Ipv4Addr::UNSPECIFIED => (FIRST, door.port),
                _ => (address, door.port),
            };
            match door.transport {
                Transport::Tcp => OwnedFd::from(Listener::bind(here).unwrap()),
                // Whoever writes packets here is the kernel.
                Transport::Refusals => {
                    let (heard, said) = UnixDatagram::pair().unwrap();
                    heard.set_nonblocking(true).unwrap();
                    kernel = Some(said);
                    OwnedFd::from(heard)
                }
                Transport::Udp => {
                    let socket = Datagrams::bind(here).unwrap();
                    resolver = Some(socket.local_addr().unwrap());
                    OwnedFd::from(socket)
                }
            }
        });
        let sockets = sockets.collect();
        let (said, denials) = mpsc::channel(256);
        let gate = Gate::open(layout, sockets, limits, Instant::now(), said).unwrap();
        Self { gate, denials, resolver: resolver.unwrap(), kernel: kernel.unwrap() }
    }

    fn close(self) -> (NetworkUse, Vec<Denied>) {
        let Self { gate, mut denials, .. } = self;
        let used = gate.close();
        let mut denied = Vec::new();
        while let Ok(denial) = denials.try_recv() {
            denied.push(denial);
        }
        (used, denied)
    }
}

/// A server on loopback that does `each` with every connection.
async fn server<F, D>(each: F) -> u16
where
    F: Fn(TcpStream) -> D + Send + 'static,
    D: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(each(stream));
        }
    });
    port
}

/// One that says back what it is told, as soon as it is told.
async fn echo() -> u16 {
    server(|mut stream| async move {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = stream.read(&mut piece).await {
            if stream.write_all(&piece[..read]).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// What a server was told, all of it, as one after the other was done.
async fn recorder() -> (u16, mpsc::UnboundedReceiver<Vec<u8>>) {
    let (told, heard) = mpsc::unbounded_channel();
    let port = server(move |mut stream| {
        let told = told.clone();
        async move {
            let mut all = Vec::new();
            // What came before a reset counts.
            drop(stream.read_to_end(&mut all).await);
            drop(told.send(all));
        }
    })
    .await;
    (port, heard)
}

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect((FIRST, port)).await.unwrap()
}

/// What comes before the stream ends or breaks, and whether it broke.
async fn rest(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut all));
    let is_broken = read.await.expect("neither ended nor broke").is_err();
    (all, is_broken)
}

fn grants(texts: &[&str], port: u16) -> Vec<String> {
    texts.iter().map(|text| format!("{text}:{port}")).collect()
}

/// Until what is looked for is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < patience, "never so");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
