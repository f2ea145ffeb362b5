//! The widget's styles: one sheet for the page, adopted by each shadow root, so that nothing touches the document.

use js_sys::{Array, Reflect};
use wasm_bindgen::JsValue;
use web_sys::{CssStyleSheet, ShadowRoot};

const CSS: &str = concat!(include_str!("widget.css"), include_str!("drop_zone.css"), include_str!("row.css"));

thread_local! {
    static SHEET: Option<CssStyleSheet> = sheet();
}

fn sheet() -> Option<CssStyleSheet> {
    let sheet = CssStyleSheet::new().ok()?;
    sheet.replace_sync(CSS).ok()?;
    Some(sheet)
}

/// Gives the styles to a shadow root.
pub(super) fn adopt(shadow: &ShadowRoot) {
    SHEET.with(|sheet| {
        let sheets: Array = sheet.iter().map(JsValue::from).collect();
        // A browser without adopted sheets shows the widget plain; everything works.
        let _ = Reflect::set(shadow, &"adoptedStyleSheets".into(), &sheets);
    });
}
