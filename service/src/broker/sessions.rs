//! Sessions: jars that answer more than once, each the trust domain of one tenant.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use belljar::{Calling, Chunk, Mode, Rules, Session};

use super::idle::{Use, User};
use super::{Broker, Phase};
use crate::json::{
    CallAnswer, CallLimits, CallRequest, Labels, Problem, SessionRequest, SessionRow, Whose,
    now_ms, rfc3339,
};
use crate::queue::Turn;
use crate::sandboxes::Wanted;

/// The sessions of all tenants.
#[derive(Default)]
pub(crate) struct Sessions {
    kept: Mutex<HashMap<String, Arc<Kept>>>,
    /// Those that are being opened count as well.
    count: Arc<AtomicU64>,
}

/// A session, and what is known of it.
pub(crate) struct Kept {
    id: String,
    tenant: Arc<str>,
    runtime: String,
    labels: Labels,
    created_ms: i64,
    expires_ms: i64,
    idle: Duration,
    call_limits: CallLimits,
    /// The rules of its language.
    mode: Mode,
    session: Session,
    calls: AtomicU64,
    used: Arc<Use>,
    _place: Place,
}

/// One of the sessions that there may be.
struct Place(Arc<AtomicU64>);

/// A call, until it is answered. Dropping this interrupts it.
pub(crate) struct Calls {
    kept: Arc<Kept>,
    running: Option<Running>,
}

/// A call that runs, and what it holds. Whoever has the answer may call again, on another
/// connection: before it is told, nothing is held.
struct Running {
    calling: Calling,
    turn: Turn,
    _user: User,
}

/// Something that happened to a call.
pub(crate) enum Called {
    Output(Chunk),
    /// The last that is told.
    Answered(Box<CallAnswer>),
    Failed(Box<Problem>),
}

impl Broker {
    /// Opens a session, and returns once it waits for calls.
    ///
    /// # Errors
    /// When the request makes no sense, or there is no room for it.
    pub(crate) async fn open_session(
        self: &Arc<Self>,
        tenant: Arc<str>,
        request: SessionRequest,
        room: Box<dyn Send>,
    ) -> Result<SessionRow, Problem> {
        if self.is(Phase::Draining) {
            return Err(Problem::overloaded("the service is stopping"));
        }
        let policy = self.policy();
        let wish = request.understand(&policy.limits, policy.lives)?;
        wish.limits.check(&policy.ceiling)?;
        policy.admit(&tenant, &wish.options.network)?;
        let rules = policy.governed.rules(&tenant, &wish.runtime);
        let rules = Rules { mode: rules.mode.min(wish.mode), ..rules };
        let place = self.sessions.place(&tenant, policy.most_sessions)?;
        let wanted = Wanted {
            runtime: &wish.runtime,
            limits: &wish.limits,
            floor: wish.floor,
            start: wish.options.start,
            egress: policy.governed.egress(&tenant),
            rules: &rules,
        };
        let sandbox = self.sandboxes.find(wanted).await?;
        let session = Box::pin(sandbox.open(wish.options)).await?;
        drop(room);
        let created_ms = now_ms();
        let lifetime_ms = i64::try_from(wish.limits.wall.as_millis()).unwrap_or(i64::MAX);
        let kept = Arc::new(Kept {
            id: session.id().to_owned(),
            tenant,
            runtime: wish.runtime,
            labels: wish.labels,
            created_ms,
            expires_ms: created_ms.saturating_add(lifetime_ms),
            idle: wish.idle,
            call_limits: wish.call_limits,
            mode: rules.mode,
            session,
            calls: AtomicU64::new(0),
            used: Use::new(),
            _place: place,
        });
        self.sessions.lock().insert(kept.id.clone(), Arc::clone(&kept));
        let row = kept.row();
        tokio::spawn(keep(Arc::clone(self), kept));
        Ok(row)
    }

    /// How much of its language a session may use.
    ///
    /// # Errors
    /// When there is no such session.
    pub(crate) fn mode_of_session(&self, tenant: &str, id: &str) -> Result<Mode, Problem> {
        Ok(self.session(tenant, id)?.mode)
    }

    /// Begins a call.
    ///
    /// # Errors
    /// When there is no such session, another call runs in it, or the call makes no sense.
    pub(crate) async fn call(
        &self,
        tenant: &str,
        id: &str,
        request: CallRequest,
    ) -> Result<Calls, Problem> {
        let kept = self.session(tenant, id)?;
        let call = request.understand(kept.call_limits)?;
        if kept.session.is_busy() {
            return Err(busy());
        }
        // From here on: a session does not idle while somebody waits for a turn in it.
        let user = kept.used.begin();
        // Its memory is that of the session, which was there before.
        let turn = self.queue.admit(tenant, 0).await?;
        let calling =
            kept.session.begin(call).await.map_err(|error| {
                if kept.session.is_busy() { busy() } else { Problem::from(error) }
            })?;
        kept.calls.fetch_add(1, Ordering::Relaxed);
        Ok(Calls { kept, running: Some(Running { calling, turn, _user: user }) })
    }

