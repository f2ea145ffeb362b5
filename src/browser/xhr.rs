//! One part on its way: `XMLHttpRequest`, because nothing else in a browser tells how much of a body has left.

use std::cell::Cell;
use std::rc::Rc;

use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Blob, FormData, ProgressEvent, XmlHttpRequest};
use windlass_core::machine::Stored;
use windlass_core::protocol::{Grant, GrantMethod};
use windlass_core::retry::PutFailure;
use windlass_core::text;

use super::clock;

/// An error document longer than this many bytes is cut: its code comes first.
const BODY_BYTES: usize = 4096;

/// A part on its way. Dropping it stops it without a word.
pub struct Put {
    xhr: XmlHttpRequest,
    loaded: Rc<Cell<u64>>,
    told: Cell<u64>,
    on_progress: Closure<dyn FnMut(ProgressEvent)>,
    on_end: Closure<dyn FnMut(web_sys::Event)>,
}

impl std::fmt::Debug for Put {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Put").field("loaded", &self.loaded).finish_non_exhaustive()
    }
}

impl Put {
    /// Sends `body` as `grant` allows. `moved` is called for every progress event, of which there can be very many, if it
    /// is `watched`; `ended` once.
    pub fn send(
        grant: &Grant,
        body: &Blob,
        watched: bool,
        moved: impl Fn() + 'static,
        ended: impl Fn(Result<Stored, PutFailure>) + 'static,
    ) -> Result<Self, PutFailure> {
        let xhr = XmlHttpRequest::new().map_err(|_| PutFailure::Unsendable)?;
        let loaded = Rc::new(Cell::new(0));
        let on_progress = {
            let loaded = Rc::clone(&loaded);
            Closure::new(move |event: ProgressEvent| {
                loaded.set(event.loaded() as u64);
                moved();
            })
        };
        let on_end = {
            let xhr = xhr.clone();
            let is_http = grant.url.reveal().starts_with("http:");
            Closure::new(move |event: web_sys::Event| {
                let silent =
                    if is_http && is_secure_page() { PutFailure::Insecure } else { PutFailure::NoAnswer };
                ended(outcome(&xhr, &event.type_(), silent));
            })
        };
        let put = Self { xhr, loaded, told: Cell::new(0), on_progress, on_end };
        put.start(grant, body, watched).map_err(|_| PutFailure::Unsendable)?;
        Ok(put)
    }

    fn start(&self, grant: &Grant, body: &Blob, watched: bool) -> Result<(), JsValue> {
        self.xhr.open(grant.method.as_str(), grant.url.reveal())?;
        for (name, value) in grant.headers.iter() {
            self.xhr.set_request_header(name, value)?;
        }
        let on_end = self.on_end.as_ref().unchecked_ref();
        self.xhr.set_onload(Some(on_end));
        self.xhr.set_onerror(Some(on_end));
        self.xhr.set_onabort(Some(on_end));
        if watched {
            self.xhr.upload()?.set_onprogress(Some(self.on_progress.as_ref().unchecked_ref()));
        }
        if grant.method == GrantMethod::Put {
            return self.xhr.send_with_opt_blob(Some(body));
        }
        let form = FormData::new()?;
        for (name, value) in grant.fields.iter() {
            form.append_with_str(name, value)?;
        }
        // The stores ignore what comes after the file.
        form.append_with_blob("file", body)?;
        self.xhr.send_with_opt_form_data(Some(&form))
    }

    /// Bytes that have left, if that is news since this was last asked.
    pub fn news(&self) -> Option<u64> {
        let loaded = self.loaded.get();
        (self.told.replace(loaded) != loaded).then_some(loaded)
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        self.xhr.set_onload(None);
        self.xhr.set_onerror(None);
        self.xhr.set_onabort(None);
        if let Ok(upload) = self.xhr.upload() {
            upload.set_onprogress(None);
        }
        // A request that has ended does not mind.
        let _ = self.xhr.abort();
    }
}

/// Where browsers block what is not `https:`, without telling. (Some let the machine's own addresses pass.)
fn is_secure_page() -> bool {
    web_sys::window().is_some_and(|window| window.origin().starts_with("https:"))
}

/// What became of a request; `silent` is what it means that there was no answer.
fn outcome(xhr: &XmlHttpRequest, event: &str, silent: PutFailure) -> Result<Stored, PutFailure> {
    let status = xhr.status().unwrap_or(0);
    match (event, status) {
        ("abort", _) => Err(PutFailure::Aborted),
        ("error", _) | (_, 0) => Err(silent),
        (_, 200..=299) => Ok(Stored { etag: header(xhr, "etag") }),
        (_, 308) => Err(PutFailure::Incomplete(header(xhr, "range"))),
        _ => {
            let mut body = xhr.response_text().ok().flatten().unwrap_or_default();
            body.truncate(body.floor_char_boundary(BODY_BYTES));
            let retry_after = header(xhr, "retry-after").as_deref().and_then(clock::retry_after);
            Err(PutFailure::Refused { status, body, retry_after })
        }
    }
}

/// A header, if CORS lets us see it. Asking for a hidden one by name would write an error to the console.
fn header(xhr: &XmlHttpRequest, name: &str) -> Option<String> {
    let all = xhr.get_all_response_headers().ok()?;
    let mut lines = text::split(&all, |c| c == '\n');
    // Names come in lower case (XMLHttpRequest, "The getAllResponseHeaders() method").
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.map(|value| value.trim_ascii().to_owned())
}
