//! The store: what it holds, what it was signed for, and how it says no.

use std::collections::BTreeMap;
use std::ops::Range;

use windlass_core::machine::Stored;
use windlass_core::protocol::{Grant, GrantMethod, Method, Provider, SecretUrl};
use windlass_core::retry::PutFailure;

use crate::dialect::No;
use crate::scenario::{Etags, StoreSpec};

/// The entity tag of no bytes: the MD5 of nothing.
const EMPTY_ETAG: &str = "\"d41d8cd98f00b204e9800998ecf8427e\"";

/// A session keeps multiples of so many bytes, but for the end.
pub(crate) const UNIT: u64 = 256 << 10;

/// A word of every presigned URL that nobody may ever see.
pub(crate) const SECRET: &str = "X-Amz-Signature";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// It is an object.
    Done,
    /// Given up by the page.
    Aborted,
    /// Lost by the store.
    Vanished,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Which bytes of the file.
    pub(crate) range: Range<u64>,
    /// Which version of the file.
    pub(crate) version: u32,
    pub(crate) etag: String,
}

/// An upload, or the object that it became.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) file: u32,
    pub(crate) size: u64,
    pub(crate) method: Method,
    pub(crate) state: State,
    pub(crate) parts: BTreeMap<u32, Part>,
    /// Whether the page knows of it; one that was loaded anew does not.
    pub(crate) told: bool,
    /// Whether the page asked to give it up, and that call failed by an injected fault.
    pub(crate) abort_failed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Signed {
    upload: usize,
    number: u32,
    expires_at: u64,
    /// Whether a preflight was answered for its URL.
    preflighted: bool,
}

/// The body of a PUT, as far as it matters.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) signature: usize,
    pub(crate) range: Range<u64>,
    pub(crate) version: u32,
}

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) spec: StoreSpec,
    pub(crate) uploads: Vec<Upload>,
    signed: Vec<Signed>,
    puts: u64,
    forms: bool,
    /// Whether a preflight was answered for its forms.
    asked: bool,
}

impl Store {
    pub(crate) const fn new(spec: StoreSpec, forms: bool) -> Self {
        Self { spec, uploads: Vec::new(), signed: Vec::new(), puts: 0, forms, asked: false }
    }

    pub(crate) fn create(&mut self, file: u32, size: u64, method: Method) -> usize {
        let (parts, state) = (BTreeMap::new(), State::Open);
        let upload = Upload { file, size, method, state, parts, told: false, abort_failed: false };
        self.uploads.push(upload);
        self.uploads.len() - 1
    }

    pub(crate) fn sign(&mut self, upload: usize, number: u32, expires_at: u64) -> Grant {
        self.signed.push(Signed { upload, number, expires_at, preflighted: false });
        let query = format!("partNumber={number}&{SECRET}={}", self.signed.len() - 1);
        let url = format!("https://store.example/u{upload}?{query}");
        let grant = Grant::put(number, SecretUrl::new(url), windlass_core::map::Map::new(), expires_at);
        let is_form = self.forms && self.uploads[upload].method == Method::Single;
        if is_form { Grant { method: GrantMethod::Post, ..grant } } else { grant }
    }

    /// The signature in a grant's URL.
    pub(crate) fn signature(grant: &Grant) -> usize {
        let (_, number) = grant.url.reveal().rsplit_once('=').expect("the backend made this URL");
        number.parse().expect("signatures are numbers")
    }

    /// Remembers the preflight of a URL; whether it is the first. Forms have one URL.
    pub(crate) fn preflight(&mut self, signature: usize) -> bool {
        if self.forms && self.upload_of(signature).method == Method::Single {
            return !std::mem::replace(&mut self.asked, true);
        }
        !std::mem::replace(&mut self.signed[signature].preflighted, true)
    }

    /// Judges a request by its headers, at `now` of the backend's clock.
    pub(crate) fn admit(&self, signature: usize, now: u64) -> Result<(), PutFailure> {
        let now = now.saturating_add_signed(self.spec.ahead);
        if self.signed[signature].expires_at < now { Err(No::Expired.of(self.spec.provider)) } else { Ok(()) }
    }

    /// Stores a part.
    pub(crate) fn put(&mut self, body: &Body, empty: bool) -> Result<Stored, PutFailure> {
        self.puts += 1;
        let Signed { upload, number, .. } = self.signed[body.signature];
        let upload = &mut self.uploads[upload];
        let is_gone = upload.state != State::Open;
        if upload.method == Method::Resumable {
            let arrived = if empty { body.range.start } else { body.range.end };
            return upload.piece(body, arrived).map_err(|no| no.of(self.spec.provider))?;
        }
        if is_gone && upload.method == Method::Multipart {
            return Err(No::Gone.of(self.spec.provider));
        }
        let range = if empty { body.range.start..body.range.start } else { body.range.clone() };
        let etag = match self.spec.etags {
            _ if range.is_empty() => EMPTY_ETAG.to_owned(),
            Etags::OfPut => format!("\"put-{}\"", self.puts),
            _ => format!("\"{}-{}-v{}\"", range.start, range.end, body.version),
        };
        // A single object that was given up is there again; `Aborted` says so still, as nobody can know.
        if !is_gone {
            upload.parts.insert(number, Part { range, version: body.version, etag: etag.clone() });
        }
        // Put Block answers without a tag.
        let is_told = self.spec.etags != Etags::Hidden && self.spec.provider != Provider::Azure;
        Ok(Stored { etag: is_told.then_some(etag) })
    }

