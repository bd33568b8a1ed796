//! Which server a client of TLS asks for, as it says first.

use std::io::{self, Read};

use rustls::server::Acceptor;

/// What a client has said so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It does not speak TLS, or not at first.
    Plain,
    /// Not enough to tell.
    Part,
    /// That it wants this server, in lower case, or does not say which.
    Tls(Option<String>),
    /// It began as TLS does and went on as nothing does.
    Garbled,
}

/// The longest greeting that is waited for: keys of the kind that quantum computers do not break
/// take a few KiB.
const LONGEST: usize = 16 * 1024;
/// A record of a handshake, of any version.
const HANDSHAKE: u8 = 22;
const MAJOR: u8 = 3;

/// A greeting that arrives in pieces.
pub(super) struct Hello {
    acceptor: Acceptor,
    heard: usize,
}

impl Hello {
    pub(super) fn new() -> Self {
        Self { acceptor: Acceptor::default(), heard: 0 }
    }

    /// `all` is everything the client has said, of which this has heard a beginning before.
    pub(super) fn listen(&mut self, all: &[u8]) -> Said {
        match all {
            [] | [HANDSHAKE] => return Said::Part,
            [HANDSHAKE, MAJOR, ..] => {}
            // A greeting in the form of SSL 2 (RFC 5246, appendix E.2), which some servers of TLS
            // still take, has no room for a name.
            [0x80..=0xff, _, 1, 2 | MAJOR, ..] => return Said::Tls(None),
            _ => return Said::Plain,
        }
        let mut new = all.get(self.heard..).unwrap_or_default();
        while !new.is_empty() {
            // It takes a few KiB at a time, and no more once it has a whole greeting.
            match self.read(&mut new) {
                Ok(0) => break,
                Ok(_) => {}
                Err(_) => return Said::Garbled,
            }
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let name = accepted.client_hello().server_name().map(plain);
                    return Said::Tls(name);
                }
                Err(_) => return Said::Garbled,
            }
        }
        if all.len() > LONGEST { Said::Garbled } else { Said::Part }
    }

    fn read(&mut self, new: &mut &[u8]) -> io::Result<usize> {
        let read = self.acceptor.read_tls(&mut new.by_ref())?;
        self.heard += read;
        Ok(read)
    }
}

/// A server name as it is compared.
pub(super) fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
