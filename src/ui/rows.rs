//! The rows, kept up with the driver: the bar with every frame, words only as fast as a person reads.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use gloo_timers::callback::Timeout;
use web_sys::HtmlElement;
use windlass_core::machine::{FileId, View};
use windlass_core::map::Map;

use super::format::Formats;
use super::row::{Flag, Row, Text, change};
use super::words;
use crate::driver::{Driver, Update};

/// Words and numbers of running uploads change this often, in milliseconds: also when no byte moves, so that a
/// speed does not stand there after the line is gone.
const WORDS_MS: u32 = 500;

/// All rows. They hold the driver, so the driver must not hold them.
pub(super) struct Rows {
    driver: Driver,
    formats: Formats,
    list: HtmlElement,
    by_file: RefCell<Map<FileId, Row>>,
    /// Whether the list is to be hidden.
    is_empty: Flag,
    /// The last thing that happened, for a screen reader.
    news: Text,
    timer: RefCell<Option<Timeout>>,
}

impl Rows {
    /// Rows in `list` that follow `driver` for as long as the result lives.
    pub(super) fn follow(
        driver: Driver,
        formats: Formats,
        list: HtmlElement,
        is_empty: Flag,
        news: Text,
    ) -> Rc<Self> {
        let (by_file, timer) = (RefCell::default(), RefCell::default());
        let rows = Rc::new(Self { driver, formats, list, by_file, is_empty, news, timer });
        let weak = Rc::downgrade(&rows);
        rows.driver.listen(move |update| {
            if let Some(rows) = weak.upgrade() {
                rows.update(update);
            }
        });
        rows
    }

    fn update(self: &Rc<Self>, update: &Update<'_>) {
        match update {
            Update::Changed(views) => {
                views.iter().for_each(|view| self.show(view));
                self.set_timer();
            }
            Update::Report(_, view) => {
                if let Some(news) = words::news(view) {
                    change(&self.news, news);
                }
            }
            Update::Removed(file) => {
                self.by_file.borrow_mut().remove(file);
            }
        }
        change(&self.is_empty, self.by_file.borrow().is_empty());
    }

    fn show(&self, view: &View) {
        let mut rows = self.by_file.borrow_mut();
        if !rows.contains_key(&view.file) {
            rows.insert(view.file, Row::mount(&self.list, view, &self.driver));
        }
        if let Some(row) = rows.get(&view.file)
            && row.show(view)
        {
            row.tell(words::status(view, &self.formats));
        }
    }

    fn set_timer(self: &Rc<Self>) {
        let mut timer = self.timer.borrow_mut();
        if timer.is_none() && self.by_file.borrow().values().any(Row::is_moving) {
            let weak = Rc::downgrade(self);
            *timer = Some(Timeout::new(WORDS_MS, move || Self::on_timer(&weak)));
        }
    }

    fn on_timer(weak: &Weak<Self>) {
        let Some(rows) = weak.upgrade() else { return };
        rows.timer.take();
        for (file, row) in rows.by_file.borrow().iter().filter(|(_, row)| row.is_moving()) {
            if let Some(view) = rows.driver.view(*file) {
                row.tell(words::status(&view, &rows.formats));
            }
        }
        rows.set_timer();
    }
}
