//! Numbers as the person's language writes them.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Intl, Object, Reflect};
use wasm_bindgen::JsValue;
use web_sys::HtmlElement;
use windlass_core::map::Map;

/// Formats by unit, each made once: making one costs far more than using it.
#[derive(Debug, Clone)]
pub(super) struct Formats {
    locales: Array,
    units: Rc<RefCell<Map<&'static str, Intl::NumberFormat>>>,
}

impl Formats {
    /// In the language of an element: the nearest `lang` around it, else the browser's own.
    pub(super) fn for_element(element: &HtmlElement) -> Self {
        let lang = element.closest("[lang]").ok().flatten().and_then(|around| around.get_attribute("lang"));
        let known = lang.filter(|lang| !lang.is_empty() && is_language(lang));
        let locales = known.iter().map(|lang| JsValue::from_str(lang)).collect();
        Self { locales, units: Rc::default() }
    }

    /// Bytes with three digits, in powers of 1000 as file managers count.
    pub(super) fn bytes(&self, bytes: u64) -> String {
        const UNITS: [&str; 6] = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte"];
        let mut value = bytes as f64;
        let mut units = UNITS.into_iter();
        let mut unit = units.next().unwrap_or_default();
        while value >= 999.5 {
            let Some(next) = units.next() else { break };
            value /= 1000.0;
            unit = next;
        }
        self.format(value, unit)
    }

    /// A time as one number of the unit that fits it.
    pub(super) fn duration(&self, seconds: f64) -> String {
        match seconds {
            s if s < 59.5 => self.format(s.ceil().max(1.0), "second"),
            s if s < 3570.0 => self.format((s / 60.0).round(), "minute"),
            s => self.format(s / 3600.0, "hour"),
        }
    }

    fn format(&self, value: f64, unit: &'static str) -> String {
        let text = self.of(unit).format().call1(&JsValue::UNDEFINED, &value.into());
        text.ok().and_then(|text| text.as_string()).unwrap_or_default()
    }

    fn of(&self, unit: &'static str) -> Intl::NumberFormat {
        if let Some(known) = self.units.borrow().get(unit) {
            return known.clone();
        }
        let options = Object::new();
        let set = |name: &str, value: JsValue| {
            // A fresh object takes a new property.
            let _ = Reflect::set(&options, &name.into(), &value);
        };
        set("style", "unit".into());
        set("unit", unit.into());
        set("unitDisplay", "short".into());
        set("maximumSignificantDigits", 3.into());
        let made = Intl::NumberFormat::new(&self.locales, &options);
        self.units.borrow_mut().insert(unit, made.clone());
        made
    }
}

/// Whether `Intl` knows what to do with a language tag; a wrong one would throw.
fn is_language(lang: &str) -> bool {
    let shape = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let mut parts = lang.split('-');
    let primary = parts.next().is_some_and(|first| matches!(first.len(), 2 | 3) && shape(first));
    // Longer forms have rules of their own; the language and a region are all that numbers need.
    primary && parts.next().is_none_or(|region| region.len() == 2 && shape(region)) && parts.next().is_none()
}
