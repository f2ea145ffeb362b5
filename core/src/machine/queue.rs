//! The files that wait for their turn, and who is next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::event::FileId;

/// Where a file stands among those that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Higher ones go first.
    pub(super) priority: i32,
    /// Within a priority: the lower goes first.
    pub(super) position: Reverse<i64>,
}

/// A heap of tickets. A ticket whose file moved, went or does not wait any more stays in it until it comes up, since
/// looking for it would cost more; whoever asks who is next says whether that one still counts.
#[derive(Debug, Default)]
pub(super) struct Queue {
    tickets: BinaryHeap<(Place, Reverse<FileId>)>,
    first: i64,
    last: i64,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self { tickets: BinaryHeap::new(), first: 0, last: 0 }
    }

    /// A place behind all others of its priority.
    pub(super) fn back(&mut self, priority: i32) -> Place {
        self.last += 1;
        Place { priority, position: Reverse(self.last) }
    }

    /// Places for `count` files, one after the other, before all others of their priority.
    pub(super) fn front(&mut self, count: usize) -> impl Iterator<Item = Reverse<i64>> + use<> {
        let end = self.first;
        self.first = end.saturating_sub_unsigned(count as u64);
        (self.first..end).map(Reverse)
    }

    /// Lets a file wait at its place.
    pub(super) fn push(&mut self, file: FileId, place: Place) {
        self.tickets.push((place, Reverse(file)));
    }

    /// The next file whose ticket counts.
    pub(super) fn next(&mut self, counts: impl Fn(FileId, Place) -> bool) -> Option<FileId> {
        while let Some((place, Reverse(file))) = self.tickets.peek() {
            if counts(*file, *place) {
                return Some(*file);
            }
            self.tickets.pop();
        }
        None
    }

    /// Takes the next out, after it was looked at.
    pub(super) fn pop(&mut self) {
        self.tickets.pop();
    }
}

impl Place {
    /// The same file at another position of its priority.
    pub(super) const fn at(self, position: Reverse<i64>) -> Self {
        Self { position, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_come_first_served_within_a_priority() {
        let mut queue = Queue::new();
        for (file, priority) in [(1, 0), (2, 5), (3, 0), (4, 5)] {
            let place = queue.back(priority);
            queue.push(FileId(file), place);
        }
        let mut served = Vec::new();
        while let Some(file) = queue.next(|_, _| true) {
            served.push(file.0);
            queue.pop();
        }
        assert_eq!(served, [2, 4, 1, 3]);
    }

    #[test]
    fn who_is_moved_to_the_front_goes_before_all_and_the_old_ticket_is_void() {
        let mut queue = Queue::new();
        let [one, two, three] = [(); 3].map(|()| queue.back(0));
        for (file, place) in (1..=3).zip([one, two, three]) {
            queue.push(FileId(file), place);
        }
        let moved = three.at(queue.front(1).next().unwrap());
        queue.push(FileId(3), moved);
        let counts = |file: FileId, place: Place| [one, two, moved].get(file.0 as usize - 1) == Some(&place);
        let mut served = Vec::new();
        while let Some(file) = queue.next(counts) {
            served.push(file.0);
            queue.pop();
        }
        assert_eq!(served, [3, 1, 2]);
    }
}
