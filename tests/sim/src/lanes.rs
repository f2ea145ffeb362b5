//! The browser's connections to the store: six with one request each, or one for all.

use std::collections::VecDeque;

/// Connections to one host on HTTP/1.1, in every browser.
pub(crate) const HTTP1: usize = 6;

/// Requests at once on one HTTP/2 connection, as servers usually allow.
const HTTP2: usize = 100;

/// Whether a request has to wait for its connection to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Fresh,
    Warm,
}

/// Who is on a connection and who waits for one.
#[derive(Debug)]
pub(crate) struct Lanes {
    http2: bool,
    /// Open connections without a request; on HTTP/2, whether the one is open.
    warm: usize,
    busy: Vec<u32>,
    waiting: VecDeque<u32>,
}

impl Lanes {
    pub(crate) const fn new(http2: bool) -> Self {
        Self { http2, warm: 0, busy: Vec::new(), waiting: VecDeque::new() }
    }

    /// A lane for the request, or a place in the queue.
    pub(crate) fn ask(&mut self, key: u32) -> Option<Lane> {
        if self.busy.len() >= if self.http2 { HTTP2 } else { HTTP1 } {
            self.waiting.push_back(key);
            return None;
        }
        self.busy.push(key);
        let lane = if self.warm > 0 { Lane::Warm } else { Lane::Fresh };
        self.warm = if self.http2 { 1 } else { self.warm.saturating_sub(1) };
        Some(lane)
    }

    /// The request is over. `broken`: its connection cannot be used again.
    pub(crate) fn leave(&mut self, key: u32, broken: bool) {
        self.waiting.retain(|waiting| *waiting != key);
        let Some(at) = self.busy.iter().position(|busy| *busy == key) else { return };
        self.busy.remove(at);
        if !self.http2 && !broken {
            self.warm += 1;
        }
    }

    /// Who is next, if there is room.
    pub(crate) fn next(&mut self) -> Option<(u32, Lane)> {
        let key = self.waiting.pop_front()?;
        let lane = self.ask(key);
        if lane.is_none() {
            // It was put at the end.
            self.waiting.rotate_right(1);
        }
        lane.map(|lane| (key, lane))
    }

    /// All connections are gone.
    pub(crate) const fn forget_warm(&mut self) {
        self.warm = 0;
    }

    /// Requests on the same connection as `key`, itself included.
    pub(crate) fn sharing(&self, key: u32) -> Vec<u32> {
        if self.http2 { self.busy.clone() } else { vec![key] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seventh_waits_for_a_connection_of_the_six() {
        let mut lanes = Lanes::new(false);
        assert!((1..=6).all(|key| lanes.ask(key) == Some(Lane::Fresh)));
        assert_eq!((lanes.ask(7), lanes.ask(8), lanes.next()), (None, None, None));
        lanes.leave(3, false);
        assert_eq!((lanes.next(), lanes.next()), (Some((7, Lane::Warm)), None));
        lanes.leave(7, true);
        assert_eq!((lanes.next(), lanes.busy.len()), (Some((8, Lane::Fresh)), 6));
    }

    #[test]
    fn who_gives_up_waiting_is_not_served() {
        let mut lanes = Lanes::new(false);
        for key in 1..=8 {
            lanes.ask(key);
        }
        lanes.leave(7, true);
        lanes.leave(1, false);
        assert_eq!(lanes.next(), Some((8, Lane::Warm)));
    }

    #[test]
    fn http2_takes_many_on_one_connection_that_breaks_for_all() {
        let mut lanes = Lanes::new(true);
        assert_eq!(lanes.ask(1), Some(Lane::Fresh));
        assert!((2..=50).all(|key| lanes.ask(key) == Some(Lane::Warm)));
        assert_eq!(lanes.sharing(7).len(), 50);
        lanes.forget_warm();
        assert_eq!(lanes.ask(51), Some(Lane::Fresh));
    }
}
