//! Updates as plain objects for JavaScript; their shapes are typed in `www/index.d.ts`.

use js_sys::{Object, Reflect};
use wasm_bindgen::JsValue;
use windlass_core::error::Status;
use windlass_core::machine::{Report, Stage, View};

use crate::driver::Update;

/// Calls `emit` with the event's name and its detail, for each event that an update is.
pub(super) fn events(update: &Update<'_>, emit: impl Fn(&str, &JsValue)) {
    match update {
        Update::Changed(views) => {
            for view in views.iter().filter(|view| view.stage == Stage::Uploading) {
                emit("progress", &detail(view));
            }
        }
        Update::Report(report, view) => {
            let name = match report {
                Report::Completed(..) => "complete",
                Report::Failed(..) => "error",
                Report::Canceled(_) => "cancel",
            };
            emit(name, &detail(view));
        }
        Update::Removed(_) => {}
    }
}

/// One file as a plain object.
pub(super) fn detail(view: &View) -> JsValue {
    let object = Object::new();
    let set = |name: &str, value: JsValue| {
        // A fresh object takes a new property.
        let _ = Reflect::set(&object, &name.into(), &value);
    };
    set("fileId", view.file.0.into());
    set("name", view.name.as_str().into());
    set("size", number(view.size));
    set("stage", view.stage.as_str().into());
    set("loaded", number(view.loaded));
    set("speed", view.speed.map_or(JsValue::NULL, Into::into));
    set("secondsLeft", view.seconds_left.map_or(JsValue::NULL, Into::into));
    set("key", view.key.as_deref().map_or(JsValue::NULL, Into::into));
    if let Some(stored) = &view.object {
        set("etag", stored.etag.as_deref().map_or(JsValue::NULL, Into::into));
        set("url", stored.url.as_deref().map_or(JsValue::NULL, Into::into));
    }
    if let Some(error) = &view.error {
        set("code", error.kind.code().into());
        set("message", error.sentence().into());
        set("retryable", (error.status != Status::Permanent).into());
        set("status", error.http.map_or(JsValue::NULL, Into::into));
        set("part", error.part.map_or(JsValue::NULL, Into::into));
    }
    object.into()
}

/// Bytes as a number: exact up to 2^53, which is more than any store takes.
fn number(bytes: u64) -> JsValue {
    (bytes as f64).into()
}
