//! Where files come in: a real file input with its label, and a place to drop them.

use js_sys::Array;
use leptos::ev::DragEvent;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{File, FileList};

use super::words;

#[component]
pub(super) fn DropZone(on_files: impl Fn(Vec<File>) + Copy + 'static) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    // Entering a child fires before leaving its parent: only the count knows whether the pointer is still inside.
    let inside = RwSignal::new(0_i32);
    let on_change = move |_| {
        let Some(input) = input.get() else { return };
        let files = to_vec(input.files());
        // So that choosing the same file again is a change again.
        input.set_value("");
        on_files(files);
    };
    let on_enter = move |event: DragEvent| {
        event.prevent_default();
        inside.update(|depth| *depth += 1);
    };
    let on_drop = move |event: DragEvent| {
        event.prevent_default();
        inside.set(0);
        on_files(to_vec(event.data_transfer().and_then(|data| data.files())));
    };
    view! {
        <div
            class="wl-drop"
            class=("is-over", move || inside.get() > 0)
            part="drop"
            on:dragenter=on_enter
            on:dragover=move |event: DragEvent| event.prevent_default()
            on:dragleave=move |_| inside.update(|depth| *depth = (*depth - 1).max(0))
            on:drop=on_drop
        >
            <span class="wl-hint">{words::DROP}</span>
            <input class="wl-unseen" id="files" type="file" multiple node_ref=input on:change=on_change />
            <label class="wl-choose" part="choose" for="files">{words::CHOOSE}</label>
        </div>
    }
}

fn to_vec(files: Option<FileList>) -> Vec<File> {
    let files = files.map(|files| Array::from(&files)).unwrap_or_default();
    files.iter().filter_map(|file| file.dyn_into().ok()).collect()
}
