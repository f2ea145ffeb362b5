//! What the npm package exports: options in, plain objects and events out. `www/` wraps it for JavaScript.

mod events;
mod options;

#[cfg(feature = "ui")]
mod element;
#[cfg(feature = "headless")]
mod uploader;

#[cfg(feature = "ui")]
pub use element::Mounted;
#[cfg(feature = "headless")]
pub use uploader::Uploader;
