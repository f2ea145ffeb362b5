//! Which parts are stored, with the entity tags that `complete` needs, in 16 bytes a part.

use crate::map::Map;

/// A tag as S3 writes it for a plain part: the MD5 of its bytes in quotes, in hexadecimal.
type Tag = [u8; 16];

/// Three values that no part's MD5 will ever be; should one be, it is kept among the odd ones.
const ABSENT: Tag = [0; 16];
const UNTAGGED: Tag = [0xff; 16];
const ODD: Tag = [0xfe; 16];

/// The stored parts of one upload.
#[derive(Debug, Default)]
pub(super) struct StoredParts {
    /// Part 1 first.
    tags: Vec<Tag>,
    /// Tags of any other form.
    odd: Map<u32, Box<str>>,
    count: usize,
    /// Parts that there will be: their room is taken with the first one, since growing would take up to twice as much.
    most: usize,
}

impl StoredParts {
    /// None yet, of so many parts.
    pub(super) fn of(parts: u32) -> Self {
        Self { most: parts as usize, ..Self::default() }
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        self.tag(number) != ABSENT
    }

    /// Keeps a part; tells whether it is new.
    pub(super) fn insert(&mut self, number: u32, etag: Option<&str>) -> bool {
        let Some(at) = (number as usize).checked_sub(1) else { return false };
        let tag = match etag {
            None => UNTAGGED,
            Some(etag) => md5(etag).unwrap_or(ODD),
        };
        if let (ODD, Some(etag)) = (tag, etag) {
            self.odd.insert(number, etag.into());
        } else {
            self.odd.remove(&number);
        }
        if self.tags.len() <= at {
            self.tags.reserve_exact(self.most.saturating_sub(self.tags.len()));
            self.tags.resize(at + 1, ABSENT);
        }
        let is_new = self.tags.get_mut(at).is_some_and(|known| std::mem::replace(known, tag) == ABSENT);
        self.count += usize::from(is_new);
        is_new
    }

    /// The part's tag, if it has one.
    pub(super) fn etag(&self, number: u32) -> Option<String> {
        match self.tag(number) {
            ABSENT | UNTAGGED => None,
            ODD => self.odd.get(&number).map(|tag| String::from(&**tag)),
            tag => Some(text(tag)),
        }
    }

    /// The stored parts in order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        (1..).zip(&self.tags).filter(|(_, tag)| **tag != ABSENT).map(|(number, _)| number)
    }

    fn tag(&self, number: u32) -> Tag {
        let at = (number as usize).checked_sub(1);
        at.and_then(|at| self.tags.get(at)).copied().unwrap_or(ABSENT)
    }
}

/// A tag without its quotes, which some stores leave out in a list.
pub(super) fn unquoted(tag: &str) -> &str {
    tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag)
}

/// The bytes of a tag, if [`text`] would write them the very same way.
fn md5(etag: &str) -> Option<Tag> {
    let digits: &[u8; 32] = etag.strip_prefix('"')?.strip_suffix('"')?.as_bytes().try_into().ok()?;
    let mut tag = ABSENT;
    for (byte, pair) in tag.iter_mut().zip(digits.as_chunks::<2>().0) {
        for digit in pair {
            *byte = *byte << 4
                | match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
        }
    }
    (![ABSENT, UNTAGGED, ODD].contains(&tag)).then_some(tag)
}

fn text(tag: Tag) -> String {
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 });
    let mut text = String::from('"');
    for byte in tag {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_tag_comes_back_as_it_was(tags in proptest::collection::vec(
            proptest::option::of(prop_oneof!["\"[0-9a-f]{32}\"", "\"[0-9A-Fa-f]{32}\"", "[0-9a-f]{32}", ".{0,40}"]), 0..20,
        )) {
            let mut parts = StoredParts::default();
            for (number, tag) in (1..).zip(&tags).filter(|(number, _)| number % 3 != 0) {
                prop_assert!(parts.insert(number, Some("first")));
                prop_assert!(!parts.insert(number, tag.as_deref()));
            }
            for (number, tag) in (1..).zip(&tags) {
                prop_assert_eq!(parts.contains(number), number % 3 != 0);
                if number % 3 != 0 {
                    prop_assert_eq!(&parts.etag(number), tag);
                }
            }
            prop_assert_eq!(parts.numbers().count(), parts.len());
        }
    }

    #[test]
    fn the_values_with_a_meaning_are_tags_like_any_other() {
        let mut parts = StoredParts::default();
        for (number, tag) in (1..).zip([ABSENT, UNTAGGED, ODD].map(text)) {
            parts.insert(number, Some(&tag));
            assert_eq!(parts.etag(number), Some(tag));
        }
        assert_eq!((parts.len(), parts.insert(0, None)), (3, false));
    }
}
