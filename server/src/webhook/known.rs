//! Which events need not be told: a page that asks `complete` again and again must not fill the queue.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long what was delivered is known at least, unless there is too much of it.
const LATELY: Duration = Duration::from_mins(10);

/// Delivered ids that are kept, at most twice.
const MOST: usize = 10_000;

/// Ids of events that are under way, or were delivered lately.
#[derive(Default)]
pub(super) struct Known(Mutex<Ids>);

#[derive(Default)]
struct Ids {
    under_way: HashSet<String>,
    delivered: HashSet<String>,
    /// What was delivered before those; forgotten as a whole, which costs less than to look at each.
    before: HashSet<String>,
    since: Option<Instant>,
}

impl Known {
    /// Whether this one is to be told; then it is under way.
    pub(super) fn begin(&self, id: &str) -> bool {
        let mut ids = self.lock();
        ids.forget(Instant::now());
        let is_told = ids.delivered.contains(id) || ids.before.contains(id);
        !is_told && ids.under_way.insert(id.to_owned())
    }

    /// It is over. One that was not delivered may be tried again by whoever asks for it.
    pub(super) fn end(&self, id: &str, is_delivered: bool) {
        let mut ids = self.lock();
        ids.under_way.remove(id);
        if is_delivered {
            ids.delivered.insert(id.to_owned());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ids> {
        // What a panic elsewhere left is whole all the same.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ids {
    fn forget(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) >= LATELY || self.delivered.len() >= MOST {
            self.before = std::mem::take(&mut self.delivered);
            self.since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_once_until_it_fails_or_is_long_past() {
        let known = Known::default();
        assert!(known.begin("a") && !known.begin("a") && known.begin("b"));
        known.end("a", true);
        known.end("b", false);
        assert!(!known.begin("a"), "delivered lately");
        assert!(known.begin("b"), "not delivered");
        let later = |times: u32| Instant::now() + LATELY * times;
        known.lock().forget(later(1));
        assert!(!known.begin("a"));
        known.lock().forget(later(2));
        assert!(known.begin("a") && !known.begin("b"), "what is under way is never forgotten");
    }

    #[test]
    fn what_is_kept_has_an_end() {
        let known = Known::default();
        for number in 0..MOST * 5 / 2 {
            let id = number.to_string();
            assert!(known.begin(&id));
            known.end(&id, true);
        }
        let ids = known.lock();
        assert_eq!((ids.under_way.len(), ids.before.len()), (0, MOST));
        assert!(ids.delivered.len() <= MOST);
    }
}
