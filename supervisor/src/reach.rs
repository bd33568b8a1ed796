//! How strong the jars of this host can be, found by raising them: the strongest there is, and
//! whatever weaker one a caller named only where nothing stronger stands.

use belljar_protocol::Authority;
use nix::libc;

use crate::host::Host;
use crate::plan::Site;
use crate::sandbox::Settings;
use crate::{Error, Floor, raise, scratch};

/// What runs are built with.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) authority: Authority,
    /// What the probe's worker found; 0 where nobody asked.
    pub(crate) landlock_abi: u32,
    /// Why nothing stronger is used; nothing where there is nothing stronger.
    pub(crate) obstacle: Option<Obstacle>,
}

/// An [`Error::Unenforceable`] to be kept.
#[derive(Clone, Debug)]
pub(crate) struct Obstacle {
    pub(crate) what: String,
    pub(crate) reason: String,
    pub(crate) errno: i32,
    pub(crate) hint: &'static str,
}

impl Reach {
    /// For a sandbox whose floor may lie below what needs namespaces, a jar that runs nothing is
    /// raised first, once per process; for all others, a run fails if it cannot have one.
    pub(crate) async fn find(settings: &Settings) -> Result<Self, Error> {
        let host = settings.host;
        if settings.floor >= Floor::STRICT {
            let authority = host.strongest();
            return Ok(Self { authority, landlock_abi: 0, obstacle: None });
        }
        let reach = host.reach.get_or_try_init(|| descend(settings)).await?;
        match &reach.obstacle {
            Some(obstacle) if host.level(reach.authority) < settings.floor => {
                Err(obstacle.clone().into())
            }
            _ => Ok(reach.clone()),
        }
    }
}

/// Tries one authority after the other.
async fn descend(settings: &Settings) -> Result<Reach, Error> {
    scratch::sweep();
    let mut obstacle: Option<Obstacle> = None;
    let mut last = None;
    for authority in settings.host.authorities() {
        let reach = Reach { authority: *authority, landlock_abi: 0, obstacle: obstacle.clone() };
        match probe(settings, &reach).await {
            Ok(landlock_abi) => return Ok(Reach { landlock_abi, ..reach }),
            Err(Error::Unenforceable { what, reason, errno, hint }) if !passes(errno) => {
                tracing::info!(?authority, what, reason, "a level is out of reach");
                let found = Obstacle { what, reason, errno, hint };
                obstacle.get_or_insert_with(|| found.clone());
                last = Some(found);
            }
            Err(error) => return Err(error),
        }
    }
    let nothing = || Error::Protocol("a host with no authority to try".to_owned());
    Err(last.map_or_else(nothing, Error::from))
}

/// Raises every wall around nothing, and looks at them from outside; the Landlock ABI.
async fn probe(settings: &Settings, reach: &Reach) -> Result<u32, Error> {
    let (site, errand) = Site::probe(settings, reach)?;
    let (host, limits, id) = (settings.host, &settings.limits, ulid::Ulid::generate().to_string());
    let (mut raised, orders) = raise::spawn(host, limits, &id, site, errand).await?;
    let confined = raise::confine(host, limits, &mut raised, orders).await;
    raised.tear_down().await;
    Ok(confined?.0.landlock_abi)
}

/// Whether the host may be able to do in a minute what it cannot now.
fn passes(errno: i32) -> bool {
    matches!(errno, libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::EINTR)
}

impl From<Obstacle> for Error {
    fn from(Obstacle { what, reason, errno, hint }: Obstacle) -> Self {
        Self::Unenforceable { what, reason, errno, hint }
    }
}

impl Host {
    /// What runs use that insist on namespaces.
    pub(crate) fn strongest(&self) -> Authority {
        self.authorities().first().copied().unwrap_or(Authority::Own)
    }

    /// What runs use that do not, as far as it is known.
    pub(crate) fn reached(&self) -> Authority {
        self.reach.get().map_or_else(|| self.strongest(), |reach| reach.authority)
    }

    /// Why that is not the strongest.
    pub(crate) fn obstacle(&self) -> Option<&Obstacle> {
        self.reach.get()?.obstacle.as_ref()
    }
}
