//! Who calls a tool, and whether they still wait for the answer.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::http::request::Parts;
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use tokio::sync::watch;

use super::Handler;
use crate::json::{Problem, Whose};

/// Over the socket it travels with the head of a request.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(super) tenant: Arc<str>,
    /// What the request takes up, until its run takes it over.
    room: Arc<Mutex<Option<Box<dyn Send>>>>,
    /// True when nobody waits for the answer any more; nothing where that cannot be seen here.
    leaves: Option<watch::Receiver<bool>>,
}

/// The other end of a [`Caller`]: somebody who waits. Nobody does when it is dropped.
#[derive(Clone)]
pub(crate) struct Waiting(Arc<watch::Sender<bool>>);

impl Caller {
    pub(crate) fn new(tenant: Arc<str>, room: Box<dyn Send>) -> (Self, Waiting) {
        let (sender, leaves) = watch::channel(false);
        let room = Arc::new(Mutex::new(Some(room)));
        (Self { tenant, room, leaves: Some(leaves) }, Waiting(Arc::new(sender)))
    }

    pub(super) fn take_room(&self) -> Box<dyn Send> {
        let room = self.room.lock().unwrap_or_else(PoisonError::into_inner).take();
        room.unwrap_or_else(|| Box::new(()))
    }

    /// Returns when there is nobody to answer, with what then nobody is told.
    pub(super) async fn leaves(&mut self, context: &RequestContext<RoleServer>) -> Problem {
        let seen = async {
            match &mut self.leaves {
                // Its other end is dropped by whoever leaves.
                Some(leaves) => drop(leaves.wait_for(|leaves| *leaves).await),
                None => pending().await,
            }
        };
        tokio::select! {
            () = context.ct.cancelled() => {}
            () = seen => {}
        }
        Problem::new("cancelled", Whose::Caller, "nobody waits for the answer any more")
    }
}

impl Waiting {
    /// Does not wait any longer.
    pub(crate) fn leave(&self) {
        self.0.send_replace(true);
    }
}

impl Handler {
    pub(super) fn caller(&self, context: &RequestContext<RoleServer>) -> Result<Caller, Problem> {
        let parts = context.extensions.get::<Parts>();
        let caller = parts.and_then(|parts| parts.extensions.get::<Caller>());
        let own = || {
            let tenant = self.own.clone()?;
            Some(Caller { tenant, room: Arc::default(), leaves: None })
        };
        caller.cloned().or_else(own).ok_or_else(Problem::torn)
    }
}
