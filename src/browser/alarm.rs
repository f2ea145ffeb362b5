//! One alarm at a time, on time also in a page that nobody looks at.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use gloo_timers::callback::Timeout;
use js_sys::Array;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Blob, Url, Worker};

/// A hidden page's own timers come once a second, after some minutes once a minute; those of a worker come on time.
const SCRIPT: &str = "let t;onmessage=e=>{clearTimeout(t);t=setTimeout(()=>postMessage(0),e.data)}";

/// Runs a function at a set time.
///
/// The page's own timer is always set. While the page is hidden, a worker's is as well, and the first of the two counts:
/// so a page whose Content-Security-Policy forbids the worker, or that has just been hidden, is late but never stuck.
pub struct Alarm(Rc<Inner>);

struct Inner {
    run: Box<dyn Fn()>,
    timeout: RefCell<Option<Timeout>>,
    /// Made when it is first needed, with the URL of its script; none where it is not allowed.
    worker: OnceCell<Option<(Worker, String)>>,
    on_message: Closure<dyn FnMut(web_sys::Event)>,
}

impl std::fmt::Debug for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alarm").field("set", &self.0.timeout.borrow().is_some()).finish_non_exhaustive()
    }
}

impl Alarm {
    /// Will run `run`.
    pub fn new(run: impl Fn() + 'static) -> Self {
        Self(Rc::new_cyclic(|weak: &std::rc::Weak<Inner>| {
            let weak = weak.clone();
            let on_message = Closure::new(move |_| {
                if let Some(inner) = weak.upgrade() {
                    inner.fire();
                }
            });
            Inner { run: Box::new(run), timeout: RefCell::default(), worker: OnceCell::new(), on_message }
        }))
    }

    /// Sets it to so many milliseconds from now, in place of what it was set to.
    pub fn set(&self, wait: u32) {
        let weak = Rc::downgrade(&self.0);
        let fire = move || {
            if let Some(inner) = weak.upgrade() {
                inner.fire();
            }
        };
        *self.0.timeout.borrow_mut() = Some(Timeout::new(wait, fire));
        let document = web_sys::window().and_then(|window| window.document());
        if document.is_some_and(|document| document.hidden())
            && let Some((worker, _)) = self.0.worker.get_or_init(|| worker(&self.0.on_message).ok())
        {
            // Nothing can go wrong with a number.
            let _ = worker.post_message(&wait.into());
        }
    }

    /// Sets it to never.
    pub fn clear(&self) {
        self.0.timeout.borrow_mut().take();
    }
}

impl Inner {
    fn fire(&self) {
        // A worker may be late, when what it was set for is over.
        if self.timeout.borrow_mut().take().is_some() {
            (self.run)();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(Some((worker, url))) = self.worker.get() {
            worker.terminate();
            // Not before: a worker may still be loading.
            let _ = Url::revoke_object_url(url);
        }
    }
}

/// From a Blob, because a script of another origin, as from a CDN, cannot be a worker.
fn worker(on_message: &Closure<dyn FnMut(web_sys::Event)>) -> Result<(Worker, String), JsValue> {
    let script = Blob::new_with_str_sequence(&Array::of1(&SCRIPT.into()))?;
    let url = Url::create_object_url_with_blob(&script)?;
    let worker = Worker::new(&url)?;
    worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    Ok((worker, url))
}
