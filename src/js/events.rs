//! Updates as plain objects for JavaScript; their shapes are typed in `www/index.d.ts`.

use js_sys::Function;
use wasm_bindgen::JsValue;
use windlass_core::error::Status;
use windlass_core::machine::{Report, Stage, View};
use windlass_core::protocol::json::{Json, Object};

use crate::driver::{Driver, Update};
use crate::json;

/// Calls `emit` with the name and the detail of every event from now on.
pub(super) fn tell(driver: &Driver, emit: Function) {
    driver.listen(move |update| {
        events(update, |name, detail| {
            // What a listener throws is its own affair; the browser reports it.
            let _ = emit.call2(&JsValue::NULL, &name.into(), detail);
        });
    });
}

/// Calls `emit` with the event's name and its detail, for each event that an update is.
fn events(update: &Update<'_>, emit: impl Fn(&str, &JsValue)) {
    match update {
        Update::Changed(views) => {
            for view in views.iter().filter(|view| matches!(view.stage, Stage::Uploading | Stage::Paused)) {
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
    let mut object = Object::default();
    object.number("fileId", view.file.0.into());
    object.text("name", &view.name);
    object.number_or_null("size", (!view.is_open).then_some(view.size));
    object.text("stage", view.stage.as_str());
    object.number("loaded", view.loaded);
    object.number("stored", view.stored);
    object.put("speed", view.speed.map_or(Json::Null, Json::Number));
    object.put("secondsLeft", view.seconds_left.map_or(Json::Null, Json::Number));
    object.text_or_null("key", view.key.as_deref());
    object.put("restarted", Json::Bool(view.restarted));
    if let Some(stored) = &view.object {
        object.text_or_null("etag", stored.etag.as_deref());
        object.text_or_null("url", stored.url.as_deref());
    }
    if let Some(error) = &view.error {
        object.text("code", error.kind.code());
        object.text("message", &error.sentence());
        object.put("retryable", Json::Bool(error.status != Status::Permanent));
        object.number_or_null("status", error.http.map(Into::into));
        object.number_or_null("part", error.part.map(Into::into));
    }
    json::to_js(&object.into())
}
