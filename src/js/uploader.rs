//! The headless uploader.

use js_sys::{Array, Function};
use wasm_bindgen::prelude::*;
use windlass_core::machine::FileId;

use super::events::{detail, tell};
use super::options::{config, files};
use crate::backend::http::Http;
use crate::driver::Driver;

/// Uploads without a user interface. `www/index.js` wraps it.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Uploader {
    driver: Driver,
}

#[wasm_bindgen]
impl Uploader {
    /// Takes a function that is called with the name and the detail of every event, options as `www/options.js` gives
    /// them, and a function that asks the backend: see [`Http`].
    #[wasm_bindgen(constructor)]
    pub fn new(
        emit: Function,
        max_concurrent: u32,
        max_bytes_per_second: f64,
        store_origins: String,
        ask: Function,
        transform: Option<Function>,
    ) -> Self {
        let config = config(max_concurrent, max_bytes_per_second, store_origins);
        let driver = Driver::new(Http { ask }, config, transform);
        tell(&driver, emit);
        Self { driver }
    }

    /// Starts to upload the files of an array, or what reads like files while their bytes come (`www/stream.js`); their ids in
    /// the same order.
    pub fn add(&self, list: &Array, are_streams: bool) -> Vec<u32> {
        self.driver.add(files(list), are_streams).into_iter().map(|file| file.0).collect()
    }

    /// A stream has so many bytes by now, or with `undefined` broke off; whether it may give more.
    pub fn grow(&self, file: u32, size: Option<f64>, is_open: bool) {
        self.driver.grow(FileId(file), size.map(|size| size as u64), is_open);
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

    /// Holds a file back, or with `undefined` all.
    pub fn pause(&self, file: Option<u32>) {
        self.driver.pause(file.map(FileId));
    }

    /// Lets a file go on, or with `undefined` all that were not paused one by one.
    pub fn resume(&self, file: Option<u32>) {
        self.driver.resume(file.map(FileId));
    }

    /// Puts a file before those of a lower priority; 0 is usual.
    pub fn prioritize(&self, file: u32, priority: i32) {
        self.driver.prioritize(FileId(file), priority);
    }

    /// Puts files before the others of their priority, in this order.
    pub fn order(&self, files: Vec<u32>) {
        self.driver.order(files.into_iter().map(FileId).collect());
    }

    /// A file as it stands now, or `undefined`.
    pub fn get(&self, file: u32) -> JsValue {
        self.driver.view(FileId(file)).as_ref().map_or(JsValue::UNDEFINED, detail)
    }

    /// A number for each part of a file: 0 waits, 1 is on its way, 2 waits to be sent again, 3 is stored.
    pub fn parts(&self, file: u32) -> Vec<u8> {
        self.driver.parts(FileId(file))
    }

    /// All files as they stand now.
    pub fn all(&self) -> Array {
        self.driver.views().iter().map(detail).collect()
    }

    /// What is sent as a part, as a `Blob` or the function that promises one, or `undefined` if its bytes are gone, and how many there should be; or `undefined`.
    pub fn part(&self, file: u32, number: u32) -> Option<Array> {
        super::part(&self.driver, FileId(file), number)
    }

    /// Changes the options from now on.
    pub fn configure(
        &self,
        max_concurrent: u32,
        max_bytes_per_second: f64,
        store_origins: String,
        ask: Function,
        transform: Option<Function>,
    ) {
        let config = config(max_concurrent, max_bytes_per_second, store_origins);
        self.driver.configure(Http { ask }, config, transform);
    }
}
