//! What the operator allows, as far as it may change while the service serves.

use std::collections::HashSet;
use std::time::Duration;

use belljar::{Allowed, Error, Grant, Limits, Network};
use nix::unistd::{Uid, User, geteuid};

use crate::config::{Config, Governed};
use crate::json::Lives;

/// Places that a refusal names.
const MOST_NAMED: usize = 16;

/// What holds for whatever is asked for next.
pub(crate) struct Policy {
    /// Of a run that names none.
    pub(crate) limits: Limits,
    /// The most that a run may name.
    pub(crate) ceiling: Limits,
    pub(crate) lives: Lives,
    pub(crate) most_sessions: u64,
    /// The rules and the network of each tenant and runtime.
    pub(crate) governed: Governed,
    /// Whether what a run wrote is history.
    pub(crate) keeps_outputs: bool,
    /// Whether a caller may name a tenant.
    header: bool,
    users: HashSet<u32>,
}

/// Whose request it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) tenant: std::sync::Arc<str>,
    /// Root, or the owner of the service: who may know of all tenants.
    pub(crate) is_operator: bool,
}

/// Why a name of a tenant is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotATenant {
    /// The operator does not let callers name any.
    NotAllowed,
    Malformed,
}

impl Policy {
    /// # Errors
    /// [`Error::Invalid`] for a user that this host does not know.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let sessions = &config.sessions;
        Ok(Self {
            limits: config.limits(),
            ceiling: config.ceiling(),
            lives: Lives {
                idle: Duration::from_millis(sessions.idle_ms),
                lifetime: Duration::from_millis(sessions.lifetime_ms),
            },
            most_sessions: sessions.most.into(),
            governed: config.governed(),
            keeps_outputs: config.history.outputs,
            header: config.tenants.header,
            users: config.tenants.users.iter().map(|name| user(name)).collect::<Result<_, _>>()?,
        })
    }

    /// Whether `tenant` may have what is asked for, as far as that can be told before its turn.
    ///
    /// # Errors
    /// [`Error::Refused`] when the operator does not allow it.
    pub(crate) fn admit(&self, tenant: &str, network: &Network) -> Result<(), Error> {
        let Network::Gate(grants) = network else { return Ok(()) };
        let allowed = &self.governed.egress(tenant).allowed;
        let refused = |grant: &Grant| {
            let there_are = match allowed {
                Allowed::These(these) => {
                    let these = these.iter().take(MOST_NAMED).map(ToString::to_string);
                    format!("may be granted: {}", these.collect::<Vec<_>>().join(", "))
                }
                _ => "no place may be granted".to_owned(),
            };
            let what =
                format!("network: {grant} is not among what the operator allows; {there_are}");
            Error::Refused { what, findings: Vec::new() }
        };
        let strange = grants.iter().find(|grant| !allowed.allows(grant));
        strange.map_or(Ok(()), |grant| Err(refused(grant)))
    }

    /// Who `user` is; nothing for a stranger.
    pub(crate) fn caller(&self, user: u32) -> Option<Caller> {
        let is_operator = user == 0 || user == geteuid().as_raw();
        let is_known = is_operator || self.users.contains(&user);
        is_known.then(|| Caller { tenant: user.to_string().into(), is_operator })
    }

    /// Who `caller` is on behalf of the tenant that a request names. An operator's tenants have
    /// the names that the configuration knows; those of another user are parts of that user.
    ///
    /// # Errors
    /// When that is not allowed, or no name.
    pub(crate) fn on_behalf(&self, caller: &Caller, name: &str) -> Result<Caller, NotATenant> {
        const MOST_BYTES: usize = 64;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !self.header {
            return Err(NotATenant::NotAllowed);
        }
        if !(1..=MOST_BYTES).contains(&name.len()) || !name.bytes().all(is_plain) {
            return Err(NotATenant::Malformed);
        }
        if caller.is_operator {
            return Ok(Caller { tenant: name.into(), is_operator: true });
        }
        let tenant = format!("{}/{name}", caller.tenant).into();
        Ok(Caller { tenant, is_operator: false })
    }
}

fn user(name: &str) -> Result<u32, Error> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let found = User::from_name(name).ok().flatten().map(|user| Uid::as_raw(user.uid));
    found.ok_or_else(|| Error::Invalid(format!("`tenants.users`: there is no user {name:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(set: impl FnOnce(&mut Config)) -> Policy {
        let mut config = Config::default();
        set(&mut config);
        Policy::new(&config).unwrap()
    }

    #[test]
    fn a_stranger_is_nobody_until_the_operator_says_so() {
        let stranger = geteuid().as_raw() + 12_345;
        assert_eq!(policy(|_| ()).caller(stranger), None);
        let known = policy(|config| config.tenants.users = vec![stranger.to_string()]);
        assert!(!known.caller(stranger).unwrap().is_operator);
        assert!(known.caller(0).unwrap().is_operator);
    }

    #[test]
    fn nobody_becomes_another_users_tenant() {
        let open = policy(|config| config.tenants.header = true);
        let own = Caller { tenant: "1000".into(), is_operator: false };
        assert_eq!(&*open.on_behalf(&own, "0").unwrap().tenant, "1000/0");
        let operator = Caller { tenant: "0".into(), is_operator: true };
        assert_eq!(&*open.on_behalf(&operator, "blue").unwrap().tenant, "blue");
        for name in ["", "a/b", "a b", "ä", &"a".repeat(65)] {
            assert_eq!(open.on_behalf(&operator, name), Err(NotATenant::Malformed), "{name}");
        }
        assert_eq!(policy(|_| ()).on_behalf(&operator, "a"), Err(NotATenant::NotAllowed));
    }

    #[test]
    fn a_place_is_granted_to_whom_the_operator_allows_it() {
        let policy = policy(|config| {
            config.network.allow = vec!["*.a.test:443".to_owned()];
            let own = crate::config::NetworkOf { allow: Vec::new(), open_ranges: Vec::new() };
            config.network.tenants.insert("acme".to_owned(), own);
        });
        let asked = |tenant, place: &str| {
            let refused = policy.admit(tenant, &Network::Gate(vec![place.parse().unwrap()])).err();
            refused.map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(asked("0", "b.a.test:443"), "");
        assert!(asked("0", "a.test:443").ends_with("may be granted: *.a.test:443"));
        assert!(asked("acme", "b.a.test:443").ends_with("no place may be granted"));
        assert!(policy.admit("acme", &Network::Loopback).is_ok());
    }

    #[test]
    fn a_user_that_is_not_there_is_named() {
        let mut config = Config::default();
        config.tenants.users = vec!["no-such-user".to_owned()];
        assert!(Policy::new(&config).err().unwrap().to_string().contains("no-such-user"));
    }
}
