//! Chance, from a seed: every run can be replayed.

/// A small pseudo-random generator (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Each purpose has a stream of its own, so that one more draw for one does not shift all others.
    pub(crate) const fn new(seed: u64, stream: u64) -> Self {
        Self(mix(seed ^ mix(stream)))
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 to `n` without `n`; 0 if `n` is 0.
    pub(crate) const fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.next() % n }
    }

    /// From `low` to `high`, both included.
    pub(crate) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// From `low` to `high`, small numbers as likely as large ones: every power of two gets the same share.
    pub(crate) fn spread(&mut self, low: u64, high: u64) -> u64 {
        let power = self.between(low.max(1).ilog2().into(), high.max(1).ilog2().into());
        ((1 << power) + self.below(1 << power)).clamp(low, high)
    }

    /// Whether something of this probability in percent happens.
    pub(crate) const fn percent(&mut self, rate: u64) -> bool {
        self.below(100) < rate
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// Scrambles 64 bits.
pub(crate) const fn mix(bits: u64) -> u64 {
    let mut z = bits;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number that depends on nothing but what it is for: the fault of a part's third try is the same however many
/// other files there are, which lets a scenario shrink without becoming another one.
pub(crate) fn fixed(seed: u64, what: [u64; 4]) -> u64 {
    what.iter().fold(mix(seed ^ 0x51b5_1a7e), |sum, part| {
        mix(sum.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ mix(part.wrapping_add(1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_repeat() {
        let draw = |seed, stream| Rng::new(seed, stream).next();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn a_spread_keeps_its_bounds_and_reaches_both_ends() {
        let mut rng = Rng::new(1, 1);
        let drawn: Vec<_> = (0..2000).map(|_| rng.spread(10, 1_000_000)).collect();
        assert!(drawn.iter().all(|n| (10..=1_000_000).contains(n)));
        assert!(drawn.iter().any(|n| *n < 100) && drawn.iter().any(|n| *n > 500_000));
    }

    #[test]
    fn percent_means_percent() {
        let mut rng = Rng::new(7, 7);
        let hits = (0..10_000).filter(|_| rng.percent(20)).count();
        assert!((1800..2200).contains(&hits), "{hits}");
        assert!((0..100).all(|_| !rng.percent(0)));
    }
}
