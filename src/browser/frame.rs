//! Once per animation frame, and now and then where there are none.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo_timers::callback::Timeout;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

/// A hidden page has no animation frames; programs that listen still want to know, this often in milliseconds.
const HIDDEN_MS: u32 = 250;

/// Runs a function at the next animation frame after it was asked to, once for any number of requests.
pub struct Frame(Rc<Inner>);

struct Inner {
    run: Box<dyn Fn()>,
    asked: Cell<bool>,
    /// The frame that is on its way; in a hidden page it may be for hours.
    coming: Cell<Option<i32>>,
    on_frame: RefCell<Option<Closure<dyn FnMut()>>>,
    timeout: RefCell<Option<Timeout>>,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame").field("asked", &self.0.asked).finish_non_exhaustive()
    }
}

impl Frame {
    /// Will run `run`.
    pub fn new(run: impl Fn() + 'static) -> Self {
        let inner = Rc::new(Inner {
            run: Box::new(run),
            asked: Cell::new(false),
            coming: Cell::new(None),
            on_frame: RefCell::new(None),
            timeout: RefCell::new(None),
        });
        let weak = Rc::downgrade(&inner);
        let on_frame = Closure::new(move || {
            if let Some(inner) = weak.upgrade() {
                inner.coming.set(None);
                inner.fire();
            }
        });
        *inner.on_frame.borrow_mut() = Some(on_frame);
        Self(inner)
    }

    /// Asks for a run at the next frame.
    pub fn ask(&self) {
        if self.0.asked.replace(true) {
            return;
        }
        // The timer is there for a page that is hidden, or becomes hidden before its next frame.
        let weak = Rc::downgrade(&self.0);
        let fire = move || {
            if let Some(inner) = weak.upgrade() {
                inner.fire();
            }
        };
        *self.0.timeout.borrow_mut() = Some(Timeout::new(HIDDEN_MS, fire));
        if self.0.coming.get().is_some() {
            return;
        }
        if let (Some(window), Some(on_frame)) = (web_sys::window(), &*self.0.on_frame.borrow()) {
            // Without frames the timer does it.
            self.0.coming.set(window.request_animation_frame(on_frame.as_ref().unchecked_ref()).ok());
        }
    }
}

impl Inner {
    fn fire(&self) {
        if self.asked.replace(false) {
            self.timeout.borrow_mut().take();
            (self.run)();
        }
    }
}

impl Drop for Inner {
    /// A frame that came later would call what is not there any more.
    fn drop(&mut self) {
        if let (Some(window), Some(coming)) = (web_sys::window(), self.coming.get()) {
            // Nothing can be done if the browser does not know it.
            let _ = window.cancel_animation_frame(coming);
        }
    }
}
