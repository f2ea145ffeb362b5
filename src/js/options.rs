//! What JavaScript hands in, as `www/options.js` has checked it.

use js_sys::Array;
use wasm_bindgen::JsCast;
use web_sys::File;
use windlass_core::machine::Config;

/// What an app may set of the machine. No bytes per second are no limit.
pub(super) fn config(max_concurrent: u32, max_bytes_per_second: f64, store_origins: String) -> Config {
    let max_bytes_per_second = (max_bytes_per_second > 0.0).then_some(max_bytes_per_second as u64);
    Config { max_concurrent, max_bytes_per_second, store_origins }
}

/// The files of an array.
pub(super) fn files(list: &Array) -> Vec<File> {
    list.iter().map(JsCast::unchecked_into).collect()
}
