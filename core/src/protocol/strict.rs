//! What a request may not be although its type could hold it: for serde's side, which only servers use.
//!
//! Numbers outside the contract's range, an array where an object belongs (serde reads a struct from either), and a
//! name that stands twice.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::map::Map;

/// The largest whole number that JavaScript holds exactly, `Number.MAX_SAFE_INTEGER`.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// A message that has to be a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A list of objects.
pub(super) fn objects<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let items = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(items.into_iter().map(|Object(item)| item).collect())
}

/// A number of bytes.
pub(super) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ranged::<0, MAX_SAFE>::deserialize(deserializer).map(|Ranged(bytes)| bytes)
}

/// A number of bytes or a time, or `null`.
pub(super) fn whole_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let whole = Option::<Ranged<0, MAX_SAFE>>::deserialize(deserializer)?;
    Ok(whole.map(|Ranged(number)| number))
}

/// The number of a part, from 1.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ranged::<1, { u32::MAX as u64 }>::deserialize(deserializer).map(|Ranged(number)| number as u32)
}

/// The number of a part, or 0, or `null`.
pub(super) fn number_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let number = Option::<Ranged<0, { u32::MAX as u64 }>>::deserialize(deserializer)?;
    Ok(number.map(|Ranged(number)| number as u32))
}

/// A whole number in a range, both ends included.
struct Ranged<const MIN: u64, const MAX: u64>(u64);

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Ranged<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(RangedVisitor::<MIN, MAX>).map(Self)
    }
}

struct RangedVisitor<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> Visitor<'_> for RangedVisitor<MIN, MAX> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        let in_range = (MIN..=MAX).contains(&number);
        if in_range { Ok(number) } else { Err(E::invalid_value(Unexpected::Unsigned(number), &self)) }
    }
}

/// An object that maps names to texts, each name once.
pub(super) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, String>, D::Error> {
    deserializer.deserialize_map(Texts)
}

struct Texts;

impl<'de> Visitor<'de> for Texts {
    type Value = Map<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut texts = Map::new();
        while let Some((name, text)) = map.next_entry()? {
            if texts.insert(name, text).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CompleteRequest, CreateRequest, ListRequest, NewFile, SignRequest};
    use super::*;

    #[track_caller]
    fn refused<T: for<'de> Deserialize<'de> + fmt::Debug>(json: &str, words: &str) {
        let error = serde_json::from_str::<Object<T>>(json).unwrap_err().to_string();
        assert!(error.contains(words), "{json}: {error}");
    }

    #[test]
    fn an_array_is_no_object() {
        refused::<CreateRequest>("[[]]", "expected an object");
        refused::<CreateRequest>(r#"{"files":[["r","n"]]}"#, "expected an object");
        refused::<SignRequest>(r#"{"uploads":[{"id":"i","parts":[[1,2]]}]}"#, "expected an object");
        refused::<CompleteRequest>(
            r#"{"uploads":[{"id":"i","size":1,"parts":[[1]]}]}"#,
            "expected an object",
        );
    }

    #[test]
    fn numbers_have_their_range() {
        for size in ["-1", "1.5", "1e3", "\"1\"", "9007199254740992", "18446744073709551616", "true", "[]"] {
            let file = format!(r#"{{"files":[{{"ref":"r","name":"n","size":{size}}}]}}"#);
            refused::<CreateRequest>(&file, "expected a whole number from 0 to 9007199254740991");
        }
        for number in ["0", "-1", "4294967296", "null"] {
            let part = format!(r#"{{"uploads":[{{"id":"i","parts":[{{"number":{number},"size":1}}]}}]}}"#);
            refused::<SignRequest>(&part, "expected a whole number from 1 to 4294967295");
        }
        refused::<ListRequest>(r#"{"id":"i","after":4294967296}"#, "from 0 to 4294967295");
    }

    #[test]
    fn nothing_stands_twice() {
        refused::<CreateRequest>(r#"{"files":[],"files":[]}"#, "duplicate field `files`");
        let metadata = r#"{"files":[{"ref":"r","name":"n","metadata":{"a":"1","a":"2"}}]}"#;
        refused::<CreateRequest>(metadata, "a name stands twice");
    }

    #[test]
    fn what_may_be_absent_may_be_absent_and_null() {
        for file in [r#"{"ref":"r","name":"n"}"#, r#"{"ref":"r","name":"n","size":null,"lastModified":null}"#]
        {
            let Object(file) = serde_json::from_str::<Object<NewFile>>(file).unwrap();
            assert_eq!((file.size, file.last_modified), (None, None));
        }
        let Object(list) = serde_json::from_str::<Object<ListRequest>>(r#"{"id":"i","after":0}"#).unwrap();
        assert_eq!(list.after, Some(0));
    }
}
