//! Grants at hand, and which are still good.

use crate::map::Map;
use crate::protocol::Grant;

/// A grant is not used when less than this many milliseconds of it are left, or less than its part will take …
const MARGIN_MS: u64 = 15_000;

/// … but a new one is good for this many milliseconds at the least, whatever the backend's clock says: asking for
/// another would only bring the same again, and the store has the last word.
const SHORTEST_MS: u64 = 5_000;

/// The grants of one upload that were not used yet, by part.
#[derive(Debug, Default)]
pub struct Grants(Map<u32, Held>);

#[derive(Debug)]
struct Held {
    grant: Grant,
    /// When it came, on the machine's clock.
    since: u64,
    /// Until when it can be used, on the machine's clock.
    until: u64,
}

impl Grants {
    /// Keeps a grant for its part; a newer one replaces an older.
    ///
    /// It came at `now` in an answer of `server_time`. A presigned request is judged by the time over there, and a
    /// laptop's clock can be wrong by a day in either direction: only the difference of the two counts. `takes` is how
    /// many milliseconds the part is likely to need; of a short grant half is used at the least.
    pub fn put(&mut self, now: u64, server_time: u64, takes: u64, grant: Grant) {
        let left = grant.expires_at.saturating_sub(server_time);
        let good = left.saturating_sub(takes.max(MARGIN_MS)).max(left / 2).max(SHORTEST_MS);
        self.0.insert(grant.number, Held { grant, since: now, until: now.saturating_add(good) });
    }

    /// Whether part `number` has a grant that can be used now.
    pub fn has(&self, number: u32, now: u64) -> bool {
        self.get(number, now).is_some()
    }

    /// The grant for part `number` if it can be used now. It is kept: a lost connection does not use it up.
    pub fn get(&self, number: u32, now: u64) -> Option<&Grant> {
        self.0.get(&number).filter(|held| now < held.until).map(|held| &held.grant)
    }

    /// The parts whose grants can be used now, in order.
    pub fn usable(&self, now: u64) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().filter(move |(_, held)| now < held.until).map(|(number, _)| *number)
    }

    /// Forgets the grant of part `number`: the part is stored, or the grant does not serve it.
    pub fn discard(&mut self, number: u32) {
        self.0.remove(&number);
    }

    /// Forgets all that were there at `time`: the store refused one of them, and most likely refuses its fellows.
    pub fn discard_from(&mut self, time: u64) {
        self.0.retain(|_, held| held.since > time);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::SecretUrl;

    fn grant(number: u32, expires_at: u64) -> Grant {
        let url = SecretUrl::new("https://store.example/part");
        Grant::put(number, url, Map::new(), expires_at)
    }

    /// Until when a grant of `left` milliseconds is used for a part that takes `takes`.
    fn good_for(left: u64, takes: u64) -> u64 {
        let (now, server) = (5_000, 1_800_000_000_000);
        let mut grants = Grants::default();
        grants.put(now, server, takes, grant(1, server + left));
        (0..100_000).find(|after| !grants.has(1, now + after)).unwrap()
    }

    #[test]
    fn a_grant_is_used_while_its_part_can_go_up_in_time() {
        assert_eq!(good_for(60_000, 0), 45_000);
        assert_eq!(good_for(60_000, 20_000), 40_000);
    }

    #[test]
    fn a_short_grant_is_used_all_the_same() {
        assert_eq!(good_for(60_000, 100_000), 30_000);
        assert_eq!(good_for(12_000, 0), 6_000);
        assert_eq!(good_for(0, 0), SHORTEST_MS);
    }

    #[test]
    fn a_refused_grant_takes_its_fellows_with_it_but_not_the_new_ones() {
        let mut grants = Grants::default();
        for (number, at) in [(1, 10), (2, 10), (3, 30)] {
            grants.put(at, 0, 0, grant(number, 60_000));
        }
        grants.discard_from(20);
        assert!(grants.usable(40).eq([3]));
    }

    #[test]
    fn a_secret_url_does_not_show_itself() {
        let mut grants = Grants::default();
        grants.put(0, 0, 0, grant(1, 0));
        let text = format!("{grants:?}");
        assert!(!text.contains("store.example"), "{text}");
    }

    #[test]
    fn absurd_times_do_not_overflow() {
        let mut grants = Grants::default();
        grants.put(u64::MAX, 0, u64::MAX, grant(1, u64::MAX));
        grants.put(0, u64::MAX, 0, grant(2, 0));
        assert!(grants.has(2, 0));
    }
}
