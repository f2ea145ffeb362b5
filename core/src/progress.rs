//! How far, how fast, how long still.

/// Half of this many milliseconds is the time constant of the average.
const MEMORY_MS: f64 = 7_000.0;

/// A speed is not told before this many milliseconds of data.
const WARM_UP_MS: u64 = 1_000;

/// Bytes are gathered for at least this many milliseconds before they count as a sample.
const SAMPLE_MS: u64 = 200;

/// Smoothed speed: an exponential moving average over the bytes that moved.
#[derive(Debug, Clone, Default)]
pub struct Speed {
    bytes_per_ms: f64,
    /// How much of the average is data yet, 0 to 1: the first samples must not be held down by the zero it began with.
    weight: f64,
    gathered: u64,
    started: Option<u64>,
    sampled: u64,
}

impl Speed {
    /// Nothing counted yet.
    pub const fn new() -> Self {
        Self { bytes_per_ms: 0.0, weight: 0.0, gathered: 0, started: None, sampled: 0 }
    }

    /// Counts bytes that moved; `now` in milliseconds.
    pub fn add(&mut self, now: u64, bytes: u64) {
        if self.started.is_none() {
            self.started = Some(now);
            self.sampled = now;
        }
        self.gathered = self.gathered.saturating_add(bytes);
        if now.saturating_sub(self.sampled) >= SAMPLE_MS {
            *self = self.sampled_at(now);
        }
    }

    /// Forgets everything: the upload stopped, and the pause is not to count.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Bytes per second, or `None` while it is too early to tell.
    ///
    /// Falls by itself while nothing moves.
    pub fn per_second(&self, now: u64) -> Option<f64> {
        if now.saturating_sub(self.started?) < WARM_UP_MS {
            return None;
        }
        let current =
            if now.saturating_sub(self.sampled) >= SAMPLE_MS { self.sampled_at(now) } else { self.clone() };
        (current.weight > 0.0).then(|| current.bytes_per_ms / current.weight * 1000.0)
    }

    fn sampled_at(&self, now: u64) -> Self {
        let elapsed = now.saturating_sub(self.sampled).max(1) as f64;
        // Nearly an exponential for short samples, without the power function in the wasm.
        let keep = (MEMORY_MS / (MEMORY_MS + elapsed)) * (MEMORY_MS / (MEMORY_MS + elapsed));
        let sample = self.gathered as f64 / elapsed;
        Self {
            bytes_per_ms: self.bytes_per_ms * keep + sample * (1.0 - keep),
            weight: self.weight * keep + (1.0 - keep),
            gathered: 0,
            started: self.started,
            sampled: now,
        }
    }
}

/// Seconds until `remaining` bytes have moved, or `None` when nobody can tell.
pub fn seconds_left(remaining: u64, bytes_per_second: Option<f64>) -> Option<f64> {
    let speed = bytes_per_second.filter(|speed| *speed >= 1.0)?;
    Some(remaining as f64 / speed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady(speed: &mut Speed, from: u64, to: u64, bytes_per_ms: u64) {
        for now in (from..to).step_by(16) {
            speed.add(now, bytes_per_ms * 16);
        }
    }

    #[test]
    fn a_steady_line_shows_its_speed_from_the_start() {
        let mut speed = Speed::default();
        steady(&mut speed, 0, 900, 1000);
        assert_eq!(speed.per_second(900), None);
        steady(&mut speed, 900, 2000, 1000);
        let shown = speed.per_second(2000).unwrap();
        assert!((shown - 1e6).abs() < 1e5, "{shown}");
    }

    #[test]
    fn it_falls_while_nothing_moves_and_recovers() {
        let mut speed = Speed::default();
        steady(&mut speed, 0, 5000, 1000);
        let stalled = speed.per_second(11_000).unwrap();
        assert!(stalled < 3e5, "{stalled}");
        steady(&mut speed, 11_000, 30_000, 1000);
        assert!(speed.per_second(30_000).unwrap() > 9e5);
    }

    #[test]
    fn time_left_needs_a_speed() {
        assert_eq!(seconds_left(1000, None), None);
        assert_eq!(seconds_left(1000, Some(0.0)), None);
        assert_eq!(seconds_left(1000, Some(100.0)), Some(10.0));
    }
}
