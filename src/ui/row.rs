//! One file: its name, how far it is, and what the person can do about it.
//!
//! Everything that changes is a text or a flag: each type of signal in a view costs the wasm 2 KB.

use std::any::Any;
use std::cell::Cell;

use leptos::prelude::*;
use web_sys::HtmlElement;
use windlass_core::machine::{FileId, Stage, View};
use windlass_core::text::is_bidi_control;

use super::words;
use crate::driver::Driver;

pub(super) type Text = ArcRwSignal<String>;
pub(super) type Flag = ArcRwSignal<bool>;

/// A row in the page. Dropping it takes it out.
pub(super) struct Row {
    signals: Signals,
    stage: Cell<Option<Stage>>,
    in_trouble: Cell<bool>,
    _mounted: Box<dyn Any>,
}

/// What changes in a row.
#[derive(Clone, Default)]
struct Signals {
    phase: Text,
    percent: Text,
    fill: Text,
    status: Text,
    hold: Text,
    hold_label: Text,
    no_hold: Flag,
    no_cancel: Flag,
    no_retry: Flag,
    no_remove: Flag,
}

impl Row {
    /// Adds a row to the list, empty until it is first shown something.
    pub(super) fn mount(list: &HtmlElement, file: &View, driver: &Driver) -> Self {
        let signals = Signals::default();
        let (shown, name, id, driver) = (signals.clone(), shown_name(&file.name), file.file, driver.clone());
        let mounted = mount_to(list.clone(), move || row(shown, &name, id, &driver));
        Self { signals, stage: Cell::new(None), in_trouble: Cell::new(false), _mounted: Box::new(mounted) }
    }

    /// Moves the bar and offers what can be done now. Tells whether the words have to change at once.
    pub(super) fn show(&self, view: &View) -> bool {
        let stage = view.stage;
        let hundredths = hundredths(view);
        change(&self.signals.percent, (hundredths / 100).to_string());
        change(&self.signals.fill, format!("{}.{:02}%", hundredths / 100, hundredths % 100));
        let is_running = matches!(stage, Stage::Queued | Stage::Uploading | Stage::Paused);
        // One button, so that whoever has just used it by the keyboard is still on it.
        let hold = if stage == Stage::Paused { words::RESUME } else { words::PAUSE };
        change(&self.signals.hold, hold.to_owned());
        change(&self.signals.hold_label, words::label(hold, &shown_name(&view.name)));
        change(&self.signals.no_hold, !is_running);
        change(&self.signals.no_cancel, !is_running);
        change(&self.signals.no_retry, !matches!(stage, Stage::Failed | Stage::Canceled));
        change(&self.signals.no_remove, is_running || stage == Stage::Completing);
        change(&self.signals.phase, stage.as_str().to_owned());
        let trouble = view.trouble.is_some();
        self.stage.replace(Some(stage)) != Some(stage) || self.in_trouble.replace(trouble) != trouble
    }

    /// Changes the words.
    pub(super) fn tell(&self, words: String) {
        change(&self.signals.status, words);
    }

    /// Whether the words are about something that goes on.
    pub(super) fn is_moving(&self) -> bool {
        self.stage.get() == Some(Stage::Uploading)
    }
}

fn row(signals: Signals, name: &str, file: FileId, driver: &Driver) -> impl IntoView + use<> {
    let button = |class: &'static str, word: &'static str, hidden: Flag, act: fn(&Driver, FileId)| {
        let driver = driver.clone();
        view! {
            <button
                type="button"
                class=class
                part="button"
                hidden=hidden
                aria-label=words::label(word, name)
                on:click=move |_| act(&driver, file)
            >
                {word}
            </button>
        }
    };
    let holder = driver.clone();
    view! {
        <li class="wl-row" part="row" data-file-id=file.to_string() data-phase=signals.phase>
            <bdi class="wl-name name" title=name.to_owned()>{name.to_owned()}</bdi>
            // The fill by property: a style attribute would be blocked by a strict Content-Security-Policy.
            <div
                class="wl-bar"
                part="bar"
                role="progressbar"
                aria-label=name.to_owned()
                aria-valuemin="0"
                aria-valuemax="100"
                aria-valuenow=signals.percent
            >
                <div class="wl-fill" part="fill" style:inline-size=signals.fill></div>
            </div>
            <p class="wl-status status" part="status">{signals.status}</p>
            <div class="wl-actions">
                <button
                    type="button"
                    class="hold"
                    part="button"
                    hidden=signals.no_hold
                    aria-label=signals.hold_label
                    on:click=move |_| hold(&holder, file)
                >
                    {signals.hold}
                </button>
                {button("cancel", words::CANCEL, signals.no_cancel, Driver::cancel)}
                {button("retry", words::RETRY, signals.no_retry, Driver::retry)}
                {button("remove", words::REMOVE, signals.no_remove, Driver::remove)}
            </div>
        </li>
    }
}

/// Holds a file back, or lets it go on.
fn hold(driver: &Driver, file: FileId) {
    let is_held = driver.view(file).is_some_and(|view| view.stage == Stage::Paused);
    let act = if is_held { Driver::resume } else { Driver::pause };
    act(driver, Some(file));
}

/// Sets a signal, unless it has that value already: what is unchanged is not drawn again.
pub(super) fn change<T: PartialEq + Send + Sync + 'static>(signal: &ArcRwSignal<T>, value: T) {
    if signal.with_untracked(|old| *old != value) {
        signal.set(value);
    }
}

/// How far, in hundredths of a percent, never rounded up to what is not reached.
fn hundredths(view: &View) -> u64 {
    match view.stage {
        Stage::Done => 10_000,
        _ if view.size == 0 => 0,
        // In 128 bits, as a file of petabytes would overflow 64.
        _ => (u128::from(view.loaded) * 10_000 / u128::from(view.size)) as u64,
    }
}

/// A name that cannot reorder the text around it or break the line: what would do that is shown as a box.
fn shown_name(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || is_bidi_control(c) { '\u{fffd}' } else { c }).collect()
}
