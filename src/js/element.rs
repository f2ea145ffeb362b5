//! What the custom element calls: it cannot be written in Rust, since wasm-bindgen cannot extend `HTMLElement`.

use js_sys::{Array, Function};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::ShadowRoot;
use windlass_core::machine::{FileId, Stage};

use super::events::tell;
use super::options::{config, files};
use crate::backend::http::Http;
use crate::driver::Driver;
use crate::ui::{self, Widget};

/// A widget in a shadow root. [`Mounted::unmount`] ends its uploads and takes it out.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Mounted {
    driver: Driver,
    widget: Widget,
}

#[wasm_bindgen]
impl Mounted {
    /// Shows the widget in a shadow root; `emit` is called with the name and the detail of every event, `ask` asks the
    /// backend: see [`Http`]. The options are as `www/options.js` gives them.
    #[wasm_bindgen(constructor)]
    pub fn new(
        shadow: &ShadowRoot,
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
        let widget = ui::mount(shadow.host().unchecked_ref(), shadow, driver.clone());
        Self { driver, widget }
    }

    /// Starts to upload the files of an array, as if the person had chosen them.
    pub fn add(&self, list: &Array) -> Vec<u32> {
        self.driver.add(files(list), false).into_iter().map(|file| file.0).collect()
    }

    /// What is sent as a part, and how many bytes that is, as for [`crate::driver::Driver::part`]; or `undefined`.
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

    /// Whether there is such a file.
    pub fn has(&self, file: u32) -> bool {
        self.driver.view(FileId(file)).is_some()
    }

    /// Holds a file back, or lets it go on.
    pub fn hold(&self, file: u32, is_held: bool) {
        let act = if is_held { Driver::pause } else { Driver::resume };
        act(&self.driver, Some(FileId(file)));
    }

    /// Takes the widget out of the page. Uploads that are not finished are given up, and what the store holds of them is
    /// freed, also after this is dropped.
    pub fn unmount(&self) {
        // Or each slot that comes free would be given to the next file.
        self.driver.pause(None);
        for view in self.driver.views() {
            // A failed one cannot be canceled, and would stay this page's.
            let give_up = if view.stage == Stage::Failed { Driver::remove } else { Driver::cancel };
            give_up(&self.driver, view.file);
        }
        self.widget.unmount();
    }
}
