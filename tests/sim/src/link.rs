//! The uplink: bytes of all requests share it equally, none faster than its own connection.

use crate::queue::{Micros, SECOND};

/// Bytes below which a flow counts as through: the rest is rounding.
const DUST: f64 = 0.01;

#[derive(Debug)]
struct Flow {
    key: u32,
    /// Bytes until its next mark.
    left: f64,
    /// Bytes per microsecond at most.
    cap: f64,
    rate: f64,
}

/// Processor sharing with caps: who cannot use its share leaves the rest to the others.
#[derive(Debug)]
pub(crate) struct Link {
    /// In the order of their caps.
    flows: Vec<Flow>,
    /// Bytes per microsecond.
    up: f64,
    is_open: bool,
    at: Micros,
}

impl Link {
    /// A line of `up` bytes per second.
    pub(crate) fn new(up: u64) -> Self {
        Self { flows: Vec::new(), up: up as f64 / SECOND as f64, is_open: true, at: 0 }
    }

    /// From now on the line takes so many bytes per second.
    pub(crate) fn set_speed(&mut self, up: u64) {
        self.up = up as f64 / SECOND as f64;
        self.share();
    }

    /// Lets the bytes flow until `now`.
    pub(crate) fn advance(&mut self, now: Micros) {
        let passed = now.saturating_sub(self.at) as f64;
        self.at = now;
        if passed > 0.0 {
            for flow in &mut self.flows {
                flow.left = passed.mul_add(-flow.rate, flow.left).max(0.0);
            }
        }
    }

    /// Starts to send `bytes`, at most `cap` bytes a second.
    pub(crate) fn start(&mut self, key: u32, bytes: u64, cap: Option<u64>) {
        let cap = cap.map_or(f64::INFINITY, |cap| cap as f64 / SECOND as f64);
        self.insert(Flow { key, left: bytes as f64, cap, rate: 0.0 });
    }

    /// Gives a flow another cap.
    pub(crate) fn set_cap(&mut self, key: u32, cap: Option<u64>) {
        let Some(at) = self.flows.iter().position(|flow| flow.key == key) else { return };
        let mut flow = self.flows.remove(at);
        flow.cap = cap.map_or(f64::INFINITY, |cap| cap as f64 / SECOND as f64);
        self.insert(flow);
    }

    fn insert(&mut self, flow: Flow) {
        let at = self.flows.partition_point(|other| other.cap <= flow.cap);
        self.flows.insert(at, flow);
        self.share();
    }

    /// Ends a flow; the bytes it still had to send.
    pub(crate) fn stop(&mut self, key: u32) -> Option<u64> {
        let at = self.flows.iter().position(|flow| flow.key == key)?;
        let flow = self.flows.remove(at);
        self.share();
        Some(flow.left.ceil() as u64)
    }

    /// Bytes that a flow still has to send until its mark.
    pub(crate) fn left(&self, key: u32) -> Option<u64> {
        self.flows.iter().find(|flow| flow.key == key).map(|flow| flow.left.ceil() as u64)
    }

    /// Opens or shuts the line; shut, no byte moves.
    pub(crate) fn set_open(&mut self, is_open: bool) {
        self.is_open = is_open;
        self.share();
    }

    /// When the next flow is through, if nothing changes before.
    pub(crate) fn next_at(&self) -> Option<Micros> {
        let wait = |flow: &Flow| {
            if flow.left <= DUST {
                Some(0)
            } else {
                (flow.rate > 0.0).then(|| (flow.left / flow.rate).ceil() as Micros)
            }
        };
        self.flows.iter().filter_map(wait).min().map(|wait| self.at + wait)
    }

    /// Takes out a flow that is through by now.
    pub(crate) fn take_done(&mut self) -> Option<u32> {
        let at = self.flows.iter().position(|flow| flow.left <= DUST)?;
        let flow = self.flows.remove(at);
        self.share();
        Some(flow.key)
    }

    fn share(&mut self) {
        let mut up = if self.is_open { self.up } else { 0.0 };
        let mut count = self.flows.len();
        for flow in &mut self.flows {
            flow.rate = flow.cap.min(up / count as f64);
            up -= flow.rate;
            count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(link: &mut Link) -> Vec<(u32, Micros)> {
        let mut ends = Vec::new();
        while let Some(at) = link.next_at() {
            link.advance(at);
            while let Some(key) = link.take_done() {
                ends.push((key, at));
            }
        }
        ends
    }

    #[test]
    fn equal_flows_get_equal_shares() {
        let mut link = Link::new(1_000_000);
        link.start(1, 1_000_000, None);
        link.start(2, 500_000, None);
        // Both at half speed until the small one is through; then the other alone.
        assert_eq!(ends(&mut link), [(2, SECOND), (1, 3 * SECOND / 2)]);
    }

    #[test]
    fn what_one_connection_cannot_use_the_others_get() {
        let mut link = Link::new(1_000_000);
        link.start(1, 100_000, Some(100_000));
        link.start(2, 900_000, None);
        assert_eq!(ends(&mut link), [(1, SECOND), (2, SECOND)]);
    }

    #[test]
    fn a_cap_holds_on_an_empty_line() {
        let mut link = Link::new(1_000_000);
        link.start(1, 100_000, Some(10_000));
        assert_eq!(link.next_at(), Some(10 * SECOND));
        link.advance(SECOND);
        link.set_cap(1, None);
        assert_eq!(ends(&mut link), [(1, SECOND + 90_000)]);
    }

    #[test]
    fn a_shut_line_moves_nothing_and_loses_nothing() {
        let mut link = Link::new(1_000_000);
        link.start(1, 1_000_000, None);
        link.advance(SECOND / 4);
        link.set_open(false);
        assert_eq!(link.next_at(), None);
        link.advance(100 * SECOND);
        assert_eq!(link.left(1), Some(750_000));
        link.set_open(true);
        assert_eq!(ends(&mut link), [(1, 100 * SECOND + 750_000)]);
    }

    #[test]
    fn a_stopped_flow_leaves_its_share_and_tells_what_was_left() {
        let mut link = Link::new(1_000_000);
        link.start(1, 1_000_000, None);
        link.start(2, 1_000_000, None);
        link.advance(SECOND);
        assert_eq!(link.stop(2), Some(500_000));
        assert_eq!(ends(&mut link), [(1, SECOND + SECOND / 2)]);
        assert_eq!(link.stop(7), None);
    }

    #[test]
    fn nothing_to_send_is_sent_at_once() {
        let mut link = Link::new(1);
        link.start(1, 0, None);
        assert_eq!(ends(&mut link), [(1, 0)]);
    }
}
