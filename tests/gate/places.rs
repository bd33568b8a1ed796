//! Places outside of any jar for what runs inside to connect to: names, and servers behind them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use belljar::{Allowed, Egress};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

/// A server of names that says what a test wants it to say, and where the servers listen. Gone when
/// dropped.
pub(crate) struct Names {
    address: SocketAddr,
    records: Arc<Mutex<HashMap<String, Answers>>>,
    asked: Arc<Mutex<HashMap<String, usize>>>,
    task: JoinHandle<()>,
}

/// What a name means: one answer until it [changes](Names::change), and then the next.
pub(crate) type Answers = Vec<Vec<IpAddr>>;

/// A server of HTTP that counts who came. Gone when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    came: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Names {
    pub(crate) async fn new(records: &[(&str, Answers)]) -> Self {
        let socket = UdpSocket::bind((HERE, 0)).await.expect("a socket");
        let address = socket.local_addr().expect("its address");
        let asked = Arc::new(Mutex::new(HashMap::new()));
        let records = records.iter().map(|(name, answers)| ((*name).to_owned(), answers.clone()));
        let records = Arc::new(Mutex::new(records.collect()));
        let task = tokio::spawn(serve_names(socket, Arc::clone(&records), Arc::clone(&asked)));
        Self { address, records, asked, task }
    }

    /// Names that all mean this machine.
    pub(crate) async fn here(names: &[&str]) -> Self {
        let records: Vec<_> = names.iter().map(|name| (*name, vec![vec![HERE]])).collect();
        Self::new(&records).await
    }

    /// An operator who lets runs reach anything, this machine too, and asks this server.
    pub(crate) fn egress(&self) -> Egress {
        Egress {
            allowed: Allowed::Anything,
            open_ranges: vec!["127.0.0.0/8".parse().expect("a range")],
            resolver: Some(self.address),
        }
    }

    /// Lets a name mean what it means next. A question may be repeated: that is no change.
    pub(crate) fn change(&self, name: &str) {
        let mut records = self.records.lock().expect("no panic");
        if let Some(turns) = records.get_mut(name).filter(|turns| turns.len() > 1) {
            turns.remove(0);
        }
    }

    /// How often a name was asked for, from the gate.
    pub(crate) fn asked(&self, name: &str) -> usize {
        self.asked.lock().expect("no panic").get(name).copied().unwrap_or_default()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers every request with `answer`, headers and all.
    pub(crate) async fn new(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::serving(move |stream| answer_request(stream, answer.clone())).await
    }

    /// The same at another address of this machine.
    pub(crate) async fn at(address: Ipv4Addr, answer: String) -> Self {
        let serve = move |stream| answer_request(stream, answer.clone());
        Self::listening(address.into(), serve).await
    }

    /// Serves each connection with `serve`.
    pub(crate) async fn serving<F, S>(serve: S) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
        S: Fn(tokio::net::TcpStream) -> F + Send + 'static,
    {
        Self::listening(HERE, serve).await
    }

    async fn listening<F, S>(address: IpAddr, serve: S) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
        S: Fn(tokio::net::TcpStream) -> F + Send + 'static,
    {
        let listener = TcpListener::bind((address, 0)).await.expect("a socket");
        let port = listener.local_addr().expect("its address").port();
        let came = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&came);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                // What a client does to its connection is its own affair.
                drop(tokio::spawn(serve(stream)));
            }
        });
        Self { port, came, task }
    }

    /// How many connections it has had.
    pub(crate) fn came(&self) -> usize {
        self.came.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer of HTTP with a body of text.
pub(crate) fn says(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// Reads a request to the end of its head, and answers.
pub(crate) async fn answer_request(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: String,
) -> io::Result<()> {
    read_head(&mut stream).await?;
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// The head of a request.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

async fn serve_names(
    socket: UdpSocket,
    records: Arc<Mutex<HashMap<String, Answers>>>,
    asked: Arc<Mutex<HashMap<String, usize>>>,
) {
    let mut query = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut query).await {
        let Some((name, kind, end)) = question(&query[..length]) else { continue };
        let turn = records.lock().expect("no panic").get(&name).map(|turns| turns.first().cloned());
        let answers = turn.map(|turn| {
            if kind == A {
                *asked.lock().expect("no panic").entry(name).or_default() += 1;
            }
            let of_this_kind = |address: &IpAddr| (kind == A) == address.is_ipv4();
            turn.unwrap_or_default().into_iter().filter(of_this_kind).collect()
        });
        let answer = answer(&query[..end], answers);
        // Who does not want it any more does not get it.
        drop(socket.send_to(&answer, from).await);
    }
}

const A: u16 = 1;

/// The name that is asked for, what about it, and where the question ends (RFC 1035 section 4.1).
fn question(query: &[u8]) -> Option<(String, u16, usize)> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*query.get(at)?);
        if length == 0 {
            break;
        }
        labels.push(std::str::from_utf8(query.get(at + 1..at + 1 + length)?).ok()?);
        at += 1 + length;
    }
    let kind = u16::from_be_bytes([*query.get(at + 1)?, *query.get(at + 2)?]);
    Some((labels.join(".").to_ascii_lowercase(), kind, at + 5))
}

/// What is said of a name; that there is no such name, for none.
fn answer(question: &[u8], answers: Option<Vec<IpAddr>>) -> Vec<u8> {
    let code = if answers.is_some() { 0 } else { 3 };
    let answers = answers.unwrap_or_default();
    let count = u16::try_from(answers.len()).expect("few answers");
    let mut bytes = question[..2].to_vec();
    bytes.extend([0x81, 0x80 | code, 0, 1]);
    bytes.extend(count.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(&question[12..]);
    for address in answers {
        let (kind, octets) = match address {
            IpAddr::V4(address) => (A, address.octets().to_vec()),
            IpAddr::V6(address) => (28, address.octets().to_vec()),
        };
        bytes.extend([0xc0, 12]);
        bytes.extend(kind.to_be_bytes());
        // Class IN, and no time to live: every connection asks anew.
        bytes.extend([0, 1, 0, 0, 0, 0]);
        bytes.extend(u16::try_from(octets.len()).expect("an address").to_be_bytes());
        bytes.extend(octets);
    }
    bytes
}
