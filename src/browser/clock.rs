//! Time and chance.

/// Milliseconds since the page began, never backwards (High Resolution Time).
pub fn now() -> u64 {
    web_sys::window()
        .and_then(|window| window.performance())
        .map_or(0, |performance| performance.now() as u64)
}

/// A seed that differs from page to page; not fit for secrets, and not used for any.
pub fn seed() -> u64 {
    (js_sys::Math::random() * (1_u64 << 53) as f64) as u64
}
