//! A form as Google Cloud Storage takes it ("Policy document"): read, and held to its policy.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::Value;

/// What a form brought.
pub(crate) struct Form {
    fields: BTreeMap<String, String>,
    /// The file's bytes.
    pub file: Bytes,
}

impl Form {
    /// Reads a body of this content type (RFC 7578). The file has to be the last field.
    pub(crate) fn read(content_type: &str, body: &Bytes) -> Result<Self> {
        let boundary = content_type.strip_prefix("multipart/form-data; boundary=").context("not a form")?;
        let mark = format!("--{}", boundary.trim_matches('"'));
        let mut fields = BTreeMap::new();
        let mut at = mark.len();
        loop {
            let rest = &body[at.min(body.len())..];
            let head = find(rest, b"\r\n\r\n").context("a field without a head")?;
            let name = std::str::from_utf8(&rest[..head])?;
            let name = name.split("name=\"").nth(1).and_then(|name| name.split('"').next());
            let name = name.context("a field without a name")?.to_owned();
            let begins = at + head + 4;
            let len = find(&body[begins..], format!("\r\n{mark}").as_bytes()).context("no end")?;
            let value = body.slice(begins..begins + len);
            if name == "file" {
                return Ok(Self { fields, file: value });
            }
            fields.insert(name.to_lowercase(), std::str::from_utf8(&value)?.to_owned());
            at = begins + len + 2 + mark.len();
        }
    }

    /// A field's text.
    pub(crate) fn field(&self, name: &str) -> Result<&str> {
        Ok(self.fields.get(name).with_context(|| format!("{name} is missing"))?)
    }

    /// Whether its policy allows it, but for the signature.
    pub(crate) fn check(&self, bucket: &str) -> Result<()> {
        let policy: Value = serde_json::from_slice(&BASE64_STANDARD.decode(self.field("policy")?)?)?;
        let expires: jiff::Timestamp = policy["expiration"].as_str().context("no expiration")?.parse()?;
        ensure!(jiff::Timestamp::now() <= expires, "the policy has expired");
        let mut named = vec!["policy".to_owned(), "x-goog-signature".to_owned()];
        for condition in policy["conditions"].as_array().context("no conditions")? {
            if let Some([how, what, value]) = condition.as_array().map(Vec::as_slice) {
                if how == "content-length-range" {
                    let len = self.file.len() as u64;
                    let within = what.as_u64().zip(value.as_u64());
                    ensure!(within.is_some_and(|(from, to)| (from..=to).contains(&len)), "{len} bytes");
                    continue;
                }
                let name = what.as_str().and_then(|name| name.strip_prefix('$')).context("a field's name")?;
                let begins = value
                    .as_str()
                    .is_some_and(|value| self.field(name).is_ok_and(|field| field.starts_with(value)));
                ensure!(how == "starts-with" && begins, "{name} begins otherwise");
                named.push(name.to_lowercase());
                continue;
            }
            for (name, value) in condition.as_object().context("an odd condition")? {
                let name = name.to_lowercase();
                let found = if name == "bucket" { bucket } else { self.field(&name)? };
                ensure!(value == found, "{name} is another");
                named.push(name);
            }
        }
        let other = self.fields.keys().find(|name| !named.contains(name));
        ensure!(other.is_none(), "no condition names {other:?}");
        Ok(())
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
