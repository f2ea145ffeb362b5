//! Where files come in: a real file input with its label, and a place to drop them.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::Array;
use leptos::ev::DragEvent;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Event, File, FileList, HtmlInputElement};

use super::row::{Flag, change};
use super::words;

/// The drop zone; `on_files` is called with what was chosen or dropped.
pub(super) fn drop_zone(on_files: impl Fn(Vec<File>) + Clone + 'static) -> impl IntoView {
    // Entering a child fires before leaving its parent: only the count knows whether the pointer is still inside.
    let depth = Rc::new(Cell::new(0_u32));
    let is_over = Flag::default();
    let moved = {
        let is_over = is_over.clone();
        move |event: &DragEvent| {
            let inside = match event.type_().as_str() {
                "dragenter" => depth.get() + 1,
                "dragleave" => depth.get().saturating_sub(1),
                _ => 0,
            };
            depth.set(inside);
            change(&is_over, inside > 0);
        }
    };
    let (entered, left, dropped) = (moved.clone(), moved.clone(), on_files.clone());
    let on_drop = move |event: DragEvent| {
        event.prevent_default();
        moved(&event);
        dropped(to_vec(event.data_transfer().and_then(|data| data.files())));
    };
    let on_change = move |event: Event| {
        let input: HtmlInputElement = event_target(&event);
        let files = to_vec(input.files());
        // So that choosing the same file again is a change again.
        input.set_value("");
        on_files(files);
    };
    view! {
        <div
            class="wl-drop"
            part="drop"
            data-over=is_over
            on:dragenter=move |event| {
                event.prevent_default();
                entered(&event);
            }
            on:dragover=move |event| event.prevent_default()
            on:dragleave=move |event| left(&event)
            on:drop=on_drop
        >
            <span class="wl-hint">{words::DROP}</span>
            <input class="wl-unseen" id="files" type="file" multiple on:change=on_change />
            <label class="wl-choose" part="choose" for="files">{words::CHOOSE}</label>
        </div>
    }
}

fn to_vec(files: Option<FileList>) -> Vec<File> {
    let files = files.map(|files| Array::from(&files)).unwrap_or_default();
    files.iter().filter_map(|file| file.dyn_into().ok()).collect()
}
