//! A resolver outside that says whatever a test wants.

use super::*;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Record, RecordType};
use tokio::net::UdpSocket;

/// Answers every question with what `says` says of a name and a type, over datagrams and streams,
/// cut off in a datagram where it is too long for one.
pub(super) async fn resolver<F>(says: F) -> SocketAddr
where
    F: Fn(&str, RecordType) -> Vec<RData> + Send + Sync + 'static,
{
    let says = Arc::new(says);
    // The port for streams has to be the same one.
    let (socket, listener) = loop {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()).await {
            break (socket, listener);
        }
    };
    let address = socket.local_addr().unwrap();
    let answers = Arc::clone(&says);
    tokio::spawn(async move {
        let mut question = [0; 4096];
        while let Ok((length, asker)) = socket.recv_from(&mut question).await {
            let mut message = answer(&question[..length], answers.as_ref());
            if message.to_vec().unwrap().len() > 1200 {
                message.answers.clear();
                message.metadata.truncation = true;
            }
            drop(socket.send_to(&message.to_vec().unwrap(), asker).await);
        }
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&says)));
        }
    });
    address
}

/// One that never answers.
pub(super) async fn silence() -> (SocketAddr, UdpSocket) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    (socket.local_addr().unwrap(), socket)
}

/// One that answers every question with these bytes.
pub(super) async fn noise(bytes: &'static [u8]) -> SocketAddr {
    let (address, socket) = silence().await;
    tokio::spawn(async move {
        let mut question = [0; 4096];
        while let Ok((_, asker)) = socket.recv_from(&mut question).await {
            drop(socket.send_to(bytes, asker).await);
        }
    });
    address
}

async fn serve<F>(mut stream: TcpStream, says: Arc<F>)
where
    F: Fn(&str, RecordType) -> Vec<RData> + Send + Sync + 'static,
{
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; usize::from(length)];
        stream.read_exact(&mut question).await.unwrap();
        let bytes = answer(&question, says.as_ref()).to_vec().unwrap();
        stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
    }
}

fn answer(question: &[u8], says: &dyn Fn(&str, RecordType) -> Vec<RData>) -> Message {
    let asked = Message::from_vec(question).unwrap();
    let query: Query = asked.queries[0].clone();
    let mut answer = Message::response(asked.metadata.id, asked.metadata.op_code);
    answer.metadata.recursion_available = true;
    let name = query.name().clone();
    for data in says(&name.to_ascii().to_ascii_lowercase(), query.query_type()) {
        // A liar answers what it was not asked, too.
        answer.add_answer(Record::from_rdata(name.clone(), 0, data));
    }
    answer.add_query(query);
    answer
}
