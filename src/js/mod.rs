//! What the npm package exports: options in, plain objects and events out. `www/` wraps it for JavaScript.

mod events;
mod options;

use js_sys::Array;
use wasm_bindgen::JsValue;
use windlass_core::machine::FileId;

use crate::driver::Driver;

#[cfg(feature = "ui")]
mod element;
#[cfg(feature = "headless")]
mod uploader;

#[cfg(feature = "ui")]
pub use element::Mounted;
#[cfg(feature = "headless")]
pub use uploader::Uploader;

/// What is sent as a part, if its bytes are still there, and how many they are.
fn part(driver: &Driver, file: FileId, number: u32) -> Option<Array> {
    let (bytes, size) = driver.part(file, number)?;
    Some(Array::of2(&bytes, &JsValue::from_f64(size as f64)))
}
