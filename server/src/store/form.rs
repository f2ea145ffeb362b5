//! Presigned forms: a policy that the store itself enforces, for one object or for all of a batch.
//!
//! S3: "Browser-Based Uploads Using POST (AWS Signature Version 4)"; Google Cloud Storage: "Policy document". Both take the
//! same document, with names of their own. Browsers send a form without asking the store first, and its range of sizes is
//! one thing that a signed PUT cannot say for more than one file.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use reqwest::Url;
use serde_json::{Value, json};
use windlass_core::map::Map;
use windlass_core::protocol::{Grant, GrantMethod, SecretUrl};

use super::Result;
use crate::time::{millis, now_ms};

/// What a form allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy<'a> {
    pub(crate) keys: Keys<'a>,
    /// Bytes of the object, from and to, both included.
    pub(crate) sizes: (u64, u64),
    /// The MIME type that it gets; may be empty.
    pub(crate) content_type: &'a str,
    /// When the upload ends, milliseconds since the Unix epoch.
    pub(crate) until: u64,
}

/// Where the object may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys<'a> {
    /// Under this key.
    One(&'a str),
    /// Under every key that begins like this.
    Under(&'a str),
}

/// A form that was signed, for whatever its policy allows.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    url: String,
    fields: Map<String, String>,
    content_type: String,
    expires_at: u64,
}

impl Form {
    /// The grant for the object under this key.
    pub(crate) fn grant(&self, key: &str) -> Grant {
        let mut fields = self.fields.clone();
        fields.insert("key".to_owned(), key.to_owned());
        if !self.content_type.is_empty() {
            fields.insert("Content-Type".to_owned(), self.content_type.clone());
        }
        Grant {
            method: GrantMethod::Post,
            fields,
            ..Grant::put(1, SecretUrl::new(self.url.as_str()), Map::new(), self.expires_at)
        }
    }
}

/// How a store's own fields are called, and what it signs with.
pub(super) struct Dialect<'a> {
    /// `x-amz-` or `x-goog-`.
    pub(super) prefix: &'a str,
    pub(super) algorithm: &'a str,
    /// The key's name and the scope of the signature.
    pub(super) credential: String,
    /// Of temporary credentials.
    pub(super) token: Option<&'a str>,
    pub(super) bucket: &'a str,
    /// Where forms of this bucket go.
    pub(super) url: &'a Url,
    /// What every object is stored with.
    pub(super) fields: Vec<(String, String)>,
}

/// The form of a policy, good for as long as is usual but no longer than the upload. `sign` makes the signature of the
/// encoded document, in hexadecimal.
pub(super) fn form(
    dialect: &Dialect<'_>,
    policy: Policy<'_>,
    usual: Duration,
    now: Timestamp,
    sign: impl FnOnce(&str) -> Result<String>,
) -> Result<Form> {
    let now_in_ms = now_ms();
    let left =
        Duration::from_millis(policy.until.saturating_sub(now_in_ms)).min(usual).max(Duration::from_secs(1));
    let expires = now.saturating_add(left).unwrap_or(now);
    let named = |name: &str| format!("{}{name}", dialect.prefix);
    let mut fields = vec![
        (named("algorithm"), dialect.algorithm.to_owned()),
        (named("credential"), dialect.credential.clone()),
        (named("date"), now.strftime("%Y%m%dT%H%M%SZ").to_string()),
    ];
    fields.extend(dialect.fields.iter().cloned());
    fields.extend(dialect.token.map(|token| (named("security-token"), token.to_owned())));
    let document = BASE64_STANDARD.encode(document(dialect.bucket, policy, &fields, expires).to_string());
    fields.push((named("signature"), sign(&document)?));
    fields.push(("policy".to_owned(), document));
    Ok(Form {
        url: dialect.url.to_string(),
        fields: fields.into_iter().collect(),
        content_type: policy.content_type.to_owned(),
        expires_at: now_in_ms.saturating_add(millis(left)),
    })
}

fn document(bucket: &str, policy: Policy<'_>, fields: &[(String, String)], expires: Timestamp) -> Value {
    let mut conditions = vec![
        json!({ "bucket": bucket }),
        match policy.keys {
            Keys::One(key) => json!({ "key": key }),
            Keys::Under(prefix) => json!(["starts-with", "$key", prefix]),
        },
        json!(["content-length-range", policy.sizes.0, policy.sizes.1]),
    ];
    if !policy.content_type.is_empty() {
        conditions.push(json!({ "Content-Type": policy.content_type }));
    }
    conditions.extend(fields.iter().map(|(name, value)| json!({ name.as_str(): value })));
    json!({ "expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), "conditions": conditions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_for_what_its_policy_says() {
        let url = "https://b.example/".parse().unwrap();
        let dialect = Dialect {
            prefix: "x-amz-",
            algorithm: "A",
            credential: "C".to_owned(),
            token: Some("T"),
            bucket: "b",
            url: &url,
            fields: vec![("x-amz-meta-a".to_owned(), "b".to_owned())],
        };
        let until = now_ms() + 10_000;
        let policy = Policy { keys: Keys::Under("k/"), sizes: (3, 9), content_type: "a/b", until };
        let made = form(&dialect, policy, Duration::from_mins(15), Timestamp::now(), |_| Ok("S".to_owned()))
            .unwrap();
        let grant = made.grant("k/1");
        assert!(grant.expires_at <= until && grant.method == GrantMethod::Post);
        let field = |name: &str| grant.fields.get(name).map(String::as_str);
        assert_eq!(
            (field("key"), field("Content-Type"), field("x-amz-signature")),
            (Some("k/1"), Some("a/b"), Some("S"))
        );
        let document = BASE64_STANDARD.decode(field("policy").unwrap()).unwrap();
        let document: Value = serde_json::from_slice(&document).unwrap();
        let conditions = document["conditions"].as_array().unwrap();
        for wanted in [
            json!({ "bucket": "b" }),
            json!(["starts-with", "$key", "k/"]),
            json!(["content-length-range", 3, 9]),
            json!({ "Content-Type": "a/b" }),
            json!({ "x-amz-security-token": "T" }),
            json!({ "x-amz-meta-a": "b" }),
        ] {
            assert!(conditions.contains(&wanted), "{wanted}");
        }
        let unsaid = |name: &String| {
            let own = ["policy", "x-amz-signature", "key"];
            !own.contains(&name.as_str()) && !conditions.iter().any(|condition| condition.get(name).is_some())
        };
        assert_eq!(
            grant.fields.keys().filter(|name| unsaid(name)).count(),
            0,
            "stores refuse a field that no condition names"
        );
    }
}
