//! What the custom element calls: it cannot be written in Rust, since wasm-bindgen cannot extend `HTMLElement`.

use js_sys::{Array, Function};
use wasm_bindgen::prelude::*;
use web_sys::{HtmlElement, ShadowRoot};
use windlass_core::machine::{FileId, Stage};

use super::events::events;
use super::options::{Options, files};
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
    /// Shows the widget in `shadow`, the shadow root of `host`; `emit` is called with the name and the detail of
    /// every event, `ask` asks the backend: see [`Http`].
    #[wasm_bindgen(constructor)]
    pub fn new(
        host: &HtmlElement,
        shadow: &ShadowRoot,
        options: &JsValue,
        emit: Function,
        ask: Function,
    ) -> Result<Self, js_sys::Error> {
        let driver = Driver::new(Http { ask }, Options::read(options)?.config());
        driver.listen(move |update| {
            events(update, |name, detail| {
                // What a listener throws is its own affair; the browser reports it.
                let _ = emit.call2(&JsValue::NULL, &name.into(), detail);
            });
        });
        let widget = ui::mount(host, shadow, driver.clone());
        Ok(Self { driver, widget })
    }

    /// Starts to upload the files of an array, as if the person had chosen them.
    pub fn add(&self, list: &Array) -> Result<Vec<u32>, js_sys::Error> {
        Ok(self.driver.add(files(list)?).into_iter().map(|file| file.0).collect())
    }

    /// A part's bytes as a `Blob`, and how many there should be; or `undefined`.
    pub fn part(&self, file: u32, number: u32) -> Option<Array> {
        let (bytes, size) = self.driver.part(FileId(file), number)?;
        Some(Array::of2(&bytes, &JsValue::from_f64(size as f64)))
    }

    /// Changes the options from now on.
    pub fn configure(&self, options: &JsValue, ask: Function) -> Result<(), js_sys::Error> {
        self.driver.configure(Http { ask }, Options::read(options)?.config());
        Ok(())
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
