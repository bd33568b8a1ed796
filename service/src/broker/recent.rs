//! Runs that ended a moment ago: who follows one from afar may come back for what was missed.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Ticket;

const MOST_RUNS: usize = 256;
const MOST_BYTES: usize = 16 << 20;

/// The last of them.
#[derive(Default)]
pub(super) struct Recent {
    /// With what each takes up, the oldest first.
    tickets: VecDeque<(usize, Arc<Ticket>)>,
    bytes: usize,
}

impl Recent {
    pub(super) fn keep(&mut self, ticket: Arc<Ticket>) {
        let bytes = ticket.bytes();
        self.bytes += bytes;
        self.tickets.push_back((bytes, ticket));
        while self.tickets.len() > MOST_RUNS || self.bytes > MOST_BYTES {
            let Some((bytes, _)) = self.tickets.pop_front() else { return };
            self.bytes -= bytes;
        }
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Ticket>> {
        self.tickets.iter().map(|(_, ticket)| ticket).find(|ticket| ticket.id == id).cloned()
    }
}
