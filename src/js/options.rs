//! What JavaScript hands in, checked: the options object field by field, and lists of files.

use js_sys::Array;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::File;
use windlass_core::machine::Config;
use windlass_core::map::Map;
use windlass_core::protocol::json::{Fields, Reader};

use crate::backend::http::Http;
use crate::driver::Driver;
use crate::json;

/// Parts on their way at once unless the app says otherwise: what a browser opens to a host on HTTP/1.1.
const MAX_CONCURRENT: u64 = 6;

const NAMES: [&str; 4] = ["endpoint", "headers", "maxConcurrent", "withCredentials"];

/// What an app may set. A misspelt name is an error rather than silence.
#[derive(Debug)]
pub(super) struct Options {
    /// The first name that is no option.
    unknown: Option<String>,
    endpoint: String,
    headers: Map<String, String>,
    with_credentials: bool,
    max_concurrent: u64,
}

impl Options {
    pub(super) fn read(options: &JsValue) -> Result<Self, js_sys::Error> {
        let json = json::from_js(options).ok_or_else(|| bad("an option has a value of no use here"))?;
        let read = Reader::read(json, "the options argument", Self::decode);
        let options = read.map_err(|error| bad(&error.to_string()))?;
        if let Some(name) = &options.unknown {
            return Err(bad(&format!("there is no option {name}; there are {}", NAMES.join(", "))));
        }
        if options.endpoint.trim().is_empty() {
            return Err(bad("endpoint is empty: set it to the address of your upload backend"));
        }
        if !(1..=64).contains(&options.max_concurrent) {
            return Err(bad("maxConcurrent is not a number from 1 to 64"));
        }
        Ok(options)
    }

    fn decode(fields: &mut Fields<'_>) -> Self {
        Self {
            unknown: fields.unknown(&NAMES).map(str::to_owned),
            endpoint: fields.text("endpoint").unwrap_or_default(),
            headers: fields.texts("headers"),
            with_credentials: fields.bool("withCredentials").unwrap_or(false),
            max_concurrent: fields.number("maxConcurrent").unwrap_or(MAX_CONCURRENT),
        }
    }

    pub(super) fn driver(&self) -> Driver {
        Driver::new(self.backend(), self.config())
    }

    pub(super) fn backend(&self) -> Http {
        Http {
            endpoint: self.endpoint.clone(),
            headers: self.headers.clone(),
            with_credentials: self.with_credentials,
        }
    }

    pub(super) fn config(&self) -> Config {
        Config { max_concurrent: self.max_concurrent as u32 }
    }
}

/// An error for the developer, with the stable code `bad-options`.
fn bad(what: &str) -> js_sys::Error {
    let error = js_sys::Error::new(&format!("windlass: {what}"));
    // A fresh object takes a new property.
    let _ = js_sys::Reflect::set(&error, &"code".into(), &"bad-options".into());
    error
}

/// The files of an array, or an error that names the first thing in it that is none.
pub(super) fn files(list: &Array) -> Result<Vec<File>, js_sys::Error> {
    let file = |(index, value): (usize, JsValue)| {
        let none = |_| js_sys::Error::new(&format!("windlass: item {index} of the list is not a File"));
        value.dyn_into::<File>().map_err(none)
    };
    list.iter().enumerate().map(file).collect()
}
