//! Names inside a jar: granted ones resolve to what stands for them, others do not.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::open::Shared;
use super::table::{Nameless, Target};
use crate::network::{host_name, is_below};

/// What a jar is called, and where; its `/etc/hosts` says the same.
const HOST: (&str, Ipv4Addr) = ("belljar", Ipv4Addr::new(127, 0, 1, 1));
/// No question is longer; one that is, is cut off here and makes no sense.
const QUESTION_BYTES: usize = 1232;
/// An address stands for its name as long as the run, but no run is that short.
const TTL_S: u32 = 30;
/// How long who asks over a stream may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// Answers what comes as datagrams.
pub(super) async fn keep(shared: Arc<Shared>, socket: UdpSocket) {
    let mut question = [0; QUESTION_BYTES];
    loop {
        // An error here is one that a datagram of ours met; there is always a next one to read.
        let Ok((length, asker)) = socket.recv_from(&mut question).await else {
            shared.questions.one().await;
            continue;
        };
        shared.questions.one().await;
        if let Some(answer) = answer(&shared, question.get(..length).unwrap_or_default()) {
            // Who does not read its answers loses them.
            drop(socket.try_send_to(&answer, asker));
        }
    }
}

/// Answers what comes over one stream, each question after its length (RFC 1035, section 4.2.2).
pub(super) async fn serve(shared: &Shared, mut stream: TcpStream) {
    while let Ok(Ok(true)) = timeout(SILENCE, exchange(shared, &mut stream)).await {}
}

/// Whether another may follow.
async fn exchange(shared: &Shared, stream: &mut TcpStream) -> io::Result<bool> {
    let length = usize::from(stream.read_u16().await?);
    let mut question = [0; QUESTION_BYTES];
    let Some(question) = question.get_mut(..length) else { return Ok(false) };
    stream.read_exact(question).await?;
    shared.questions.one().await;
    let Some(answer) = answer(shared, question) else { return Ok(false) };
    let Ok(length) = u16::try_from(answer.len()) else { return Ok(false) };
    let message = [&length.to_be_bytes(), answer.as_slice()].concat();
    stream.write_all(&message).await?;
    Ok(true)
}

/// The answer to one question; none to what is no question.
fn answer(shared: &Shared, question: &[u8]) -> Option<Vec<u8>> {
    let asked = Message::from_vec(question).ok()?;
    if asked.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut answer = Message::response(asked.metadata.id, asked.metadata.op_code);
    answer.metadata.recursion_desired = asked.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.metadata.response_code = match asked.queries.as_slice() {
        _ if asked.metadata.op_code != OpCode::Query => ResponseCode::NotImp,
        [query] => {
            let found = find(shared, query);
            answer.add_query(query.clone());
            match found {
                Ok(data) => {
                    let records =
                        data.map(|data| Record::from_rdata(query.name().clone(), TTL_S, data));
                    answer.add_answers(records);
                    ResponseCode::NoError
                }
                Err(code) => code,
            }
        }
        _ => ResponseCode::FormErr,
    };
    answer.to_vec().ok()
}

/// What a name has of what is asked for; granted names have an address, and nothing else.
fn find(shared: &Shared, query: &Query) -> Result<Option<RData>, ResponseCode> {
    if query.query_class() != DNSClass::IN {
        return Err(ResponseCode::Refused);
    }
    let wanted = query.query_type();
    let name = host_name(&query.name().to_ascii()).map_err(|_| ResponseCode::NXDomain)?;
    if name == "localhost" || is_below(&name, "localhost") {
        return Ok(match wanted {
            RecordType::A => Some(RData::A(Ipv4Addr::LOCALHOST.into())),
            RecordType::AAAA => Some(RData::AAAA(Ipv6Addr::LOCALHOST.into())),
            _ => None,
        });
    }
    if name == HOST.0 {
        return Ok((wanted == RecordType::A).then(|| RData::A(HOST.1.into())));
    }
    match shared.table.address_of(&name) {
        Ok(address) => Ok((wanted == RecordType::A).then(|| RData::A(address.into()))),
        Err(nameless) => {
            tell(shared, nameless, name, wanted);
            Err(ResponseCode::NXDomain)
        }
    }
}

fn tell(shared: &Shared, nameless: Nameless, name: String, wanted: RecordType) {
    match (nameless, wanted) {
        (Nameless::NotGranted, RecordType::A) => {
            shared.audit.not_granted(&Target::Name(name), None);
        }
        // A server wants to know what its own address is called.
        (_, RecordType::PTR) => {}
        (Nameless::NotGranted, _) => shared.audit.asked_about(&name),
        (Nameless::UsedUp, RecordType::A) => shared.audit.used_up(&name),
        (Nameless::UsedUp, _) => {}
    }
}
