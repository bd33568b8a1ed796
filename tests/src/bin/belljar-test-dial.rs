//! Passes bytes to a socket and back: a client that can be started as any user.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

fn main() -> io::Result<()> {
    let socket =
        std::env::args_os().nth(1).ok_or_else(|| io::Error::other("no socket is named"))?;
    let (mut asked, mut answer) = (Vec::new(), Vec::new());
    io::stdin().read_to_end(&mut asked)?;
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(&asked)?;
    stream.read_to_end(&mut answer)?;
    drop(stream.shutdown(Shutdown::Both));
    io::stdout().write_all(&answer)
}
