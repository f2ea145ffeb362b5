//! What JavaScript hands in, checked: the options object field by field, and lists of files.

use js_sys::Array;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::File;
use windlass_core::machine::Config;
use windlass_core::protocol::json::{Fields, Reader};

use crate::json;

/// Those of the JavaScript side, which takes them out in `www/options.js`, are among them to be named in an error.
const NAMES: [&str; 10] = [
    "backend",
    "doctor",
    "endpoint",
    "headers",
    "journal",
    "maxBytesPerSecond",
    "maxConcurrent",
    "proof",
    "storeOrigins",
    "withCredentials",
];

/// What an app may set. A misspelt name is an error rather than silence.
#[derive(Debug)]
pub(super) struct Options {
    /// The first name that is no option.
    unknown: Option<String>,
    max_concurrent: Option<u64>,
    max_bytes_per_second: Option<u64>,
    /// As the JavaScript side checked and joined them.
    store_origins: String,
}

impl Options {
    /// Reads the options object, without what the JavaScript side has taken out.
    pub(super) fn read(options: &JsValue) -> Result<Self, js_sys::Error> {
        let json = json::from_js(options).ok_or_else(|| bad("an option has a value of no use here"))?;
        let options = Reader::read(json, "the options argument", Self::decode);
        let options = options.map_err(|error| bad(&error.to_string()))?;
        if let Some(name) = &options.unknown {
            return Err(bad(&format!("there is no option {name}; there are {}", NAMES.join(", "))));
        }
        if options.max_concurrent.is_some_and(|most| !(1..=64).contains(&most)) {
            return Err(bad("maxConcurrent is not a number from 1 to 64"));
        }
        if options.max_bytes_per_second == Some(0) {
            return Err(bad("maxBytesPerSecond is 0: leave it out for no limit, or pause"));
        }
        Ok(options)
    }

    fn decode(fields: &mut Fields<'_>) -> Self {
        Self {
            unknown: fields.unknown(&NAMES).map(str::to_owned),
            max_concurrent: fields.number("maxConcurrent"),
            max_bytes_per_second: fields.number("maxBytesPerSecond"),
            store_origins: fields.text("storeOrigins").unwrap_or_default(),
        }
    }

    pub(super) fn config(&self) -> Config {
        let usual = Config::default();
        Config {
            max_concurrent: self.max_concurrent.map_or(usual.max_concurrent, |most| most as u32),
            max_bytes_per_second: self.max_bytes_per_second,
            store_origins: self.store_origins.clone(),
        }
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
