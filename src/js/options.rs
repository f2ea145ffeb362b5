//! What JavaScript hands in, checked: the options object field by field, and lists of files.

use js_sys::{Array, Function};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::File;
use windlass_core::machine::Config;
use windlass_core::map::Map;
use windlass_core::protocol::json::{Fields, Reader};

use crate::backend::http::Http;
use crate::driver::Driver;
use crate::json;

/// `backend` and `doctor` are the JavaScript side's, which takes them out: see `www/options.js`.
const NAMES: [&str; 8] = [
    "backend",
    "doctor",
    "endpoint",
    "headers",
    "maxBytesPerSecond",
    "maxConcurrent",
    "storeOrigins",
    "withCredentials",
];

/// What an app may set. A misspelt name is an error rather than silence.
#[derive(Debug)]
pub(super) struct Options {
    /// The first name that is no option.
    unknown: Option<String>,
    endpoint: String,
    /// What is asked in place of an endpoint.
    function: Option<Function>,
    headers: Map<String, String>,
    with_credentials: bool,
    max_concurrent: Option<u64>,
    max_bytes_per_second: Option<u64>,
    /// As the JavaScript side checked and joined them.
    store_origins: String,
}

impl Options {
    /// Reads the options object; `function` is what the JavaScript side made of the option `backend`.
    pub(super) fn read(options: &JsValue, function: Option<Function>) -> Result<Self, js_sys::Error> {
        let json = json::from_js(options).ok_or_else(|| bad("an option has a value of no use here"))?;
        let read = Reader::read(json, "the options argument", Self::decode);
        let options = Self { function, ..read.map_err(|error| bad(&error.to_string()))? };
        if let Some(name) = &options.unknown {
            return Err(bad(&format!("there is no option {name}; there are {}", NAMES.join(", "))));
        }
        if options.function.is_none() && options.endpoint.trim_ascii().is_empty() {
            return Err(bad(
                "endpoint is empty: set it to the address of your upload backend, or set backend",
            ));
        }
        if let Some((name, _)) = options.headers.iter().find(|(name, value)| !is_header(name, value)) {
            return Err(bad(&format!("headers: {name} is no name of a header, or its value cannot be sent")));
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
            endpoint: fields.text("endpoint").unwrap_or_default(),
            function: None,
            headers: fields.texts("headers"),
            with_credentials: fields.bool("withCredentials").unwrap_or(false),
            max_concurrent: fields.number("maxConcurrent"),
            max_bytes_per_second: fields.number("maxBytesPerSecond"),
            store_origins: fields.text("storeOrigins").unwrap_or_default(),
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
            function: self.function.clone(),
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

/// Whether browsers send this header (Fetch, "Header" and RFC 9110, section 5): of any other they throw.
fn is_header(name: &str, value: &str) -> bool {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let is_byte = |c: char| u32::from(c) < 256 && !matches!(c, '\0' | '\r' | '\n');
    !name.is_empty() && name.bytes().all(is_token) && value.chars().all(is_byte)
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
