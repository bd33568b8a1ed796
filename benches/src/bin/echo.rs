//! The least that a process can do which is already confined and waits: it answers each datagram
//! on its standard input with one byte.

use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, recv, send};

fn main() -> Result<(), nix::Error> {
    let socket = std::io::stdin().as_raw_fd();
    let mut task = [0; 4096];
    while recv(socket, &mut task, MsgFlags::empty())? > 0 {
        send(socket, &[0], MsgFlags::MSG_NOSIGNAL)?;
    }
    Ok(())
}
