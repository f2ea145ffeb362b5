//! Shared access signatures of Azure Storage ("Create a service SAS", "Create a user delegation SAS", versions 2020-12-06 to
//! 2025-05-05, which have the same fields).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use reqwest::Url;

use super::entra::Identity;
use crate::digest::hmac;
use crate::time::left;

/// The version of the service that requests are signed and carried out with; blocks of 4000 MiB need 2019-12-12.
pub(super) const VERSION: &str = "2021-12-02";

/// An account of Azure Storage, and by what the server may use it.
#[derive(Clone)]
pub struct Account {
    pub(super) name: String,
    pub(super) right: Right,
}

/// By what an account may be used.
#[derive(Clone)]
pub(super) enum Right {
    /// The account's key.
    Key(Vec<u8>),
    /// An identity that the account has given a role.
    Identity(Identity),
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
        Some(Self { name: name.to_owned(), right: Right::Key(key) })
    }

    /// An account without a key: signatures are made with one that it lends this identity.
    pub fn of_identity(name: &str, identity: Identity) -> Self {
        Self { name: name.to_owned(), right: Right::Identity(identity) }
    }
}

/// A key that an account lends an identity ("Get User Delegation Key"), as it has to be named in what it signs.
pub(super) struct LentKey {
    pub(super) object_id: String,
    pub(super) tenant_id: String,
    pub(super) start: String,
    pub(super) expiry: String,
    pub(super) service: String,
    pub(super) version: String,
    pub(super) value: Vec<u8>,
    /// Its end.
    pub(super) until: Timestamp,
}

/// What signs for an account. Every grant takes one, so that a clone is cheap.
#[derive(Clone)]
pub(super) struct Signer {
    account: Arc<str>,
    key: Key,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("account", &self.account).finish_non_exhaustive()
    }
}

#[derive(Clone)]
enum Key {
    Own(Arc<[u8]>),
    Lent(Arc<LentKey>),
}

impl Signer {
    /// By the account's own key.
    pub(super) fn own(account: &str, key: Vec<u8>) -> Self {
        Self { account: account.into(), key: Key::Own(key.into()) }
    }

    /// By a lent one.
    pub(super) fn lent(account: &str, key: LentKey) -> Self {
        Self { account: account.into(), key: Key::Lent(Arc::new(key)) }
    }

    /// How long from `now` on what it signs can be good.
    pub(super) fn left(&self, now: Timestamp) -> Duration {
        match &self.key {
            Key::Own(_) => Duration::MAX,
            Key::Lent(key) => left(key.until, now),
        }
    }

    /// Adds a signature to the URL of a blob that allows what the `permissions` say (`r`, `w`, `d`), until `now` plus
    /// `lifetime`, or the end of a lent key.
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
        let until = now.saturating_add(lifetime.min(self.left(now))).unwrap_or(now);
        let expiry = written(until);
        let protocol = if url.scheme() == "https" { "https" } else { "https,http" };
        let resource = format!("/blob/{}/{container}/{blob}", self.account);
        let named = url.query_pairs().find(|(name, _)| name == "rscd");
        let named = named.map(|(_, value)| value.into_owned()).unwrap_or_default();
        // Permissions, start, expiry, resource.
        let mut fields = vec![permissions, "", &expiry, &resource];
        match &self.key {
            // The identifier of a stored policy.
            Key::Own(_) => fields.push(""),
            // The key, an authorized user, an unauthorized one, and an id for the logs.
            Key::Lent(key) => fields.extend(key.fields().map(|(_, value)| value).into_iter().chain([""; 3])),
        }
        // IP, protocol, version, kind of resource, snapshot, encryption scope, and five headers of answers.
        fields.extend(["", protocol, VERSION, "b", "", "", "", &named, "", "", ""]);
        let (secret, about_key) = match &self.key {
            Key::Own(key) => (&**key, None),
            Key::Lent(key) => (&*key.value, Some(key.fields())),
        };
        let signature = BASE64_STANDARD.encode(hmac(secret, fields.join("\n").as_bytes()));
        url.query_pairs_mut()
            .extend_pairs([
                ("sv", VERSION),
                ("se", &expiry),
                ("sr", "b"),
                ("sp", permissions),
                ("spr", protocol),
            ])
            .extend_pairs(about_key.into_iter().flatten())
            .append_pair("sig", &signature);
        url
    }
}

