//! The widget: a drop zone and a row for each file, in the shadow root it is given.

// The component macro makes functions that are `pub` whatever the component is.
#![allow(unreachable_pub)]

mod drop_zone;
mod format;
mod row;
mod rows;
mod style;
mod words;

use std::any::Any;
use std::cell::RefCell;
use std::fmt;

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, ShadowRoot};

use crate::driver::Driver;
use drop_zone::DropZone;
use format::Formats;
use row::Row;
use rows::Rows;

/// A mounted widget. Dropping it takes it out of the page.
pub struct Widget {
    mounted: RefCell<Option<Box<dyn Any>>>,
}

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
pub fn mount(host: &HtmlElement, shadow: ShadowRoot, driver: Driver) -> Widget {
    style::adopt(&shadow);
    let formats = Formats::for_element(host);
    let handle = mount_to(shadow.unchecked_into(), move || view! { <Uploads driver formats /> });
    Widget { mounted: RefCell::new(Some(Box::new(handle))) }
}

#[component]
fn Uploads(driver: Driver, formats: Formats) -> impl IntoView {
    let rows = Rows::follow(&driver, &formats);
    let driver = StoredValue::new_local(driver);
    let add = move |files| {
        driver.with_value(|driver| driver.add(files));
    };
    view! {
        <div class="wl" part="root">
            <DropZone on_files=add />
            <ul class="wl-rows" part="list" aria-label=words::LIST hidden=move || rows.is_empty()>
                <For each=move || rows.ids() key=|file| *file let:file>
                    {rows.signals(file).map(|signals| view! { <Row file signals driver /> })}
                </For>
            </ul>
            <p class="wl-unseen" role="status">{move || rows.news()}</p>
        </div>
    }
}
