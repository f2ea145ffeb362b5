//! Upload ids: what this server has to remember of an upload, signed and given to the page to keep.
//!
//! An id is `base64url(payload).base64url(HMAC-SHA256(payload))`, and the payload is a version byte and JSON.
//! It is not encrypted: whoever holds it may read it, but can neither change it nor make another.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::Mac;
use serde::{Deserialize, Serialize};
use windlass_core::map::Map;
use windlass_core::protocol::{Algorithm, Checksums, Method};

use crate::secret::{Secret, keyed};
use crate::store::Multipart;

/// The first byte of a payload of this form.
const VERSION: u8 = 2;

/// Bytes of the hash that stands for a user.
const HASH: usize = 16;

/// Longer than any id that this server makes.
const LONGEST: usize = 4096;

/// An upload, as its id says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upload {
    /// Where the object will be.
    #[serde(rename = "k")]
    pub(crate) key: String,
    /// The store's own id of a multipart upload; `None` for an upload in a single request.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub(crate) store_id: Option<String>,
    /// Bytes of the file; of a stream the most that it may have.
    #[serde(rename = "s")]
    pub(crate) size: u64,
    /// Whether nobody knew how long the file would be.
    #[serde(rename = "z", default, skip_serializing_if = "is_false")]
    pub(crate) is_stream: bool,
    /// The MIME type that the object gets; may be empty.
    #[serde(rename = "t", default, skip_serializing_if = "String::is_empty")]
    pub(crate) content_type: String,
    /// When the upload ends, milliseconds since the Unix epoch.
    #[serde(rename = "e")]
    pub(crate) expires_at: u64,
    /// The hash of whoever started it, where that is known.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// The file's name made safe, where somebody will want to know it; else empty.
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    /// Where it lay in a folder that somebody chose, made safe, where somebody will want to know it; else empty.
    #[serde(rename = "p", default, skip_serializing_if = "String::is_empty")]
    pub(crate) path: String,
    /// What the app wants told of the object, where somebody is told; else empty.
    #[serde(rename = "m", default, skip_serializing_if = "Map::is_empty")]
    pub(crate) metadata: Map<String, String>,
    /// Its checksums, if it has any; ids from before there were some say nothing of them.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none", with = "letter")]
    pub(crate) checksums: Option<Checksums>,
}

// As serde wants it.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_false(is: &bool) -> bool {
    !*is
}

/// One letter is enough for the checksums: a capital where parts need them.
mod letter {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Algorithm, Checksums};

    const fn of(algorithm: Algorithm) -> char {
        match algorithm {
            Algorithm::Crc64nvme => 'n',
            Algorithm::Crc32c => 'c',
            Algorithm::Crc32 => 'z',
            Algorithm::Sha256 => 's',
            Algorithm::Md5 => 'm',
        }
    }

    // As serde wants it.
    #[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)]
    pub(super) fn serialize<S: Serializer>(sums: &Option<Checksums>, to: S) -> Result<S::Ok, S::Error> {
        match sums {
            Some(Checksums { algorithm, parts: false }) => to.serialize_char(of(*algorithm)),
            Some(Checksums { algorithm, parts: true }) => {
                to.serialize_char(of(*algorithm).to_ascii_uppercase())
            }
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Checksums>, D::Error> {
        let letter = char::deserialize(from)?;
        let known = Algorithm::ALL.into_iter().find(|one| of(*one) == letter.to_ascii_lowercase());
        let algorithm = known.ok_or_else(|| D::Error::custom("an unknown algorithm"))?;
        Ok(Some(Checksums { algorithm, parts: letter.is_ascii_uppercase() }))
    }
}

impl Upload {
    /// The upload in parts that it is, if it is one.
    pub(crate) fn multipart(&self) -> Option<Multipart<'_>> {
        let id = self.store_id.as_deref()?;
        Some(Multipart { key: &self.key, id, content_type: &self.content_type, algorithm: self.algorithm() })
    }

    /// What its checksums are made by, if it has any.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.checksums.map(|checksums| checksums.algorithm)
    }

    /// How the bytes go up.
    pub(crate) const fn method(&self) -> Method {
        if self.store_id.is_some() { Method::Multipart } else { Method::Single }
    }
}

/// Why an id is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdError {
    /// This server did not make it, or somebody changed it.
    Refused,
    /// Its time is over.
    Expired,
}

/// Makes and checks ids.
#[derive(Clone)]
pub(crate) struct Ids {
    key: [u8; 32],
    users: [u8; 32],
}

