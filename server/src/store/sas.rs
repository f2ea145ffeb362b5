//! Shared access signatures of Azure Storage ("Create a service SAS", version 2020-12-06 and later).

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use reqwest::Url;

use crate::digest::hmac;

/// The version of the service that requests are signed and carried out with; blocks of 4000 MiB need 2019-12-12.
const VERSION: &str = "2021-12-02";

/// An account of Azure Storage and its key.
#[derive(Clone)]
pub struct Account {
    name: String,
    key: Vec<u8>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Account {
    /// `None` if the key is not the base64 that Azure gives.
    pub fn new(name: &str, key: &str) -> Option<Self> {
        let key = BASE64_STANDARD.decode(key.trim()).ok().filter(|key| !key.is_empty())?;
        Some(Self { name: name.to_owned(), key })
    }

    /// Adds a signature to the URL of a blob that allows what the `permissions` say (`r`, `w`, `d`), until `now` plus
    /// `lifetime`.
    ///
    /// It binds the blob, the time, the permissions and an `rscd` of the URL (the `Content-Disposition` of the answer),
    /// and nothing else: not the block, not its length.
    pub(super) fn sign(
        &self,
        mut url: Url,
        container: &str,
        blob: &str,
        permissions: &str,
        now: Timestamp,
        lifetime: Duration,
    ) -> Url {
        let until = now.saturating_add(lifetime).unwrap_or(now);
        let expiry = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let protocol = if url.scheme() == "https" { "https" } else { "https,http" };
        let resource = format!("/blob/{}/{container}/{blob}", self.name);
        let named = url.query_pairs().find(|(name, _)| name == "rscd");
        let named = named.map(|(_, value)| value.into_owned()).unwrap_or_default();
        // Permissions, start, expiry, resource, identifier, IP, protocol, version, kind of resource, snapshot, encryption
        // scope, and five headers of answers.
        let fields = [
            permissions,
            "",
            &expiry,
            &resource,
            "",
            "",
            protocol,
            VERSION,
            "b",
            "",
            "",
            "",
            &named,
            "",
            "",
            "",
        ];
        let signature = self.tag(&fields.join("\n"));
        url.query_pairs_mut().extend_pairs([
            ("sv", VERSION),
            ("se", &expiry),
            ("sr", "b"),
            ("sp", permissions),
            ("spr", protocol),
            ("sig", &signature),
        ]);
        url
    }

    fn tag(&self, text: &str) -> String {
        BASE64_STANDARD.encode(hmac(&self.key, text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_never_shows_itself_and_has_to_be_base64() {
        let account = Account::new("name", "c2VjcmV0").unwrap();
        assert_eq!(format!("{account:?}"), "Account { name: \"name\", .. }");
        assert!(Account::new("name", "not base64!").is_none() && Account::new("name", "").is_none());
    }

    #[test]
    fn every_bound_thing_changes_the_signature() {
        let account = Account::new("name", "c2VjcmV0").unwrap();
        let url: Url = "https://name.blob.core.windows.net/c/k?comp=block".parse().unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let sign = |blob: &str, permissions: &str, seconds: u64| {
            let signed = account.sign(url.clone(), "c", blob, permissions, now, Duration::from_secs(seconds));
            signed.query_pairs().find(|(name, _)| name == "sig").unwrap().1.into_owned()
        };
        let named: Url = "https://name.blob.core.windows.net/c/k?rscd=attachment".parse().unwrap();
        let named = account.sign(named, "c", "k", "w", now, Duration::from_mins(1));
        let named = named.query_pairs().find(|(name, _)| name == "sig").unwrap().1.into_owned();
        let all = [named, sign("k", "w", 60), sign("l", "w", 60), sign("k", "r", 60), sign("k", "w", 61)];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 44);
            assert!(!all[at + 1..].contains(one));
        }
    }
}
