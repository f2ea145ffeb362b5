//! Grants at hand, and which are still good.

use crate::map::Map;
use crate::protocol::Grant;

/// A grant is not used when less than this many milliseconds of it are left.
const MARGIN_MS: u64 = 15_000;

/// The backend's clock as far as its answers tell: a presigned request is judged by the time over there,
/// and a laptop's clock can be wrong by a day.
#[derive(Debug, Clone, Copy)]
pub struct ServerClock {
    /// What to add to the machine's time, milliseconds.
    offset: Option<i128>,
}

impl ServerClock {
    /// A clock before the first answer.
    pub const fn unset() -> Self {
        Self { offset: None }
    }

    /// Sets the clock from an answer that arrived at `now`.
    pub fn set(&mut self, now: u64, server_time: u64) {
        self.offset = Some(i128::from(server_time) - i128::from(now));
    }

    /// Milliseconds from `now` until `at`, a time of the backend; 0 if it has passed, `None` before the first answer.
    pub fn until(&self, now: u64, at: u64) -> Option<u64> {
        let left = i128::from(at) - (i128::from(now) + self.offset?);
        Some(u64::try_from(left.max(0)).unwrap_or(u64::MAX))
    }
}

/// The grants of one upload that were not used yet, by part.
#[derive(Debug, Default)]
pub struct Grants(Map<u32, Grant>);

impl Grants {
    /// Keeps a grant for its part; a newer one replaces an older.
    pub fn put(&mut self, grant: Grant) {
        self.0.insert(grant.number, grant);
    }

    /// Whether part `number` has a grant that can be used now.
    pub fn has(&self, number: u32, clock: &ServerClock, now: u64) -> bool {
        self.0.get(&number).is_some_and(|grant| is_good(grant, clock, now))
    }

    /// The grant for part `number` if it can be used now. It is kept: a lost connection does not use it up.
    pub fn get(&self, number: u32, clock: &ServerClock, now: u64) -> Option<&Grant> {
        self.0.get(&number).filter(|grant| is_good(grant, clock, now))
    }

    /// The parts whose grants can be used now, in order.
    pub fn usable<'a>(&'a self, clock: &'a ServerClock, now: u64) -> impl Iterator<Item = u32> + 'a {
        self.0.values().filter(move |grant| is_good(grant, clock, now)).map(|grant| grant.number)
    }

    /// Forgets the grant of part `number`: the part is stored, or the store refused the grant.
    pub fn discard(&mut self, number: u32) {
        self.0.remove(&number);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

fn is_good(grant: &Grant, clock: &ServerClock, now: u64) -> bool {
    clock.until(now, grant.expires_at).is_none_or(|left| left > MARGIN_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Map;
    use crate::protocol::{GrantMethod, SecretUrl};

    fn grant(number: u32, expires_at: u64) -> Grant {
        let url = SecretUrl::new("https://store.example/part");
        Grant { number, method: GrantMethod::Put, url, headers: Map::new(), expires_at }
    }

    #[test]
    fn a_grant_is_judged_by_the_backends_clock() {
        let (now, server) = (5_000, 1_800_000_000_000);
        let mut clock = ServerClock::unset();
        clock.set(now, server);
        let mut grants = Grants::default();
        grants.put(grant(1, server + MARGIN_MS + 1));
        assert!(grants.has(1, &clock, now));
        assert!(!grants.has(1, &clock, now + 1));
        assert!(!grants.has(2, &clock, now));
    }

    #[test]
    fn a_secret_url_does_not_show_itself() {
        let text = format!("{:?}", grant(1, 0));
        assert!(!text.contains("store.example"), "{text}");
    }

    #[test]
    fn absurd_times_do_not_overflow() {
        let mut clock = ServerClock::unset();
        clock.set(u64::MAX, 0);
        assert_eq!(clock.until(0, u64::MAX), Some(u64::MAX));
        clock.set(0, u64::MAX);
        assert_eq!(clock.until(u64::MAX, 0), Some(0));
    }
}
