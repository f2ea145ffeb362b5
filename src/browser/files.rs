//! Reading files: only ever by slices, and only so much as has to be seen.

use std::ops::Range;

use js_sys::Function;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File};

/// The bytes of `range`, without reading them.
pub fn slice(file: &File, range: &Range<u64>) -> Result<Blob, JsValue> {
    file.slice_with_f64_and_f64(range.start as f64, range.end as f64)
}

/// A file, and what the app makes of its bytes before they are sent, if it does: what it did when the file was added.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file, or what reads like one.
    pub file: File,
    /// Called with bytes, the file, and where they begin; returns the function that promises others. Reads nothing itself.
    pub transform: Option<Function>,
}

impl Source {
    /// What is to be sent for `range`, without reading it: its bytes as a `Blob`, or with a transform the function that
    /// promises one.
    pub fn part(&self, range: &Range<u64>) -> Result<JsValue, JsValue> {
        let bytes = slice(&self.file, range)?;
        match &self.transform {
            Some(transform) => {
                transform.call3(&JsValue::NULL, &bytes, &self.file, &(range.start as f64).into())
            }
            None => Ok(bytes.into()),
        }
    }
}

/// Whether the file is still there as it was chosen: its first and last byte can be read, and it has its size.
///
/// Chromium and WebKit refuse to read a file whose modification time is no longer the one it was chosen with;
/// Firefox reads what is there now, so that there only a file that is gone or has become shorter is noticed.
pub async fn is_readable(file: &File, size: u64) -> bool {
    if file.size() as u64 != size {
        return false;
    }
    for at in [0, size.saturating_sub(1)] {
        let range = at..size.min(at + 1);
        let Ok(blob) = slice(file, &range) else { return false };
        let Ok(buffer) = JsFuture::from(blob.array_buffer()).await else { return false };
        if u64::from(js_sys::ArrayBuffer::from(buffer).byte_length()) != range.end - range.start {
            return false;
        }
    }
    true
}
