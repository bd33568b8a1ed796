//! An answer, line by line.

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{gone, strange};
use crate::json::Problem;

pub(super) struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
    /// In which there is no end of a line.
    searched: usize,
}

impl Lines {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, buffer: Vec::new(), searched: 0 }
    }

    /// Cancellation safe.
    pub(super) async fn next(&mut self, most_bytes: usize) -> Result<Option<Vec<u8>>, Problem> {
        loop {
            let fresh = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + at + 1);
                self.searched = 0;
                return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > most_bytes {
                return Err(strange("its line does not end"));
            }
            let lost = "the service went away before the run had ended";
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(_)) => return Err(gone(lost)),
                None => return Ok(None),
            }
        }
    }
}
