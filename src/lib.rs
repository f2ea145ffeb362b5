//! Windlass in the browser: the hands that carry out what `windlass-core` decides.
//!
//! [`driver`] performs effects and reports events; [`browser`] and [`backend`] are its hands; [`js`] is what the
//! npm package exports and [`ui`] the widget; [`json`] lies between JavaScript's values and the contract's.
//! Compiled to wasm32; it also builds on the host, so that tools can look at it, but runs only in a page.

pub mod backend;
pub mod browser;
pub mod driver;
#[cfg(any(feature = "headless", feature = "ui"))]
pub mod js;
pub mod json;
#[cfg(feature = "ui")]
pub mod ui;

/// 2 KB less on its way to a phone than the standard library's.
#[cfg(all(target_arch = "wasm32", any(feature = "headless", feature = "ui")))]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();
