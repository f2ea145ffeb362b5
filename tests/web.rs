//! The browser side in a real browser: what the hands do, without a backend or a store.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, reason = "clippy does not know these functions as tests")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo_timers::future::TimeoutFuture;
use js_sys::{Array, Function, Uint8Array};
#[cfg(feature = "ui")]
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::File;
use windlass::backend::http::Http;
use windlass::browser::frame::Frame;
use windlass::browser::{clock, files};
use windlass::driver::{Driver, Update};
use windlass_core::error::Kind;
use windlass_core::machine::{Config, FileId, Report, Stage};

wasm_bindgen_test_configure!(run_in_browser);

fn file(bytes: &[u8], name: &str) -> File {
    let parts = Array::of1(&Uint8Array::from(bytes));
    File::new_with_u8_array_sequence(&parts, name).unwrap()
}

/// A driver that asks over HTTP, at an address where nobody is.
fn driver() -> Driver {
    let ask = "return fetch('/there-is-no-backend-here/' + route, { method: 'POST', body, signal });";
    driver_with(Function::new_with_args("route, body, signal", ask))
}

fn driver_with(ask: Function) -> Driver {
    Driver::new(Http { ask }, Config::default(), None)
}

#[wasm_bindgen_test]
async fn a_slice_has_the_bytes_of_its_range() {
    let blob = files::slice(&file(b"0123456789", "digits"), &(3..7)).unwrap();
    let text = wasm_bindgen_futures::JsFuture::from(blob.text()).await.unwrap();
    assert_eq!(text.as_string().unwrap(), "3456");
}

#[wasm_bindgen_test]
async fn a_file_is_readable_only_with_its_own_size() {
    let file = file(b"0123456789", "digits");
    assert!(files::is_readable(&file, 10).await);
    assert!(!files::is_readable(&file, 11).await);
    assert!(files::is_readable(&self::file(b"", "empty"), 0).await);
}

#[wasm_bindgen_test]
async fn a_frame_runs_once_for_many_requests() {
    let runs = Rc::new(Cell::new(0));
    let counted = Rc::clone(&runs);
    let frame = Frame::new(move || counted.set(counted.get() + 1));
    (0..100).for_each(|_| frame.ask());
    TimeoutFuture::new(600).await;
    assert_eq!(runs.get(), 1);
    frame.ask();
    TimeoutFuture::new(600).await;
    assert_eq!(runs.get(), 2);
}

#[wasm_bindgen_test]
async fn a_wrong_endpoint_fails_the_file_with_its_reason() {
    let driver = driver();
    let (id, why) = failure(&driver).await;
    assert_eq!(why, [(Kind::EndpointNotFound, Stage::Failed)]);
    assert_eq!(driver.view(id).unwrap().stage, Stage::Failed);
    driver.remove(id);
    assert!(driver.view(id).is_none());
}

#[wasm_bindgen_test]
async fn a_function_is_asked_in_place_of_an_endpoint() {
    for (body, kind) in [
        // Two tries, for the first finds nobody.
        (
            "this.tries = (this.tries ?? 0) + 1;
            if (this.tries === 1) return Promise.reject(new TypeError());
            const right = route === 'create' && JSON.parse(json).files[0].name === 'x' && !signal.aborted;
            return Promise.resolve(new Response('{}', { status: right ? 401 : 404 }));",
            Kind::Unauthorized,
        ),
        ("return Promise.resolve(new Response(''));", Kind::BadAnswer),
    ] {
        let function = Function::new_with_args("route, json, signal", body);
        let (_, why) = failure(&driver_with(function)).await;
        assert_eq!(why, [(kind, Stage::Failed)]);
    }
}

/// Adds a file, and waits until it has failed.
async fn failure(driver: &Driver) -> (FileId, Vec<(Kind, Stage)>) {
    let told = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&told);
    driver.listen(move |update| {
        if let Update::Report(Report::Failed(_, error), view) = update {
            log.borrow_mut().push((error.kind, view.stage));
        }
    });
    let id = driver.add(vec![file(b"x", "x")], false)[0];
    for _ in 0..100 {
        TimeoutFuture::new(100).await;
        if !told.borrow().is_empty() {
            break;
        }
    }
    let told = told.borrow().clone();
    (id, told)
}

#[cfg(feature = "ui")]
#[wasm_bindgen_test]
async fn the_widget_shows_a_row_and_lets_go_of_everything() {
    let document = web_sys::window().unwrap().document().unwrap();
    let host: web_sys::HtmlElement = document.create_element("div").unwrap().unchecked_into();
    document.body().unwrap().append_child(&host).unwrap();
    let shadow = host.attach_shadow(&web_sys::ShadowRootInit::new(web_sys::ShadowRootMode::Open)).unwrap();
    let driver = driver();
    let widget = windlass::ui::mount(&host, &shadow, driver.clone());
    driver.add(vec![file(b"x", "a\u{202e}b.txt")], false);
    TimeoutFuture::new(300).await;
    let name = shadow.query_selector("[data-file-id] .name").unwrap().unwrap();
    assert_eq!(name.text_content().unwrap(), "a\u{fffd}b.txt");
    assert_eq!(shadow.query_selector_all("input[type=file]").unwrap().length(), 1);
    widget.unmount();
    assert_eq!(shadow.child_nodes().length(), 0);
    // What still happens to the file finds nothing to show it in, and that is fine.
    driver.cancel(FileId(1));
    TimeoutFuture::new(300).await;
}

#[wasm_bindgen_test]
fn retry_after_is_understood_in_seconds_and_as_a_date() {
    assert_eq!(clock::retry_after("7"), Some(7000));
    let date = js_sys::Date::new(&(js_sys::Date::now() + 60_000.0).into()).to_utc_string();
    let wait = clock::retry_after(&String::from(date)).unwrap();
    assert!((58_000..=60_000).contains(&wait), "{wait}");
    assert_eq!(clock::retry_after("Mon, 01 Jan 1990 00:00:00 GMT"), Some(0));
    assert_eq!(clock::retry_after("soon"), None);
}
