//! Parts on their way: what is sent, as it is or as an app's transform makes it.

use std::ops::Range;
use std::rc::Rc;

use js_sys::{Function, Promise};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::Blob;
use windlass_core::machine::{Event, FileId, PutId};
use windlass_core::protocol::Grant;
use windlass_core::retry::PutFailure;

use super::Inner;
use crate::browser::xhr::Put;

impl Inner {
    /// Sends a part, once it is there as the app wants it.
    pub(super) fn put(
        self: &Rc<Self>,
        put: PutId,
        file: FileId,
        range: &Range<u64>,
        grant: &Grant,
        watched: bool,
    ) {
        let source = self.files.borrow().get(&file).cloned();
        let Some(body) = source.and_then(|source| source.part(range).ok()) else {
            return self.tell(Event::PutEnded { put, result: Err(PutFailure::Unreadable) });
        };
        // What an app does in its function may come back here.
        let body = match body.dyn_into::<Function>() {
            Ok(make) => make.call0(&JsValue::NULL),
            Err(body) => return self.send(put, &body.unchecked_into(), grant, watched),
        };
        self.coming.borrow_mut().insert(put, ());
        let (weak, grant) = (Rc::downgrade(self), grant.clone());
        spawn_local(async move {
            let made = match body {
                Ok(promise) => JsFuture::from(Promise::resolve(&promise)).await,
                Err(error) => Err(error),
            };
            // It may have been called back meanwhile.
            let inner = weak.upgrade().filter(|inner| inner.coming.borrow_mut().remove(&put).is_some());
            match (inner, made) {
                (Some(inner), Ok(body)) => inner.send(put, &body.unchecked_into(), &grant, watched),
                (Some(inner), Err(_)) => inner.tell(Event::PutEnded { put, result: Err(PutFailure::Unmade) }),
                (None, _) => {}
            }
        });
    }

    fn send(self: &Rc<Self>, put: PutId, body: &Blob, grant: &Grant, watched: bool) {
        let (frame, end) = (Rc::downgrade(self), Rc::downgrade(self));
        let moved = move || {
            if let Some(inner) = frame.upgrade() {
                inner.frame.ask();
            }
        };
        let ended = move |result| {
            if let Some(inner) = end.upgrade() {
                let over = inner.puts.borrow_mut().remove(&put);
                inner.tell(Event::PutEnded { put, result });
                drop(over);
            }
        };
        match Put::send(grant, body, watched, moved, ended) {
            Ok(sent) => drop(self.puts.borrow_mut().insert(put, sent)),
            Err(failure) => self.tell(Event::PutEnded { put, result: Err(failure) }),
        }
    }
}
