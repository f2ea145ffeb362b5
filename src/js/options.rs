//! The options object, checked field by field.

use std::collections::BTreeMap;

use serde::Deserialize;
use wasm_bindgen::JsValue;
use windlass_core::machine::Config;

use crate::backend::http::Http;
use crate::driver::Driver;

/// Parts on their way at once unless the app says otherwise: what a browser opens to a host on HTTP/1.1.
const MAX_CONCURRENT: u32 = 6;

/// What an app may set. A misspelt name is an error rather than silence.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Options {
    endpoint: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    with_credentials: bool,
    #[serde(default)]
    max_concurrent: Option<u32>,
}

impl Options {
    pub(super) fn read(options: JsValue) -> Result<Self, js_sys::Error> {
        let options: Self =
            serde_wasm_bindgen::from_value(options).map_err(|error| bad(&error.to_string()))?;
        if options.endpoint.trim().is_empty() {
            return Err(bad("endpoint is empty: set it to the address of your upload backend"));
        }
        if options.max_concurrent.is_some_and(|most| !(1..=64).contains(&most)) {
            return Err(bad("maxConcurrent is not a number from 1 to 64"));
        }
        Ok(options)
    }

    pub(super) fn driver(self) -> Driver {
        let config = Config { max_concurrent: self.max_concurrent.unwrap_or(MAX_CONCURRENT) };
        Driver::new(self.backend(), config)
    }

    pub(super) fn backend(self) -> Http {
        Http { endpoint: self.endpoint, headers: self.headers, with_credentials: self.with_credentials }
    }
}

/// An error for the developer, with the stable code `bad-options`.
fn bad(what: &str) -> js_sys::Error {
    let error = js_sys::Error::new(&format!("windlass: {what}"));
    // A fresh object takes a new property.
    let _ = js_sys::Reflect::set(&error, &"code".into(), &"bad-options".into());
    error
}