impl Ids {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self { key: secret.derive("windlass upload ids"), users: secret.derive("windlass users") }
    }

    /// What stands for a user in ids and logs: the same for the same user, and nobody reads from it who that is.
    pub(crate) fn hash_of(&self, user: &str) -> String {
        let hash = keyed(&self.users).chain_update(user).finalize().into_bytes();
        BASE64_URL_SAFE_NO_PAD.encode(hash.get(..HASH).unwrap_or_default())
    }

    /// The id of an upload.
    pub(crate) fn seal(&self, upload: &Upload) -> Result<String, serde_json::Error> {
        let mut payload = vec![VERSION];
        serde_json::to_writer(&mut payload, upload)?;
        let tag = keyed(&self.key).chain_update(&payload).finalize().into_bytes();
        let (payload, tag) = (BASE64_URL_SAFE_NO_PAD.encode(payload), BASE64_URL_SAFE_NO_PAD.encode(tag));
        Ok(format!("{payload}.{tag}"))
    }

    /// The upload of an id.
    pub(crate) fn open(&self, id: &str, now: u64) -> Result<Upload, IdError> {
        let upload = self.read(id).ok_or(IdError::Refused)?;
        if now < upload.expires_at { Ok(upload) } else { Err(IdError::Expired) }
    }

    fn read(&self, id: &str) -> Option<Upload> {
        if id.len() > LONGEST {
            return None;
        }
        let (payload, tag) = id.split_once('.')?;
        let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?;
        // In constant time.
        keyed(&self.key).chain_update(&payload).verify_slice(&tag).ok()?;
        let (version, json) = payload.split_first()?;
        if *version != VERSION {
            return None;
        }
        serde_json::from_slice(json).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Ids {
        Ids::new(&Secret::from_text("a secret of the tests").unwrap())
    }

    fn upload() -> Upload {
        Upload {
            key: "abc/ü.bin".to_owned(),
            store_id: Some("store-id".to_owned()),
            size: 64 << 20,
            content_type: "video/mp4".to_owned(),
            expires_at: 1000,
            ..Upload::default()
        }
    }

    #[test]
    fn an_id_gives_back_its_upload_until_it_expires() {
        let id = ids().seal(&upload()).unwrap();
        assert_eq!(ids().open(&id, 999), Ok(upload()));
        assert_eq!(ids().open(&id, 1000), Err(IdError::Expired));
    }

    #[test]
    fn the_largest_upload_has_an_id_that_is_taken() {
        let metadata = std::iter::once(("n".to_owned(), "m".repeat(500))).collect();
        let (key, path) = ("ü".repeat(512), "p".repeat(500));
        let (store_id, name) = (Some("s".repeat(300)), "n".repeat(80));
        let (owner, checksums) =
            (Some("o".repeat(22)), Some(Checksums { algorithm: Algorithm::Crc64nvme, parts: true }));
        let large = Upload { key, store_id, owner, name, path, metadata, checksums, ..upload() };
        assert_eq!(ids().open(&ids().seal(&large).unwrap(), 0), Ok(large));
    }

    #[test]
    fn an_id_remembers_the_checksums_in_a_few_letters() {
        let plain = ids().seal(&upload()).unwrap();
        for algorithm in Algorithm::ALL {
            for parts in [false, true] {
                let upload = Upload { checksums: Some(Checksums { algorithm, parts }), ..upload() };
                let id = ids().seal(&upload).unwrap();
                assert_eq!(ids().open(&id, 0), Ok(upload));
                assert!(id.len() <= plain.len() + 12, "{}", id.len());
            }
        }
    }

    #[test]
    fn an_id_from_before_there_were_checksums_is_good_and_one_of_a_later_algorithm_is_not() {
        let sealed = |json: &str| {
            let payload = [&[VERSION], json.as_bytes()].concat();
            let tag = keyed(&ids().key).chain_update(&payload).finalize().into_bytes();
            format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(&payload), BASE64_URL_SAFE_NO_PAD.encode(tag))
        };
        let old = ids().open(&sealed(r#"{"k":"a/b","u":"x","s":7,"e":9}"#), 0).unwrap();
        assert_eq!((old.size, old.checksums), (7, None));
        let later = sealed(r#"{"k":"a/b","u":"x","s":7,"e":9,"c":"q"}"#);
        assert_eq!(ids().open(&later, 0), Err(IdError::Refused));
    }

    #[test]
    fn no_byte_of_an_id_can_be_changed_dropped_or_doubled() {
        let id = ids().seal(&upload()).unwrap();
        for at in 0..id.len() {
            for replacement in ["A", "B", "_", ".", "=", "\u{0}", "", "ä"] {
                let mut forged = id.clone();
                forged.replace_range(at..=at, replacement);
                if forged != id {
                    assert_eq!(ids().open(&forged, 0), Err(IdError::Refused), "{at} {replacement:?}");
                }
            }
            let doubled = format!("{}{}", &id[..=at], &id[at..]);
            assert_eq!(ids().open(&doubled, 0), Err(IdError::Refused), "{at} doubled");
            assert_eq!(ids().open(&id[..at], 0), Err(IdError::Refused), "cut at {at}");
        }
    }

    #[test]
    fn garbage_is_refused() {
        let long = "A".repeat(LONGEST * 2);
        for garbage in ["", ".", "..", "a.b", "AQ.", ".AQ", "null", "{}", "💥.💥", &long] {
            assert_eq!(ids().open(garbage, 0), Err(IdError::Refused), "{garbage:.20}");
        }
    }

    #[test]
    fn another_server_has_other_ids() {
        let other = Ids::new(&Secret::from_text("another secret of the tests").unwrap());
        let id = other.seal(&upload()).unwrap();
        assert_eq!(ids().open(&id, 0), Err(IdError::Refused));
    }

    #[test]
    fn a_later_version_is_refused_though_its_signature_is_right() {
        let ids = ids();
        let mut payload = vec![VERSION + 1];
        serde_json::to_writer(&mut payload, &upload()).unwrap();
        let tag = keyed(&ids.key).chain_update(&payload).finalize().into_bytes();
        let id =
            format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(&payload), BASE64_URL_SAFE_NO_PAD.encode(tag));
        assert_eq!(ids.open(&id, 0), Err(IdError::Refused));
    }
}
