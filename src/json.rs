//! JSON by the browser's own parser, which is there already and faster than any that we could bring.

use js_sys::{Array, JSON, Object};
use serde::Serialize;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::{JsCast, JsValue};
use windlass_core::protocol::json::Json;

/// How deep lists and objects may be nested. The contract needs 6; without a limit, an answer made of brackets
/// would exhaust the stack.
const MAX_DEPTH: u32 = 16;

/// Reads a text, or `None` if it is not JSON.
pub fn parse(text: &str) -> Option<Json> {
    from_js(&JSON::parse(text).ok()?)
}

/// Writes a text. `None` is for what cannot be written, and there is nothing like that in a [`Json`].
pub fn stringify(json: &Json) -> Option<String> {
    JSON::stringify(&to_js(json)).ok().map(String::from)
}

/// A value as JavaScript has it.
pub fn to_js(json: &Json) -> JsValue {
    // Only a number too large for JavaScript could fail, and a `Json` has none.
    json.serialize(&Serializer::json_compatible()).unwrap_or(JsValue::NULL)
}

/// A plain value of JavaScript; `undefined` becomes `null`, and what JSON cannot say makes it `None`.
pub fn from_js(value: &JsValue) -> Option<Json> {
    read(value, MAX_DEPTH)
}

fn read(value: &JsValue, depth: u32) -> Option<Json> {
    if value.is_null() || value.is_undefined() {
        return Some(Json::Null);
    }
    if let Some(text) = value.as_string() {
        return Some(Json::Text(text));
    }
    if let Some(number) = value.as_f64() {
        return Some(Json::Number(number));
    }
    if let Some(value) = value.as_bool() {
        return Some(Json::Bool(value));
    }
    let depth = depth.checked_sub(1)?;
    if Array::is_array(value) {
        let items = value.unchecked_ref::<Array>().iter().map(|item| read(&item, depth));
        return items.collect::<Option<_>>().map(Json::List);
    }
    if !value.is_object() {
        return None;
    }
    let mut fields = Vec::new();
    for entry in Object::entries(value.unchecked_ref()).iter() {
        let entry: Array = entry.unchecked_into();
        fields.push((entry.get(0).as_string()?, read(&entry.get(1), depth)?));
    }
    Some(Json::Object(fields))
}
