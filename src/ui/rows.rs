//! What the rows show, kept up with the driver: the bar with every frame, words only as fast as a person reads.

use std::time::Duration;

use leptos::prelude::Update as _;
use leptos::prelude::*;
use windlass_core::machine::{FileId, Stage, View};
use windlass_core::map::Map;

use super::format::Formats;
use super::words;
use crate::driver::{Driver, Update};

/// Words and numbers of a running upload change at most this often, in milliseconds.
const WORDS_MS: u64 = 300;

/// What one row shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signals {
    pub(super) name: StoredValue<String>,
    pub(super) stage: RwSignal<Stage>,
    pub(super) status: RwSignal<String>,
    /// From 0 to 1.
    pub(super) fraction: RwSignal<f64>,
    /// What the words will tell when they next change.
    next: StoredValue<Option<View>>,
    in_trouble: StoredValue<bool>,
}

/// All rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    ids: RwSignal<Vec<FileId>>,
    signals: StoredValue<Map<FileId, Signals>>,
    news: RwSignal<String>,
}

impl Rows {
    /// Rows that show what `driver` has now and follow it.
    pub(super) fn follow(driver: &Driver, formats: &Formats) -> Self {
        let rows = Self {
            ids: RwSignal::new(Vec::new()),
            signals: StoredValue::new(Map::new()),
            news: RwSignal::new(String::new()),
        };
        let owner = Owner::current();
        let formats = formats.clone();
        driver.listen(move |update| {
            let Some(owner) = &owner else { return };
            owner.with(|| match update {
                Update::Changed(views) => views.iter().for_each(|view| rows.show(view, &formats)),
                Update::Report(_, view) => {
                    if let Some(news) = words::news(view) {
                        rows.news.try_set(news);
                    }
                }
                Update::Removed(file) => rows.remove(*file),
            });
        });
        rows
    }

    pub(super) fn ids(&self) -> Vec<FileId> {
        self.ids.get()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.with(Vec::is_empty)
    }

    pub(super) fn signals(&self, file: FileId) -> Option<Signals> {
        self.signals.with_value(|signals| signals.get(&file).copied())
    }

    /// The last thing that happened, for a screen reader.
    pub(super) fn news(&self) -> String {
        self.news.get()
    }

    fn show(&self, view: &View, formats: &Formats) {
        // After the widget is taken out there is nothing to show any more.
        let Some(known) = self.signals.try_with_value(|signals| signals.get(&view.file).copied()) else {
            return;
        };
        if let Some(signals) = known {
            signals.show(view, formats);
        } else {
            let signals = Signals::new(view, formats);
            self.signals.update_value(|all| {
                all.insert(view.file, signals);
            });
            self.ids.update(|ids: &mut Vec<FileId>| ids.push(view.file));
        }
    }

    fn remove(&self, file: FileId) {
        self.signals.try_update_value(|all| all.remove(&file));
        self.ids.try_update(|ids: &mut Vec<FileId>| ids.retain(|id| *id != file));
    }
}

impl Signals {
    fn new(view: &View, formats: &Formats) -> Self {
        Self {
            name: StoredValue::new(view.name.clone()),
            stage: RwSignal::new(view.stage),
            status: RwSignal::new(words::status(view, formats)),
            fraction: RwSignal::new(fraction(view)),
            next: StoredValue::new(None),
            in_trouble: StoredValue::new(false),
        }
    }

    fn show(self, view: &View, formats: &Formats) {
        self.fraction.set(fraction(view));
        let moved =
            self.stage.get_untracked() != view.stage || self.in_trouble.get_value() != view.trouble.is_some();
        self.in_trouble.set_value(view.trouble.is_some());
        if moved {
            self.status.set(words::status(view, formats));
            self.stage.set(view.stage);
        }
        let is_due = self.next.with_value(Option::is_some);
        self.next.set_value((!moved).then(|| view.clone()));
        if !moved && !is_due {
            let formats = formats.clone();
            let words = move || {
                // The row may be gone by now.
                if let Some(Some(view)) = self.next.try_update_value(Option::take) {
                    self.status.set(words::status(&view, &formats));
                }
            };
            set_timeout(words, Duration::from_millis(WORDS_MS));
        }
    }
}

fn fraction(view: &View) -> f64 {
    match view.stage {
        Stage::Done => 1.0,
        _ if view.size == 0 => 0.0,
        _ => view.loaded as f64 / view.size as f64,
    }
}
