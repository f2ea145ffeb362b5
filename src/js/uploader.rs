//! The headless uploader.

use js_sys::{Array, Function};
use wasm_bindgen::prelude::*;
use windlass_core::machine::FileId;

use super::events::{detail, events};
use super::options::{Options, files};
use crate::driver::Driver;

/// Uploads without a user interface. `www/index.js` wraps it.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Uploader {
    driver: Driver,
}

#[wasm_bindgen]
impl Uploader {
    /// Takes the options object and a function that is called with the name and the detail of every event.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &JsValue, emit: Function) -> Result<Self, js_sys::Error> {
        let driver = Options::read(options)?.driver();
        driver.listen(move |update| {
            events(update, |name, detail| {
                // What a listener throws is its own affair; the browser reports it.
                let _ = emit.call2(&JsValue::NULL, &name.into(), detail);
            });
        });
        Ok(Self { driver })
    }

    /// Starts to upload the files of an array; their ids in the same order.
    pub fn add(&self, list: &Array) -> Result<Vec<u32>, js_sys::Error> {
        Ok(self.driver.add(files(list)?).into_iter().map(|file| file.0).collect())
    }

    /// Gives a file up and has the store freed of it.
    pub fn cancel(&self, file: u32) {
        self.driver.cancel(FileId(file));
    }

    /// Tries a failed or canceled file again.
    pub fn retry(&self, file: u32) {
        self.driver.retry(FileId(file));
    }

    /// Takes a file off the list, and gives it up first if it is not finished.
    pub fn remove(&self, file: u32) {
        self.driver.remove(FileId(file));
    }

    /// A file as it stands now, or `undefined`.
    pub fn get(&self, file: u32) -> JsValue {
        self.driver.view(FileId(file)).as_ref().map_or(JsValue::UNDEFINED, detail)
    }

    /// All files as they stand now.
    pub fn all(&self) -> Array {
        self.driver.views().iter().map(detail).collect()
    }

    /// Changes endpoint and headers from now on.
    pub fn configure(&self, options: &JsValue) -> Result<(), js_sys::Error> {
        self.driver.set_backend(Options::read(options)?.backend());
        Ok(())
    }
}
