//! What leaves the process: standard output in large pieces, standard error at once, and the end.

use std::{
    cell::{Cell, OnceCell, RefCell},
    io::{self, ErrorKind, Write},
    process,
    time::{Duration, Instant},
};

use crate::line::Line;

const BUFFER_BYTES: usize = 64 << 10;
/// A busy script may be killed at any time; what it printed earlier than this is already out.
const STALE_AFTER: Duration = Duration::from_millis(50);

/// Standard output, buffered, and standard error, not.
#[derive(Default)]
pub(crate) struct Output {
    buffer: RefCell<Vec<u8>>,
    flushed: Cell<Option<Instant>>,
    /// Where somebody waits to hear of the end.
    line: OnceCell<Line>,
    discards: bool,
}

impl Output {
    /// An output that goes nowhere.
    pub(crate) fn nowhere() -> Self {
        Self { discards: true, ..Self::default() }
    }

    /// Appends to standard output.
    pub(crate) fn write(&self, bytes: &[u8]) {
        if self.discards {
            return;
        }
        self.buffer.borrow_mut().extend_from_slice(bytes);
        if self.buffer.borrow().len() > BUFFER_BYTES {
            self.flush();
        }
    }

    /// Sends what is buffered on its way. Nobody left to read it ends the program, quietly.
    pub(crate) fn flush(&self) {
        self.flushed.set(Some(Instant::now()));
        let bytes = self.buffer.take();
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(&bytes).and_then(|()| stdout.flush()) {
            if error.kind() != ErrorKind::BrokenPipe {
                complain(format!("belljar-js: cannot write to standard output: {error}\n"));
            }
            self.leave(1);
        }
    }

    /// Called by the engine every few thousand instructions.
    pub(crate) fn flush_if_stale(&self) {
        // Borrowed means that a write is under way below us; it looks after itself.
        let waiting = self.buffer.try_borrow().is_ok_and(|buffer| !buffer.is_empty());
        if waiting && self.flushed.get().is_none_or(|then| then.elapsed() > STALE_AFTER) {
            self.flush();
        }
    }

    /// Flushes and ends the process.
    pub(crate) fn exit(&self, code: u8) -> ! {
        self.flush();
        self.leave(code)
    }

    /// The end of the process will be announced there.
    pub(crate) fn announce_on(&self, line: Line) {
        drop(self.line.set(line));
    }

    /// Ends the process from anywhere: `belljar.exit`, or a reader that has gone.
    fn leave(&self, code: u8) -> ! {
        if let Some(line) = self.line.get() {
            line.announce(code);
        }
        process::exit(i32::from(code))
    }
}

/// Writes to standard error. A reader that has gone is no reason to stop.
pub(crate) fn complain(text: impl AsRef<[u8]>) {
    drop(io::stderr().write_all(text.as_ref()));
}
