//! One file: its name, how far it is, and what the person can do about it.

use leptos::prelude::*;
use windlass_core::error::is_bidi_control;
use windlass_core::machine::{FileId, Stage};

use super::rows::Signals;
use super::words;
use crate::driver::Driver;

#[component]
pub(super) fn Row(
    file: FileId,
    signals: Signals,
    driver: StoredValue<Driver, LocalStorage>,
) -> impl IntoView {
    let stage = signals.stage;
    let name = signals.name.with_value(|name| shown_name(name));
    let percent = move || (signals.fraction.get() * 100.0).floor();
    let is_running = move || matches!(stage.get(), Stage::Queued | Stage::Uploading);
    let can_retry = move || matches!(stage.get(), Stage::Failed | Stage::Canceled);
    let is_over = move || matches!(stage.get(), Stage::Done | Stage::Failed | Stage::Canceled);
    let button =
        move |class: &'static str, word: &'static str, shown: Signal<bool>, act: fn(&Driver, FileId)| {
            let name = signals.name.with_value(|name| shown_name(name));
            view! {
                <button
                    type="button"
                    class=class
                    part="button"
                    hidden=move || !shown.get()
                    aria-label=words::label(word, &name)
                    on:click=move |_| driver.with_value(|driver| act(driver, file))
                >
                    {word}
                </button>
            }
        };
    view! {
        <li class="wl-row" part="row" data-file-id=file.0.to_string() data-phase=move || stage.get().as_str()>
            <bdi class="wl-name name" title=name.clone()>{name.clone()}</bdi>
            <div
                class="wl-bar"
                part="bar"
                role="progressbar"
                aria-label=name
                aria-valuemin="0"
                aria-valuemax="100"
                aria-valuenow=move || percent().to_string()
            >
                <div class="wl-fill" part="fill" style:inline-size=move || format!("{:.2}%", signals.fraction.get() * 100.0)></div>
            </div>
            <p
                class="wl-status status"
                class=("error", move || stage.get() == Stage::Failed)
                part="status"
            >
                {move || signals.status.get()}
            </p>
            <div class="wl-actions">
                {button("cancel", words::CANCEL, Signal::derive(is_running), Driver::cancel)}
                {button("retry", words::RETRY, Signal::derive(can_retry), Driver::retry)}
                {button("remove", words::REMOVE, Signal::derive(is_over), Driver::remove)}
            </div>
        </li>
    }
}

/// A name that cannot reorder the text around it or break the line: what would do that is shown as a box.
fn shown_name(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || is_bidi_control(c) { '\u{fffd}' } else { c }).collect()
}
