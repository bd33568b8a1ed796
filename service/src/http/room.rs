//! Room for requests: how much all of them take up in memory, and how much one tenant's may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Kept free for those that are no larger than [`SMALL_BYTES`].
const RESERVE_BYTES: usize = 8 << 20;
const SMALL_BYTES: usize = 64 << 10;

/// The room that there is.
pub(super) struct Room {
    most_bytes: usize,
    taken: Mutex<Shares>,
}

#[derive(Default)]
struct Shares {
    bytes: usize,
    tenants: HashMap<Arc<str>, usize>,
}

/// What one request takes up. Dropping it gives that back.
pub(super) struct Taken {
    room: Arc<Room>,
    tenant: Arc<str>,
    bytes: usize,
}

impl Room {
    pub(super) fn new(most_bytes: usize) -> Arc<Self> {
        Arc::new(Self { most_bytes, taken: Mutex::default() })
    }

    /// A request of `tenant`, which takes up nothing yet.
    pub(super) fn enter(self: &Arc<Self>, tenant: &Arc<str>) -> Taken {
        Taken { room: Arc::clone(self), tenant: Arc::clone(tenant), bytes: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Takes up so much more, unless the tenant has its half or others have all.
    pub(super) fn grow(&mut self, more: usize) -> bool {
        let most = self.room.most_bytes;
        let mut shares = self.room.lock();
        let own = shares.tenants.get(&self.tenant).copied().unwrap_or(0);
        let is_small = self.bytes + more <= SMALL_BYTES;
        let for_all = if is_small { most.saturating_add(RESERVE_BYTES) } else { most };
        if own + more > most / 2 || shares.bytes + more > for_all {
            return false;
        }
        shares.bytes += more;
        *shares.tenants.entry(Arc::clone(&self.tenant)).or_default() += more;
        drop(shares);
        self.bytes += more;
        true
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut shares = self.room.lock();
        shares.bytes -= self.bytes;
        let left = shares.tenants.get_mut(&self.tenant).map(|own| {
            *own -= self.bytes;
            *own
        });
        if left == Some(0) {
            shares.tenants.remove(&self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_has_half_and_what_is_small_comes_in() {
        let room = Room::new(4 << 20);
        let [one, other, third] = ["one", "other", "third"].map(Arc::<str>::from);
        let (mut first, mut second) = (room.enter(&one), room.enter(&other));
        assert!(first.grow(2 << 20) && !first.grow(1));
        assert!(!room.enter(&one).grow(1), "not by another request either");
        assert!(second.grow(2 << 20));
        assert!(!room.enter(&third).grow(SMALL_BYTES + 1));
        assert!(room.enter(&third).grow(SMALL_BYTES));
        drop(first);
        assert!(room.enter(&one).grow(1 << 20));
        drop(second);
        let shares = room.lock();
        assert_eq!((shares.bytes, shares.tenants.len()), (0, 0));
    }
}
