//! The parts of one upload: what is to be sent, what waits, what is stored.

use super::stored::{StoredParts, unquoted};
use super::view::PartState;
use crate::map::{Map, Set};
use crate::plan::Plan;
use crate::protocol::{CompletePart, ListedPart};

/// Failures of one part since it last went well.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trouble {
    pub(super) tries: u32,
    pub(super) refusals: u32,
}

#[derive(Debug)]
pub(super) struct Parts {
    pub(super) plan: Plan,
    /// Ready to be sent.
    pub(super) todo: Set<u32>,
    /// Failed, and not to be sent again before the time beside it.
    later: Vec<(u64, u32)>,
    stored: StoredParts,
    troubles: Map<u32, Trouble>,
    /// Bytes of stored parts.
    pub(super) acknowledged: u64,
    /// Parts were stored without a tag that tells of their bytes: some browsers have sent an empty body and taken the
    /// answer for a good one. Before such parts are joined, the store is asked what it holds.
    unproven: bool,
}

impl Parts {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            todo: (1..=plan.count()).map(|number| (number, ())).collect(),
            later: Vec::new(),
            stored: StoredParts::of(plan.count()),
            troubles: Map::new(),
            acknowledged: 0,
            unproven: false,
        }
    }

    pub(super) const fn are_proven(&self) -> bool {
        !self.unproven
    }

    pub(super) fn is_complete(&self) -> bool {
        !self.plan.is_open() && self.stored.len() == self.plan.count() as usize
    }

    /// A stream has more bytes, and with them parts to be sent, or none any more. Tells whether the store takes so many.
    pub(super) fn grow(&mut self, size: u64, is_open: bool) -> bool {
        let known = self.plan.count();
        let fits = self.plan.grow(size, is_open);
        for number in known + 1..=self.plan.count() {
            self.todo.insert(number, ());
        }
        fits
    }

    /// How many parts are stored.
    pub(super) const fn count_stored(&self) -> u32 {
        self.stored.len() as u32
    }

    /// Takes a part out of what is to be sent: it is on its way.
    pub(super) fn sent(&mut self, number: u32) {
        self.todo.remove(&number);
        if self.todo.is_empty() {
            // With its room: a stored part takes no more than its tag.
            self.todo = Set::new();
        }
    }

    pub(super) fn is_stored(&mut self, number: u32, etag: Option<&str>) {
        self.unproven |= etag.is_none();
        self.todo.remove(&number);
        self.went_well(number);
        if self.stored.insert(number, etag) {
            self.acknowledged += self.plan.part_len(number);
        }
    }

    /// Counts a failure and tells how many there are now.
    pub(super) fn failed(&mut self, number: u32, refused: bool) -> Trouble {
        let mut trouble = self.troubles.remove(&number).unwrap_or_default();
        trouble.tries += 1;
        trouble.refusals = if refused { trouble.refusals + 1 } else { 0 };
        self.troubles.insert(number, trouble);
        trouble
    }

    /// A part that has failed now moves on.
    pub(super) fn went_well(&mut self, number: u32) {
        self.troubles.remove(&number);
    }

    /// Whether a part has failed since it last went well.
    pub(super) fn has_failed(&self, number: u32) -> bool {
        self.troubles.contains_key(&number)
    }

    pub(super) fn send_again(&mut self, number: u32, not_before: u64) {
        self.later.push((not_before, number));
    }

    /// Moves parts whose wait is over to what is to be sent.
    pub(super) fn wake(&mut self, now: u64) {
        let todo = &mut self.todo;
        self.later.retain(|(at, number)| {
            let due = *at <= now;
            if due {
                todo.insert(*number, ());
            }
            !due
        });
    }

    /// What failed so far was nobody's fault: it is to be sent at once, and counts for nothing.
    pub(super) fn forgive(&mut self) {
        self.troubles.clear();
        self.wake(u64::MAX);
    }

    pub(super) fn next_wake(&self) -> Option<u64> {
        self.later.iter().map(|(at, _)| *at).min()
    }

    /// Everything that is not stored is to be sent, with a clean record: the person tries again.
    pub(super) fn restart(&mut self) {
        self.later.clear();
        self.troubles.clear();
        let stored = &self.stored;
        let todo = (1..=self.plan.count()).filter(|number| !stored.contains(*number));
        self.todo = todo.map(|number| (number, ())).collect();
    }

    /// Takes the store's list for the truth: what it does not hold, or holds with another size, is sent again.
    pub(super) fn reconcile(&mut self, listed: Vec<ListedPart>) {
        let known = std::mem::replace(&mut self.stored, StoredParts::of(self.plan.count()));
        self.acknowledged = 0;
        for part in listed {
            if self.plan.range(part.number).is_some() && self.plan.part_len(part.number) == part.size {
                let ours = known.etag(part.number);
                // Another tag than the one we were told: whatever is there, it is not what we know of.
                if let (Some(ours), Some(theirs)) = (&ours, &part.etag)
                    && unquoted(ours) != unquoted(theirs)
                {
                    continue;
                }
                self.is_stored(part.number, ours.or(part.etag).as_deref());
            }
        }
        self.unproven = false;
        self.restart();
    }

    /// Stored, waiting or to be sent again, for each part.
    pub(super) fn states(&self) -> Vec<u8> {
        let stored = |number| {
            if self.stored.contains(number) { PartState::Stored } else { PartState::Waiting }
        };
        let mut states: Vec<_> = (1..=self.plan.count()).map(|number| stored(number) as u8).collect();
        for (_, number) in &self.later {
            if let Some(state) = states.get_mut(*number as usize - 1) {
                *state = PartState::Retrying as u8;
            }
        }
        states
    }

    pub(super) fn to_complete(&self) -> Vec<CompletePart> {
        self.stored
            .numbers()
            .map(|number| CompletePart { number, etag: self.stored.etag(number), checksum: None })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(number: u32, size: u64) -> ListedPart {
        ListedPart { number, size, etag: Some(format!("\"{number}\"")), checksum: None }
    }

    #[test]
    fn the_stores_list_is_the_truth() {
        let limits = crate::protocol::Provider::S3.limits();
        let plan = Plan::multipart(12 << 20, 5 << 20, &limits).unwrap();
        let mut parts = Parts::new(plan);
        parts.is_stored(1, Some("\"1\""));
        parts.is_stored(3, None);
        parts.reconcile(vec![listed(1, 5 << 20), listed(2, 7), listed(9, 5 << 20)]);
        assert!(parts.todo.keys().eq([&2, &3]));
        assert_eq!(parts.acknowledged, 5 << 20);
        assert_eq!(
            parts.to_complete(),
            [CompletePart { number: 1, etag: Some("\"1\"".into()), checksum: None }]
        );
    }

    #[test]
    fn a_part_with_another_tag_than_ours_is_sent_again() {
        let mut parts = Parts::new(Plan::single(7));
        parts.is_stored(1, Some("\"mine\""));
        parts.reconcile(vec![listed(1, 7)]);
        assert!(!parts.is_complete() && parts.todo.contains_key(&1));
    }

    #[test]
    fn a_tag_without_its_quotes_is_the_same() {
        let mut parts = Parts::new(Plan::single(7));
        parts.is_stored(1, Some("\"mine\""));
        parts.reconcile(vec![ListedPart { number: 1, size: 7, etag: Some("mine".into()), checksum: None }]);
        assert_eq!(
            parts.to_complete(),
            [CompletePart { number: 1, etag: Some("\"mine\"".into()), checksum: None }]
        );
    }

    #[test]
    fn a_part_stored_twice_counts_once() {
        let mut parts = Parts::new(Plan::single(7));
        parts.is_stored(1, None);
        parts.is_stored(1, None);
        assert_eq!((parts.acknowledged, parts.is_complete()), (7, true));
    }
}
