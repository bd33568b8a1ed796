//! One end of a connection, read from and written to. Whatever goes wrong there has broken it.

use std::io::ErrorKind;

use tokio::net::TcpStream;

use super::audit::End;

/// Waits for something. Zero is the end.
pub(super) async fn read(from: &TcpStream, buffer: &mut [u8]) -> Result<usize, End> {
    loop {
        from.readable().await.map_err(|_| End::Reset)?;
        match from.try_read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => return read.map_err(|_| End::Reset),
        }
    }
}

pub(super) async fn write_all(to: &TcpStream, mut bytes: &[u8]) -> Result<(), End> {
    while !bytes.is_empty() {
        match to.try_write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                to.writable().await.map_err(|_| End::Reset)?;
            }
            Err(_) => return Err(End::Reset),
        }
    }
    Ok(())
}
