//! An upload, and the id that stands for it.

use std::time::SystemTime;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use hmac::Mac as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::contract::{Answer, need, problem};
use crate::store::APP;

const MAX_PART: u64 = 5 << 30;

/// An upload, as its id says.
#[derive(Serialize, Deserialize)]
pub struct Upload {
    pub key: String,
    /// The store's own id of an upload in parts.
    pub store: Option<String>,
    pub size: u64,
    pub kind: String,
    /// When it ends, milliseconds since the Unix epoch.
    pub end: u64,
}

impl Upload {
    pub fn new(name: &str, kind: &str, size: u64, end: u64) -> Answer<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| problem("internal"))?;
        let plain = name.rsplit(['/', '\\']).next().unwrap_or_default().chars();
        let plain: Vec<char> = plain.filter(|c| c.is_alphanumeric() || " ._-".contains(*c)).collect();
        let plain: String = plain.iter().skip(plain.len().saturating_sub(80)).collect();
        let plain = Some(plain.trim_matches([' ', '.'])).filter(|name| !name.is_empty()).unwrap_or("file");
        let key = format!("{:032x}/{plain}", u128::from_le_bytes(random));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "!#$&^_.+-".contains(c);
        let is_token = |text: &str| !text.is_empty() && text.chars().all(is_plain);
        let is_mime = |(one, two): (&str, &str)| is_token(one) && is_token(two);
        let kind = if kind.len() < 128 && kind.split_once('/').is_some_and(is_mime) {
            kind
        } else {
            "application/octet-stream"
        };
        Ok(Self { key, store: None, size, kind: kind.to_owned(), end })
    }

    pub fn seal(&self) -> String {
        let payload = BASE64.encode(json!(self).to_string());
        format!("{payload}.{}", BASE64.encode(APP.mac.clone().chain_update(&payload).finalize().into_bytes()))
    }
    pub fn open(id: &str, now: u64) -> Answer<Self> {
        let (payload, tag) = id.split_once('.').ok_or(problem("id-refused"))?;
        let tag = BASE64.decode(tag).unwrap_or_default();
        // In constant time.
        need(APP.mac.clone().chain_update(payload).verify_slice(&tag).is_ok(), "id-refused")?;
        let upload = BASE64.decode(payload).ok().and_then(|json| serde_json::from_slice::<Self>(&json).ok());
        let upload = upload.ok_or(problem("id-refused"))?;
        need(now < upload.end, "upload-expired").map(|()| upload)
    }

    /// Parts are of one size but for the last, which is no larger: none goes beyond the file.
    pub fn has(&self, number: u16, size: u64) -> bool {
        let fits = u64::from(number).checked_mul(size).is_some_and(|end| end <= self.size);
        match self.store {
            Some(_) => (1..=10_000).contains(&number) && (1..=MAX_PART).contains(&size) && fits,
            None => (number, size) == (1, self.size),
        }
    }
}

pub fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64
}
