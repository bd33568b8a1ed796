//! The network of a payload while it runs.

use std::time::Instant;

use belljar_protocol::Tally;
use tokio::sync::mpsc;

use super::Watch;
use crate::cgroup;
use crate::gate::Gate;
use crate::plan::{Plan, Wiring};
use crate::receipt::{Buffers, Connected};
use crate::redact::Redactor;
use crate::{Denied, Error, NetworkUse};

/// The kind of a network in which there is nothing else.
const LOOPBACK: &str = "loopback";

/// What is known of it.
#[derive(Default)]
pub(super) struct Online {
    gate: Option<Gate>,
    refused: Option<mpsc::Receiver<Denied>>,
    /// Each kind of refusal once.
    denials: Vec<Denied>,
    unrecorded: u64,
    used: NetworkUse,
    /// For what it says of names, which a payload makes up.
    redactor: Option<Redactor>,
}

impl Watch {
    /// Opens the gate on the sockets that came out of the jar, if it has one.
    pub(crate) fn go_online(&mut self, plan: &Plan, wiring: Wiring) -> Result<(), Error> {
        let doors = std::mem::take(&mut self.raised.doors);
        let redactor = Some(plan.redactor.fresh());
        let mut online = Online { redactor, ..Online::default() };
        match wiring {
            Wiring::None => return Ok(()),
            Wiring::Loopback => online.used.kind = LOOPBACK,
            Wiring::Gate(layout) => {
                let (denials, refused) = mpsc::channel(Tally::MAX);
                let opened = Gate::open(*layout, doors, &plan.limits, Instant::now(), denials)?;
                (online.gate, online.refused) = (Some(opened), Some(refused));
            }
        }
        self.online = Some(Box::new(online));
        Ok(())
    }

    /// Closes the gate, once nobody is left in the jar.
    ///
    /// What a program that ended by itself has sent is passed on first, for as long as that is soon.
    pub(crate) async fn go_offline(&mut self, was_ended: bool) {
        let Some(gate) = self.online.as_mut().and_then(|online| online.gate.take()) else { return };
        if !was_ended {
            gate.drain().await;
        }
        // Closing it tells what was not told yet, for which there has to be room.
        self.hear_refused();
        let mut used = gate.close();
        self.hear_refused();
        let Some(online) = &mut self.online else { return };
        if let Some(redactor) = &online.redactor {
            for connection in &mut used.connections {
                connection.host = redactor.text(&connection.host);
            }
        }
        online.used = used;
        online.refused = None;
    }

    fn hear_refused(&mut self) {
        let refused = |online: &mut Online| online.refused.as_mut()?.try_recv().ok();
        while let Some(denied) = self.online.as_deref_mut().and_then(refused) {
            self.refused(denied);
        }
    }

    /// Takes in what the gate refused.
    pub(super) fn refused(&mut self, mut denied: Denied) {
        let Some(online) = &mut self.online else { return };
        if let Some(redactor) = &online.redactor {
            denied.what = redactor.text(&denied.what);
            denied.hint = redactor.text(&denied.hint).into();
        }
        let alike = |other: &&mut Denied| {
            (other.kind, &other.what, other.rule) == (denied.kind, &denied.what, denied.rule)
        };
        if let Some(known) = online.denials.iter_mut().find(alike) {
            known.count = known.count.saturating_add(denied.count);
        } else if online.denials.len() < Tally::MAX {
            if let Some(told) = &self.told {
                // Nobody may be interested.
                drop(told.try_send(denied.clone()));
            }
            online.denials.push(denied);
        } else {
            online.unrecorded = online.unrecorded.saturating_add(denied.count);
        }
    }

    /// As the receipt says it.
    pub(super) fn connected(&self) -> Option<Connected> {
        let online = self.online.as_ref()?;
        let group = self.raised.group.as_ref();
        let buffers = group.map_or(Buffers::Sampled, cgroup::Jar::socket_buffers);
        Some(Connected { has_gate: online.used.kind != LOOPBACK, buffers })
    }

    /// The gate will refuse nothing more.
    pub(super) fn nothing_is_refused(&mut self) {
        if let Some(online) = &mut self.online {
            online.refused = None;
        }
    }

    /// What came of it, what was refused, and how much more.
    pub(super) fn told_of_network(&mut self) -> (Option<NetworkUse>, Vec<Denied>, u64) {
        match self.online.take() {
            Some(online) => (Some(online.used), online.denials, online.unrecorded),
            None => (None, Vec::new(), 0),
        }
    }
}

/// What the gate refuses next; forever where there is none.
pub(super) async fn next_refused(online: Option<&mut Online>) -> Option<Denied> {
    match online.and_then(|online| online.refused.as_mut()) {
        Some(refused) => refused.recv().await,
        None => std::future::pending().await,
    }
}
