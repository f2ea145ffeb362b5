//! The virtual clock's queue: what happens when.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Microseconds of virtual time. The machine counts milliseconds; a gigabit line needs finer ones.
pub(crate) type Micros = u64;

/// One millisecond.
pub(crate) const MS: Micros = 1000;

/// One second.
pub(crate) const SECOND: Micros = 1_000_000;

/// Things to happen, in the order of their times; those of the same time in the order they were put in.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    count: u64,
}

#[derive(Debug)]
struct Entry<T> {
    key: (Micros, u64),
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), count: 0 }
    }

    pub(crate) fn put(&mut self, at: Micros, what: T) {
        self.count += 1;
        self.heap.push(Reverse(Entry { key: (at, self.count), what }));
    }

    pub(crate) fn next_at(&self) -> Option<Micros> {
        self.heap.peek().map(|Reverse(entry)| entry.key.0)
    }

    pub(crate) fn take(&mut self) -> Option<T> {
        self.heap.pop().map(|Reverse(entry)| entry.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_first_then_the_order_of_arrival() {
        let mut queue = Queue::new();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b')] {
            queue.put(at, what);
        }
        assert_eq!(queue.next_at(), Some(1));
        let order: String = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(order, "abcd");
    }
}
