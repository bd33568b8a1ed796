//! `belljar dial-stdio`: the other end of what another host's belljar reaches through ssh.

use std::io;
use std::process::ExitCode;

use tokio::io::{AsyncWriteExt, copy, stdin, stdout};
use tokio::net::UnixStream;

use super::options::DialOptions;
use super::{event_loop, there};
use crate::client::connect;
use crate::json::Problem;

pub(super) fn main(options: &DialOptions) -> Result<ExitCode, Problem> {
    let socket = there::socket(options.socket.as_ref())?;
    let events = event_loop()?;
    let relayed = events.block_on(async {
        let stream = connect(&socket).await.map_err(|error| {
            let shown = socket.display();
            Problem::invalid(format!("{shown}: no service answers: {error}"))
        })?;
        relay(stream).await;
        Ok(ExitCode::SUCCESS)
    });
    // Standard input may never end.
    events.shutdown_background();
    relayed
}

/// Until the service has no more, or nobody reads it. How a connection breaks is for neither side
/// to hear from what is between them.
async fn relay(stream: UnixStream) {
    let (mut from, mut to) = stream.into_split();
    let up = async {
        drop(copy(&mut stdin(), &mut to).await);
        drop(to.shutdown().await);
        // Nothing more is said, and what is answered is still to come.
        std::future::pending::<()>().await;
    };
    let down = async {
        let mut stdout = stdout();
        let passed: io::Result<()> = async {
            copy(&mut from, &mut stdout).await?;
            stdout.flush().await
        }
        .await;
        drop(passed);
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