    /// A piece of a session breaks off: what has arrived of it is kept, in whole units.
    pub(crate) fn breaks_off(&mut self, body: &Body, arrived: u64) {
        let upload = self.upload_of(body.signature);
        if upload.method == Method::Resumable {
            // Nobody hears the answer.
            let _ = upload.piece(body, body.range.start + arrived);
        }
    }

    /// The upload that a signature is for.
    pub(crate) fn upload_of(&mut self, signature: usize) -> &mut Upload {
        &mut self.uploads[self.signed[signature].upload]
    }

    /// The upload with an id (or key) that this store's backend gave.
    pub(crate) fn find(&self, id: &str) -> Option<usize> {
        let at = id.strip_prefix('u')?.parse().ok()?;
        (at < self.uploads.len()).then_some(at)
    }
}

impl Upload {
    /// What a session says to a piece, or to a question, which has no bytes.
    fn piece(&mut self, body: &Body, arrived: u64) -> Result<Result<Stored, PutFailure>, No> {
        let is_question = body.range.is_empty() && self.size > 0;
        match self.state {
            State::Open => {}
            State::Done => return Ok(Ok(Stored::default())),
            State::Aborted | State::Vanished => return Err(No::Gone),
        }
        let kept = self.stored();
        if !is_question && body.range.start > kept {
            return Err(No::Gap);
        }
        let until = if arrived == self.size { arrived } else { arrived / UNIT * UNIT };
        if until > kept {
            let part = Part { range: kept..until, version: body.version, etag: String::new() };
            self.parts.insert(self.parts.len() as u32 + 1, part);
        }
        let kept = self.stored();
        if kept == self.size {
            return Ok(Ok(Stored::default()));
        }
        Ok(Err(PutFailure::Incomplete(kept.checked_sub(1).map(|last| format!("bytes=0-{last}")))))
    }

    /// Bytes of all parts.
    pub(crate) fn stored(&self) -> u64 {
        self.parts.values().map(|part| part.range.end - part.range.start).sum()
    }

    /// Why this is not the whole file in one version, if it is not.
    pub(crate) fn flaw(&self) -> Option<String> {
        let mut next = 0;
        for (number, part) in &self.parts {
            if part.range.start != next {
                return Some(format!("part {number} holds bytes {:?}, not from {next} on", part.range));
            }
            next = part.range.end;
        }
        let versions: Vec<_> = self.parts.values().map(|part| part.version).collect();
        if next != self.size {
            Some(format!("it has {next} bytes of {}", self.size))
        } else if versions.windows(2).any(|pair| pair[0] != pair[1]) {
            Some(format!("it joins several versions of the file: {versions:?}"))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(etags: Etags, ahead: i64) -> Store {
        Store::new(StoreSpec { provider: Provider::S3, etags, think: 0, ahead, burst: 0 }, false)
    }

    fn body(signature: usize, range: Range<u64>, version: u32) -> Body {
        Body { signature, range, version }
    }

    #[test]
    fn a_grant_is_judged_by_the_stores_own_clock() {
        for (ahead, last) in [(0, 1000), (100, 900), (-100, 1100)] {
            let mut store = store(Etags::OfContent, ahead);
            let upload = store.create(1, 10, Method::Multipart);
            let grant = store.sign(upload, 1, 1000);
            let signature = Store::signature(&grant);
            assert!(store.admit(signature, last).is_ok());
            assert!(store.admit(signature, last + 1).is_err());
        }
    }

    #[test]
    fn an_object_is_whole_if_its_parts_are_one_version_of_every_byte() {
        let mut store = store(Etags::OfContent, 0);
        let upload = store.create(1, 10, Method::Multipart);
        for number in [1, 2] {
            store.sign(upload, number, 1000);
        }
        store.put(&body(0, 0..5, 1), false).unwrap();
        assert!(store.uploads[0].flaw().unwrap().contains("5 bytes of 10"));
        store.put(&body(1, 6..10, 1), false).unwrap();
        assert!(store.uploads[0].flaw().unwrap().contains("part 2"));
        store.put(&body(1, 5..10, 2), false).unwrap();
        assert!(store.uploads[0].flaw().unwrap().contains("versions"));
        store.put(&body(1, 5..10, 1), false).unwrap();
        assert_eq!(store.uploads[0].flaw(), None);
    }

    #[test]
    fn an_upload_that_is_gone_takes_no_part() {
        let mut store = store(Etags::OfContent, 0);
        let upload = store.create(1, 10, Method::Multipart);
        store.sign(upload, 1, 1000);
        store.uploads[upload].state = State::Aborted;
        assert_eq!(store.put(&body(0, 0..10, 1), false), Err(No::Gone.of(Provider::S3)));
    }

    #[test]
    fn entity_tags_are_of_the_content_of_the_put_or_hidden() {
        let tag = |etags, times| {
            let mut store = store(etags, 0);
            let upload = store.create(1, 10, Method::Single);
            store.sign(upload, 1, 1000);
            (0..times).map(|_| store.put(&body(0, 0..10, 1), false).unwrap().etag).collect::<Vec<_>>()
        };
        let same = tag(Etags::OfContent, 2);
        assert_eq!(same[0], same[1]);
        let other = tag(Etags::OfPut, 2);
        assert_ne!(other[0], other[1]);
        assert_eq!(tag(Etags::Hidden, 1), [None]);
    }
}
