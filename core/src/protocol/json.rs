//! JSON as a tree, between the browser's parser and the contract's types.
//!
//! The wasm reads and writes this one type; serde's derived code for each type of the contract would cost it 25 KB.
//! What reads a field here says which one is wrong, and never what was in it.

use std::cell::Cell;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::map::Map;

/// The largest whole number that JSON carries unharmed through JavaScript, `Number.MAX_SAFE_INTEGER`.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// A JSON value (RFC 8259), with numbers as JavaScript has them.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Json {
    /// `null`, and a field that is not there.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Self>),
    /// An object, its fields in their order.
    Object(Vec<(String, Self)>),
}

/// Writes an object field by field.
#[derive(Debug, Default)]
pub struct Object(Vec<(String, Json)>);

impl Object {
    /// Adds a field.
    pub fn put(&mut self, name: &str, value: Json) {
        self.0.push((name.to_owned(), value));
    }

    /// Adds a string.
    pub fn text(&mut self, name: &str, text: &str) {
        self.put(name, Json::Text(text.to_owned()));
    }

    /// Adds a string, if there is one.
    pub fn text_if_any(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// Adds a string, or `null`.
    pub fn text_or_null(&mut self, name: &str, text: Option<&str>) {
        self.put(name, text.map_or(Json::Null, |text| Json::Text(text.to_owned())));
    }

    /// Adds a number: bytes and milliseconds stay far below 2^53, where it would no longer be exact.
    pub fn number(&mut self, name: &str, number: u64) {
        self.put(name, Json::Number(number as f64));
    }

    /// Adds a number, or `null`.
    pub fn number_or_null(&mut self, name: &str, number: Option<u64>) {
        self.put(name, number.map_or(Json::Null, |number| Json::Number(number as f64)));
    }

    /// Adds an object that maps names to strings.
    pub fn texts(&mut self, name: &str, texts: &Map<String, String>) {
        let mut object = Self::default();
        for (name, text) in texts.iter() {
            object.text(name, text);
        }
        self.put(name, object.into());
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, value))),
        }
    }
}

/// What is wrong with a message: the field and the rule it breaks, without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    field: &'static str,
    rule: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field)?;
        f.write_str(" ")?;
        f.write_str(self.rule)
    }
}

/// Reads a message. A field that is wrong reads as empty and is remembered, so that the code that reads has no
/// way out in its middle; whoever asked looks at the end whether the result may be used.
#[derive(Debug, Default)]
pub struct Reader(Cell<Option<Malformed>>);

impl Reader {
    /// Reads `json` by `read`, or tells the first thing that is wrong with it.
    pub fn read<T>(json: Json, name: &'static str, read: fn(&mut Fields<'_>) -> T) -> Result<T, Malformed> {
        let reader = Self::default();
        let value = read(&mut reader.fields(json, name));
        reader.0.get().map_or(Ok(value), Err)
    }

    fn fields(&self, json: Json, name: &'static str) -> Fields<'_> {
        let fields = match json {
            Json::Object(fields) => fields,
            _ => self.wrong(name, "is not an object"),
        };
        Fields { fields, reader: self }
    }

    fn wrong<T: Default>(&self, field: &'static str, rule: &'static str) -> T {
        if self.0.get().is_none() {
            self.0.set(Some(Malformed { field, rule }));
        }
        T::default()
    }
}

/// An object whose fields are taken out one by one. What is left at the end is of no interest.
#[derive(Debug)]
pub struct Fields<'a> {
    fields: Vec<(String, Json)>,
    reader: &'a Reader,
}

impl Fields<'_> {
    /// Takes a field out; one that is not there is `null`.
    fn take(&mut self, name: &str) -> Json {
        let field = self.fields.iter_mut().find(|(known, _)| known == name);
        field.map(|(_, value)| std::mem::take(value)).unwrap_or_default()
    }

    /// Remembers that `field` breaks `rule`, which reads on after its name: "is not a number".
    pub fn wrong<T: Default>(&self, field: &'static str, rule: &'static str) -> T {
        self.reader.wrong(field, rule)
    }

    /// A string, if the field is there.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name) {
            Json::Text(text) => Some(text),
            Json::Null => None,
            _ => self.wrong(name, "is not a string"),
        }
    }

    /// A string that has to be there.
    pub fn needed_text(&mut self, name: &'static str) -> String {
        self.text(name).unwrap_or_else(|| self.wrong(name, "is missing"))
    }

    /// `true` or `false`, if the field is there.
    pub fn bool(&mut self, name: &'static str) -> Option<bool> {
        match self.take(name) {
            Json::Bool(value) => Some(value),
            Json::Null => None,
            _ => self.wrong(name, "is not true or false"),
        }
    }

    /// A whole number from 0 to 2^53 - 1, if the field is there.
    pub fn number(&mut self, name: &'static str) -> Option<u64> {
        match self.take(name) {
            Json::Number(n) if (0.0..=MAX_SAFE).contains(&n) && n.fract() == 0.0 => Some(n as u64),
            Json::Null => None,
            _ => self.wrong(name, "is not a whole number"),
        }
    }

    /// A whole number that has to be there.
    pub fn needed_number(&mut self, name: &'static str) -> u64 {
        self.number(name).unwrap_or_else(|| self.wrong(name, "is missing"))
    }

    /// A whole number from 0 to 2^32 - 1 that has to be there, such as that of a part.
    pub fn needed_u32(&mut self, name: &'static str) -> u32 {
        let number = self.needed_number(name);
        u32::try_from(number).unwrap_or_else(|_| self.wrong(name, "is too large"))
    }

    /// The items of an array, each read by `read`; none if the field is not there.
    pub fn list<T>(&mut self, name: &'static str, read: fn(&mut Fields<'_>) -> T) -> Vec<T> {
        let items = match self.take(name) {
            Json::List(items) => items,
            Json::Null => Vec::new(),
            _ => self.wrong(name, "is not a list"),
        };
        items.into_iter().map(|item| read(&mut self.reader.fields(item, name))).collect()
    }

    /// The same, but the field has to be there, be it an empty array.
    pub fn needed_list<T>(&mut self, name: &'static str, read: fn(&mut Fields<'_>) -> T) -> Vec<T> {
        if !self.fields.iter().any(|(known, _)| known == name) {
            self.wrong::<()>(name, "is missing");
        }
        self.list(name, read)
    }

    /// An object read by `read`, if the field is there.
    pub fn object<T>(&mut self, name: &'static str, read: fn(&mut Fields<'_>) -> T) -> Option<T> {
        match self.take(name) {
            Json::Null => None,
            json => Some(read(&mut self.reader.fields(json, name))),
        }
    }

    /// An object that maps names to strings; empty if the field is not there.
    pub fn texts(&mut self, name: &'static str) -> Map<String, String> {
        let fields = match self.take(name) {
            Json::Object(fields) => fields,
            Json::Null => Vec::new(),
            _ => self.wrong(name, "is not an object"),
        };
        let mut texts = Map::new();
        for (key, value) in fields {
            match value {
                Json::Text(text) => drop(texts.insert(key, text)),
                _ => self.wrong(name, "has a value that is no string"),
            }
        }
        texts
    }
}
