//! The widget: a drop zone and a row for each file, in the shadow root it is given.

mod drop_zone;
mod format;
mod row;
mod rows;
mod style;
mod words;

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, ShadowRoot};

use crate::driver::Driver;
use drop_zone::drop_zone;
use format::Formats;
use row::{Flag, Text};
use rows::Rows;

/// A mounted widget. Dropping it takes it out of the page.
pub struct Widget {
    mounted: RefCell<Option<Mounted>>,
}

/// Dropped in this order: the rows first, then what they are in.
type Mounted = (Rc<Rows>, Box<dyn Any>);

impl fmt::Debug for Widget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Widget").finish_non_exhaustive()
    }
}

impl Widget {
    /// Takes the widget out of the page; asked again, does nothing.
    pub fn unmount(&self) {
        let mounted = self.mounted.borrow_mut().take();
        drop(mounted);
    }
}

/// Shows the uploads of `driver` in `shadow`, the shadow root of `host`, whose language it speaks.
pub fn mount(host: &HtmlElement, shadow: &ShadowRoot, driver: Driver) -> Widget {
    style::adopt(shadow);
    let (no_rows, news) = (Flag::new(true), Text::default());
    let add = {
        let driver = driver.clone();
        move |files| drop(driver.add(files, false))
    };
    let root = {
        let (no_rows, news) = (no_rows.clone(), news.clone());
        let parent = shadow.clone().unchecked_into();
        mount_to(parent, move || {
            view! {
                <div class="wl" part="root">
                    {drop_zone(add)}
                    <ul class="wl-rows" part="list" aria-label=words::LIST hidden=no_rows></ul>
                    <p class="wl-unseen" role="status">{news}</p>
                </div>
            }
        })
    };
    let root: Box<dyn Any> = Box::new(root);
    let list = shadow.query_selector("ul").ok().flatten().and_then(|list| list.dyn_into().ok());
    // The list was built just above; without it there would be nothing to follow.
    let mounted =
        list.map(|list| (Rows::follow(driver, Formats::for_element(host), list, no_rows, news), root));
    Widget { mounted: RefCell::new(mounted) }
}
