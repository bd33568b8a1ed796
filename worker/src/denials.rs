//! What seccomp refused, heard and answered outside the jar.

use std::os::fd::OwnedFd;

use belljar_protocol::{Denial, Report, Tally};

use crate::control::{Control, receive_with};
use crate::layers::seccomp;
use crate::stopwatch::best_effort;
use crate::sys;

/// What was refused, each kind of refusal once.
#[derive(Default)]
pub(crate) struct Denials {
    /// Where they are heard. Kept until init is dead: a call whose listener is gone returns, and
    /// one that ends the run must not.
    pub(crate) listener: Option<OwnedFd>,
    seen: Vec<Denial>,
    pub(crate) tally: Tally,
}

impl Denials {
    /// Answers one refused call, and reports it if there was none like it.
    /// Whether it was one that ends the run.
    pub(crate) fn answer(&mut self, control: &Control) -> bool {
        let Some(listener) = &self.listener else { return false };
        // ENOENT: the caller was killed before it could be heard.
        let Ok(notification) = sys::next_notification(listener) else { return false };
        let call = notification.data.nr;
        let errno = seccomp::answer(call);
        let denial = Denial { call, args: notification.data.args, errno };
        if seccomp::is_fatal(call) {
            // However many were recorded before: the verdict depends on it.
            best_effort(control.send(&Report::Denied(denial)));
            self.tally.counts.push(1);
            return true;
        }
        // Before the answer: what the payload does next may be the last of the run.
        self.record(denial, control);
        if let Some(listener) = &self.listener {
            best_effort(sys::answer_notification(listener, notification.id, errno));
        }
        false
    }

    fn record(&mut self, denial: Denial, control: &Control) {
        let telling = seccomp::telling_args(denial.call);
        let alike = |other: &&mut (Denial, &mut u64)| {
            other.0.call == denial.call
                && (0..)
                    .zip(other.0.args.iter().zip(&denial.args))
                    .all(|(index, (one, two))| telling & (1 << index) == 0 || one == two)
        };
        let mut pairs: Vec<_> = self.seen.iter().copied().zip(&mut self.tally.counts).collect();
        if let Some((_, count)) = pairs.iter_mut().find(alike) {
            **count += 1;
        } else if self.seen.len() < Tally::MAX {
            self.seen.push(denial);
            self.tally.counts.push(1);
            best_effort(control.send(&Report::Denied(denial)));
        } else {
            self.tally.unrecorded += 1;
        }
    }
}

/// The listener of a filter, handed over by whoever installed it.
pub(crate) fn receive_listener(tether: &OwnedFd) -> Option<OwnedFd> {
    let mut word = [0; 8];
    receive_with(tether, &mut word).ok()?.1.into_iter().next()
}
