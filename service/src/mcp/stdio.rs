//! The door over standard streams: one client, which ends everything by going away.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use belljar::Error;
use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, GetMeta, ServerJsonRpcMessage};
use rmcp::service::serve_server;
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::io::{StdioReader, StdioWriter, stdio_pipes};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Handler;
use crate::broker::{Broker, LAST_WORDS};
use crate::http::USUAL_BODY_BYTES;

/// Serves whoever is at the other end of the standard streams until they say no more, or somebody
/// says `stop`. Nothing is left when it returns.
pub(crate) async fn serve(
    broker: &Arc<Broker>,
    handler: Handler,
    stop: impl Future<Output = u8>,
) -> Result<(), Error> {
    let silence = Arc::new(Notify::new());
    let (reader, writer) = stdio_pipes();
    let wire = AsyncRwTransport::new(reader, writer).with_max_line_length(USUAL_BODY_BYTES);
    let ears = Ears { wire, is_open: false, silence: Arc::clone(&silence) };
    let served = tokio::spawn(async move {
        let service = serve_server(handler, ears).await.map_err(ended)?;
        service.waiting().await.map_err(ended).map(drop)
    });
    let mut served = pin!(served);
    let early = tokio::select! {
        () = silence.notified() => None,
        _ = stop => None,
        early = &mut served => Some(early),
    };
    broker.drain(Duration::ZERO, std::future::ready(())).await;
    let served = match early {
        // Those who only finished writing still hear what became of their runs.
        None => timeout(LAST_WORDS, served).await.unwrap_or(Ok(Ok(()))),
        Some(early) => early,
    };
    served.map_err(ended)?
}

/// What comes from a client.
struct Ears {
    wire: AsyncRwTransport<RoleServer, StdioReader, StdioWriter>,
    /// Whether the client has said who it is. Until then, the protocol ends on anything but a
    /// request.
    is_open: bool,
    /// Told when nothing more will come.
    silence: Arc<Notify>,
}

impl Transport<RoleServer> for Ears {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        self.wire.send(message)
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let Some(message) = self.wire.receive().await else {
                self.silence.notify_one();
                return None;
            };
            if let ClientJsonRpcMessage::Request(request) = &message {
                self.is_open |= opens(&request.request);
                return Some(message);
            }
            if self.is_open {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.wire.close().await
    }
}

/// How the protocol came to its end.
fn ended(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Internal("the protocol came to its end".to_owned(), io::Error::other(error))
}

/// Whether a request tells what the protocol needs to know of a client.
fn opens(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        request => request.get_meta().protocol_version().is_some(),
    }
}
