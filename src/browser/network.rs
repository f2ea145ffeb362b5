//! What the browser says about its network.

use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

/// Both events; which of them it was, `navigator.onLine` tells.
const EVENTS: [&str; 2] = ["online", "offline"];

/// Calls a function whenever the browser says that its network has come or gone, for as long as it lives.
pub struct Network(Closure<dyn FnMut()>);

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    /// Will call `changed`.
    pub fn new(changed: impl Fn() + 'static) -> Self {
        let changed = Closure::new(changed);
        if let Some(window) = web_sys::window() {
            for event in EVENTS {
                // Without the event the network's return is found by trying.
                let _ = window.add_event_listener_with_callback(event, changed.as_ref().unchecked_ref());
            }
        }
        Self(changed)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(window) = web_sys::window() {
            for event in EVENTS {
                let _ = window.remove_event_listener_with_callback(event, self.0.as_ref().unchecked_ref());
            }
        }
    }
}

/// Whether the browser believes to have a network: its no is true, its yes may be a wall without a way out.
pub fn is_online() -> bool {
    web_sys::window().is_none_or(|window| window.navigator().on_line())
}
