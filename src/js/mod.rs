//! What the npm package exports: options in, plain objects and events out. `www/` wraps it for JavaScript.

mod events;
mod options;
mod uploader;

#[cfg(feature = "ui")]
mod element;

#[cfg(feature = "ui")]
pub use element::Mounted;
pub use uploader::Uploader;
