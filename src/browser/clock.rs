//! Time and chance.

use std::cell::Cell;

use windlass_core::retry::parse_retry_after;

/// The wall clock may run ahead of the page's by this many milliseconds before it counts as a sleep.
const DRIFT_MS: f64 = 2_000.0;

thread_local! {
    /// How far the wall clock was ahead of the page's own when last asked, and the sleep found so far.
    static AHEAD: Cell<Option<f64>> = const { Cell::new(None) };
    static SLEPT: Cell<f64> = const { Cell::new(0.0) };
}

/// Milliseconds since the page began, never backwards, and with the time that the computer slept.
///
/// The page's own clock (High Resolution Time) is steady, but stands still during a sleep in most browsers; the wall
/// clock goes on, but can be set. So a jump ahead of the wall clock counts, and one back does not.
pub fn now() -> u64 {
    let Some(performance) = web_sys::window().and_then(|window| window.performance()) else { return 0 };
    let steady = performance.now();
    let ahead = js_sys::Date::now() - steady;
    let jump = ahead - AHEAD.replace(Some(ahead)).unwrap_or(ahead);
    if jump > DRIFT_MS {
        SLEPT.set(SLEPT.get() + jump);
    }
    (steady + SLEPT.get()) as u64
}

/// Milliseconds to wait that a `Retry-After` header asks for, in seconds or as a date (RFC 9110, section 10.2.3).
pub fn retry_after(value: &str) -> Option<u64> {
    let until = || Some(js_sys::Date::parse(value) - js_sys::Date::now()).filter(|wait| wait.is_finite());
    parse_retry_after(value).or_else(|| until().map(|wait| wait.max(0.0) as u64))
}

/// A seed that differs from page to page; not fit for secrets, and not used for any.
pub fn seed() -> u64 {
    (js_sys::Math::random() * (1_u64 << 53) as f64) as u64
}