    /// A session of `tenant`.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(crate) fn session(&self, tenant: &str, id: &str) -> Result<Arc<Kept>, Problem> {
        let found = self.sessions.lock().get(id).filter(|kept| &*kept.tenant == tenant).cloned();
        let missing =
            || Problem::new("not_found", Whose::Caller, "there is no session of this name");
        found.ok_or_else(missing)
    }

    /// All sessions of `tenant`, the oldest first.
    pub(crate) fn list_sessions(&self, tenant: &str) -> Vec<SessionRow> {
        let kept = self.sessions.lock();
        let mut rows = kept.values().filter(|kept| &*kept.tenant == tenant).collect::<Vec<_>>();
        rows.sort_by(|one, other| one.id.cmp(&other.id));
        rows.into_iter().map(|kept| kept.row()).collect()
    }
}

/// Sees to the end of a session, however it comes.
async fn keep(broker: Arc<Broker>, kept: Arc<Kept>) {
    tokio::select! {
        ended = kept.session.ended() => drop(ended),
        () = kept.used.rests_for(kept.idle) => drop(kept.session.close().await),
    }
    broker.sessions.lock().remove(&kept.id);
}

impl Kept {
    pub(crate) fn row(&self) -> SessionRow {
        SessionRow {
            id: self.id.clone(),
            runtime: self.runtime.clone(),
            status: if self.used.is_made() { "busy" } else { "ready" },
            created_at: rfc3339(self.created_ms),
            expires_at: rfc3339(self.expires_ms),
            idle_ms: u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX),
            calls: self.calls.load(Ordering::Relaxed),
            labels: self.labels.clone(),
        }
    }

    /// Interrupts the call that runs, if one does.
    pub(crate) fn interrupt(&self) {
        self.session.interrupt();
    }

    /// Ends it, and returns when nothing of it is left.
    ///
    /// # Errors
    /// Our own failures.
    pub(crate) async fn close(&self) -> Result<(), Problem> {
        self.session.kill().await?;
        Ok(())
    }
}

impl Calls {
    /// The number of the call in its session.
    pub(crate) fn session_id(&self) -> &str {
        &self.kept.id
    }

    /// What happens next; nothing after the answer. Cancellation safe until the answer.
    pub(crate) async fn next(&mut self) -> Option<Called> {
        if let Some(chunk) = self.running.as_mut()?.calling.output().await {
            return Some(Called::Output(chunk));
        }
        Some(match self.running.take()?.answer(&self.kept.id).await {
            Ok(answer) => Called::Answered(Box::new(answer)),
            Err(problem) => Called::Failed(Box::new(problem)),
        })
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// Our own failures.
    pub(crate) async fn answer(self) -> Result<CallAnswer, Problem> {
        self.running.ok_or_else(Problem::torn)?.answer(&self.kept.id).await
    }
}

impl Running {
    async fn answer(self, session_id: &str) -> Result<CallAnswer, Problem> {
        let answer = self.calling.answer().await?;
        self.turn.used(answer.cpu);
        Ok(CallAnswer::new(session_id, answer))
    }
}

impl Sessions {
    /// Ends all of them.
    pub(super) async fn close(&self) {
        let all = self.lock().values().cloned().collect::<Vec<_>>();
        let mut closing = tokio::task::JoinSet::new();
        for kept in all {
            closing.spawn(async move { drop(kept.session.kill().await) });
        }
        while closing.join_next().await.is_some() {}
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn place(&self, tenant: &str, most: u64) -> Result<Place, Problem> {
        let own = self.lock().values().filter(|kept| &*kept.tenant == tenant).count() as u64;
        if own > 0 && own >= most.div_ceil(2) {
            let what = "a tenant has at most half of the sessions";
            return Err(Problem { fault: Whose::Caller, ..Problem::overloaded(what) });
        }
        let place = Place(Arc::clone(&self.count));
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        if before >= most {
            return Err(Problem::overloaded("too many sessions at one time"));
        }
        Ok(place)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// It may be tried again when the other call is over.
fn busy() -> Problem {
    let what = "another call runs in this session";
    Problem { may_retry: true, ..Problem::new("session_busy", Whose::Caller, what) }
}