impl LentKey {
    /// What tells the service which key it was, in the order in which it is signed.
    fn fields(&self) -> [(&'static str, &str); 6] {
        [
            ("skoid", &self.object_id),
            ("sktid", &self.tenant_id),
            ("skt", &self.start),
            ("ske", &self.expiry),
            ("sks", &self.service),
            ("skv", &self.version),
        ]
    }
}

/// A time as the service writes it, in whole seconds.
pub(super) fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn own() -> Signer {
        Signer::own("name", b"secret".to_vec())
    }

    fn lent(object_id: &str) -> Signer {
        let until = NOW.saturating_add(Duration::from_hours(2)).unwrap();
        let key = LentKey {
            object_id: object_id.to_owned(),
            tenant_id: "tenant".to_owned(),
            start: written(NOW),
            expiry: written(until),
            service: "b".to_owned(),
            version: "2026-06-06".to_owned(),
            value: b"lent".to_vec(),
            until,
        };
        Signer::lent("name", key)
    }

    fn part(url: &Url, name: &str) -> String {
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }

    #[test]
    fn the_key_never_shows_itself_and_has_to_be_base64() {
        let account = Account::new("name", "c2VjcmV0").unwrap();
        assert_eq!(format!("{account:?}"), "Account { name: \"name\", .. }");
        assert!(Account::new("name", "not base64!").is_none() && Account::new("name", "").is_none());
    }

    #[test]
    fn every_bound_thing_changes_the_signature() {
        let url: Url = "https://name.blob.core.windows.net/c/k?comp=block".parse().unwrap();
        let named: Url = "https://name.blob.core.windows.net/c/k?rscd=attachment".parse().unwrap();
        let mut all = Vec::new();
        for signer in [own(), lent("one"), lent("other")] {
            let sign = |url: &Url, blob: &str, permissions: &str, seconds: u64| {
                let lifetime = Duration::from_secs(seconds);
                part(&signer.sign(url.clone(), "c", blob, permissions, NOW, lifetime), "sig")
            };
            all.extend([
                sign(&named, "k", "w", 60),
                sign(&url, "k", "w", 60),
                sign(&url, "l", "w", 60),
                sign(&url, "k", "r", 60),
                sign(&url, "k", "w", 61),
            ]);
        }
        for (at, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 44);
            assert!(!all[at + 1..].contains(one));
        }
    }

    #[test]
    fn signs_as_microsofts_own_emulator_does() {
        let url: Url = "https://name.blob.core.windows.net/c/k?rscd=attachment".parse().unwrap();
        let signed = |signer: Signer| {
            part(&signer.sign(url.clone(), "c", "k/ü b.bin", "w", NOW, Duration::from_hours(1)), "sig")
        };
        // Made by Azurite 3.37.0's generateBlobSASSignatureWithUDK of the same values.
        assert_eq!(signed(lent("one")), "skJGPhNkB1BYjDL3EaA6cCHGT8l/AF5WcMty/5p7Wlc=");
    }

    #[test]
    fn nothing_outlives_the_key_that_signed_it() {
        let url: Url = "https://name.blob.core.windows.net/c/k".parse().unwrap();
        let signed = lent("one").sign(url.clone(), "c", "k", "w", NOW, Duration::from_hours(3));
        assert_eq!(part(&signed, "se"), part(&signed, "ske"));
        assert_eq!((part(&signed, "skoid"), part(&signed, "sks")), ("one".to_owned(), "b".to_owned()));
        assert_eq!(lent("one").left(NOW), Duration::from_hours(2));
        let later = NOW.saturating_add(Duration::from_hours(3)).unwrap();
        assert_eq!(lent("one").left(later), Duration::ZERO);
        let signed = own().sign(url, "c", "k", "w", NOW, Duration::from_hours(3));
        assert_eq!((part(&signed, "se"), part(&signed, "skoid")), (written(later), String::new()));
    }
}
