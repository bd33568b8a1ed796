//! What belljar itself says.

use std::io::{self, Write};

use belljar::Error;

use crate::json::is_bidi_control;

/// One line on standard error. Parts of it may come from a payload, or from whoever named a file.
pub(super) fn complain(line: &str) {
    let line = plain(line);
    // There is nobody left to tell that nobody listens.
    drop(writeln!(io::stderr(), "belljar: {line}"));
}

/// Text of belljar's own on standard output. That its reader has enough of it is no failure.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Internal("cannot write to standard output".to_owned(), error))
        }
        _ => Ok(()),
    }
}

/// Text of belljar's own on standard error.
pub(super) fn explain(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

/// Text that does nothing to a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// Rows with their columns below each other. The last one is as long as it likes.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (width, cell) in widths.iter().zip(row) {
            let cell = plain(cell);
            line.extend([format!(" {cell:width$} ")]);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn visible(letter: char) -> char {
    if letter.is_control() || is_bidi_control(letter) { '\u{fffd}' } else { letter }
}
