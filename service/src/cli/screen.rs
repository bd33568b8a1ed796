//! A payload's output, passed through as it comes.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc;
use std::thread;

use belljar::{Chunk, Error};
use tokio::sync::oneshot;

use crate::json::Outcome;

/// Writes to both streams on a thread of its own: a reader who stops reading stops nothing else.
#[derive(Debug)]
pub(super) struct Screen {
    chunks: mpsc::Sender<Chunk>,
    /// How the writing ended: all of it done, or a stream closed.
    pub(super) ended: oneshot::Receiver<io::Result<()>>,
    shown_stdout: usize,
    shown_stderr: usize,
}

impl Screen {
    pub(super) fn open() -> Result<Self, Error> {
        let (chunks, received) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name("belljar-screen".to_owned())
            .spawn(move || drop(end.send(write_all(&received))))
            .map_err(|error| Error::Internal("cannot start a thread".to_owned(), error))?;
        Ok(Self { chunks, ended, shown_stdout: 0, shown_stderr: 0 })
    }

    /// Never waits. What is queued is never more than the captured output.
    pub(super) fn show(&mut self, chunk: Chunk) {
        match &chunk {
            Chunk::Stdout(bytes) => self.shown_stdout += bytes.len(),
            Chunk::Stderr(bytes) => self.shown_stderr += bytes.len(),
            // Shown with the outcome.
            _ => return,
        }
        // Fails only when the writing has ended, which is told elsewhere.
        drop(self.chunks.send(chunk));
    }

    /// Shows what was captured after the last look, and lets the writing come to its end.
    pub(super) fn close(mut self, outcome: &Outcome) -> oneshot::Receiver<io::Result<()>> {
        let rest = |bytes: &[u8], shown| bytes.get(shown..).unwrap_or_default().to_vec();
        let stdout = rest(&outcome.output.stdout, self.shown_stdout);
        let stderr = rest(&outcome.output.stderr, self.shown_stderr);
        self.show(Chunk::Stdout(stdout));
        self.show(Chunk::Stderr(stderr));
        self.ended
    }
}

fn write_all(chunks: &mpsc::Receiver<Chunk>) -> io::Result<()> {
    let mut stdout = Pane::new(io::stdout());
    let mut stderr = Pane::new(io::stderr());
    while let Ok(chunk) = chunks.recv() {
        match chunk {
            Chunk::Stdout(bytes) => stdout.write(&bytes)?,
            Chunk::Stderr(bytes) => stderr.write(&bytes)?,
            _ => {}
        }
    }
    stdout.finish()?;
    stderr.finish()
}

/// One stream. A pipe or a file gets the bytes; a terminal would obey them, and gets text.
struct Pane<W> {
    to: W,
    is_terminal: bool,
    /// The beginning of a character whose end has not come yet.
    begun: Vec<u8>,
}

impl<W: Write + IsTerminal> Pane<W> {
    fn new(to: W) -> Self {
        let is_terminal = to.is_terminal();
        Self { to, is_terminal, begun: Vec::new() }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_terminal {
            let text = visible(&mut self.begun, bytes);
            self.to.write_all(text.as_bytes())?;
        } else {
            self.to.write_all(bytes)?;
        }
        self.to.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        let begun = std::mem::take(&mut self.begun);
        self.to.write_all(bytes_as_text(&begun).as_bytes())?;
        self.to.flush()
    }
}

/// `bytes` as text without a control character but line feed and tab: `^[` for escape, `\x9b` for
/// a byte that is no text. What may be the beginning of a character is left in `begun`.
fn visible(begun: &mut Vec<u8>, bytes: &[u8]) -> String {
    begun.extend_from_slice(bytes);
    let bytes = std::mem::take(begun);
    let mut text = String::with_capacity(bytes.len());
    let mut chunks = bytes.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        for letter in chunk.valid().chars() {
            match letter {
                '\n' | '\t' => text.push(letter),
                '\u{0}'..='\u{1f}' | '\u{7f}' => {
                    text.push('^');
                    // The caret notation of terminals: the letter 64 away.
                    text.push(char::from(u8::try_from(letter).unwrap_or_default() ^ 0x40));
                }
                letter if letter.is_control() => text.extend(letter.escape_unicode()),
                letter => text.push(letter),
            }
        }
        let invalid = chunk.invalid();
        if chunks.peek().is_none() && is_beginning(invalid) {
            begun.extend_from_slice(invalid);
        } else {
            text.push_str(&bytes_as_text(invalid));
        }
    }
    text
}

/// Whether more bytes could make a character of it (Unicode, table 3-7).
fn is_beginning(bytes: &[u8]) -> bool {
    matches!(std::str::from_utf8(bytes), Err(error) if error.error_len().is_none())
}

fn bytes_as_text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: &[&[u8]]) -> String {
        let mut begun = Vec::new();
        let mut text: String = parts.iter().map(|part| visible(&mut begun, part)).collect();
        text.push_str(&bytes_as_text(&begun));
        text
    }

    #[test]
    fn a_terminal_gets_nothing_that_it_would_obey() {
        assert_eq!(shown(&[b"a\tb\n"]), "a\tb\n");
        assert_eq!(shown(&[b"\x1b[2J\x07\r\0\x7f"]), "^[[2J^G^M^@^?");
        assert_eq!(shown(&["\u{9b}2J".as_bytes()]), "\\u{9b}2J");
        assert_eq!(shown(&[b"\x9b2J \xff"]), "\\x9b2J \\xff");
    }

    #[test]
    fn a_character_may_come_in_parts() {
        assert_eq!(shown(&[b"\xc3", b"\xa4", b"\xe2\x82", b"\xac!"]), "ä€!");
        assert_eq!(shown(&[b"\xe2\x82", b"\x1b"]), "\\xe2\\x82^[");
        assert_eq!(shown(&[b"x\xe2\x82"]), "x\\xe2\\x82");
    }
}
