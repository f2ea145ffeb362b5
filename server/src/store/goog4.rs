//! Signed URLs of Google Cloud Storage ("V4 signing process with your own program"), by the key of a service account.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use reqwest::Url;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::digest::hex;

pub(super) const ALGORITHM: &str = "GOOG4-RSA-SHA256";

/// What stands for the hash of a body that is not signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// A header's name and value.
pub(super) type Header = (&'static str, String);

/// A service account and its key.
#[derive(Clone)]
pub struct ServiceAccount {
    email: String,
    key: Arc<RsaKeyPair>,
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount").field("email", &self.email).finish_non_exhaustive()
    }
}

/// What of a key file matters here.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
}

/// What is to be signed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// Scheme and host, with the port where it is not the usual one.
    pub(super) origin: &'a str,
    /// From the first slash on, not encoded.
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Headers that have to be sent like this, besides the host.
    pub(super) headers: &'a [(&'a str, &'a str)],
}

impl ServiceAccount {
    /// Reads the JSON of a key file, as the console hands it out; `None` if it is not one.
    pub fn from_key_file(json: &str) -> Option<Self> {
        let file: KeyFile = serde_json::from_str(json).ok()?;
        let base64: String = file.private_key.lines().filter(|line| !line.starts_with("-----")).collect();
        let key = RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(base64.trim()).ok()?).ok()?;
        (!file.client_email.is_empty()).then(|| Self { email: file.client_email, key: Arc::new(key) })
    }

    /// The URL that lets its holder send `request` for `lifetime` from `now` on; `None` if the key cannot sign.
    pub(super) fn sign(&self, request: Request<'_>, now: Timestamp, lifetime: Duration) -> Option<Url> {
        let (canonical, query) = self.canonical(request, now, lifetime);
        let signature = self.tag(&canonical, now)?;
        let path = encode(request.path, true);
        let url = format!("{}{path}?{query}&X-Goog-Signature={signature}", request.origin);
        Url::parse(&url).ok()
    }

    /// The URL of a request that we send ourselves, and the headers that authorize it ("Signatures"). Of POST requests a
    /// signed URL serves those only that begin a resumable upload ("Canonical requests").
    pub(super) fn authorize(&self, request: Request<'_>, now: Timestamp) -> Option<(Url, [Header; 3])> {
        let date = date(now);
        let own = [("x-goog-content-sha256", UNSIGNED), ("x-goog-date", date.as_str())];
        let headers: Vec<_> = request.headers.iter().chain(&own).copied().collect();
        let (lines, names) = headers_to_sign(Request { headers: &headers, ..request });
        let query = sorted(request.query.iter());
        let path = encode(request.path, true);
        let canonical = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{UNSIGNED}", request.method);
        let (signature, credential) = (self.tag(&canonical, now)?, self.credential(now));
        let value =
            format!("{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}");
        let mark = if query.is_empty() { "" } else { "?" };
        let url = Url::parse(&format!("{}{path}{mark}{query}", request.origin)).ok()?;
        Some((url, [("authorization", value), (own[0].0, UNSIGNED.to_owned()), (own[1].0, date.clone())]))
    }

    pub(super) fn credential(&self, now: Timestamp) -> String {
        format!("{}/{}", self.email, scope(now))
    }

    /// The signature of a canonical request.
    fn tag(&self, canonical: &str, now: Timestamp) -> Option<String> {
        self.sign_text(&string_to_sign(canonical, now))
    }

    /// The signature of a text, in hexadecimal. The policy of a form is one as it is ("Policy document").
    pub(super) fn sign_text(&self, text: &str) -> Option<String> {
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).ok()?;
        Some(hex(&signature))
    }

    /// The canonical request of a signed URL, and its query.
    fn canonical(&self, request: Request<'_>, now: Timestamp, lifetime: Duration) -> (String, String) {
        let (lines, names) = headers_to_sign(request);
        let (credential, seconds) = (self.credential(now), lifetime.as_secs().to_string());
        let date = date(now);
        let own = [
            ("X-Goog-Algorithm", ALGORITHM),
            ("X-Goog-Credential", &credential),
            ("X-Goog-Date", &date),
            ("X-Goog-Expires", &seconds),
            ("X-Goog-SignedHeaders", &names),
        ];
        let query = sorted(own.iter().chain(request.query));
        let payload =
            request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-goog-content-sha256"));
        let payload = payload.map_or(UNSIGNED.to_owned(), |(_, hash)| trimmed(hash));
        let path = encode(request.path, true);
        (format!("{}\n{path}\n{query}\n{lines}\n{names}\n{payload}", request.method), query)
    }
}

/// The lines of the headers and of the host, in order, and their names.
fn headers_to_sign(request: Request<'_>) -> (String, String) {
    let host = request.origin.split_once("://").map_or(request.origin, |(_, host)| host);
    // Google's own libraries sign the name without the port.
    let is_port = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let host = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    let mut headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.to_lowercase(), trimmed(value))).collect();
    headers.push(("host".to_owned(), host.to_owned()));
    headers.sort_unstable();
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    (lines.concat(), names.join(";"))
}

/// A query, encoded and in order.
fn sorted<'a>(pairs: impl Iterator<Item = &'a (&'a str, &'a str)>) -> String {
    let mut pairs: Vec<_> = pairs.map(|(name, value)| (encode(name, false), encode(value, false))).collect();
    pairs.sort_unstable();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn string_to_sign(canonical: &str, now: Timestamp) -> String {
    format!("{ALGORITHM}\n{}\n{}\n{}", date(now), scope(now), hex(&Sha256::digest(canonical)))
}

fn date(now: Timestamp) -> String {
    now.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn scope(now: Timestamp) -> String {
    format!("{}/auto/storage/goog4_request", now.strftime("%Y%m%d"))
}

/// Without white space around it, and with one space for any amount of it inside.
fn trimmed(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Percent-encodes all but the unreserved characters (RFC 3986, section 2.3), and slashes where they are kept.
fn encode(text: &str, keeps_slashes: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (keeps_slashes && byte == b'/') {
            encoded.push(char::from(byte));
        } else {
            // Writing into a `String` cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const KEY_FILE: &str = include_str!("../../tests/vectors/gcs-test_service_account.not-a-test.json");

    /// Its URL has the bucket before the host and its canonical request has it in the path, unlike the other one of this
    /// style: no request can be both. We use the path.
    const CONTRADICTS_ITSELF: &str = "Universe domain with virtual hosted style";

    #[test]
    fn signs_every_url_as_google_publishes_it() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../tests/vectors/gcs-v4_signatures.json")).unwrap();
        let account = ServiceAccount::from_key_file(KEY_FILE).unwrap();
        let tests = vectors["signingV4Tests"].as_array().unwrap();
        let sound = tests.iter().filter(|test| test["description"] != CONTRADICTS_ITSELF);
        assert_eq!((tests.len(), sound.clone().count()), (29, 28));
        sound.for_each(|test| check(&account, test));
    }

    fn check(account: &ServiceAccount, test: &Value) {
        let name = test["description"].as_str().unwrap();
        let word = |field: &str| test[field].as_str().unwrap_or_default().to_owned();
        let pairs = |field: &str| {
            let pairs = test[field].as_object().into_iter().flatten();
            pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect::<Vec<_>>()
        };
        let (headers, query) = (pairs("headers"), pairs("queryParameters"));
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let query: Vec<_> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // Where the host comes from is the caller's affair; what is before the object's name tells the style.
        let expected = word("expectedUrl");
        let (scheme, rest) = expected.split_once("://").unwrap();
        let (host, rest) = rest.split_once('/').unwrap();
        let in_path = rest.starts_with(&word("bucket"));
        let bucket = if in_path { format!("/{}", word("bucket")) } else { String::new() };
        let object = word("object");
        let path = if object.is_empty() { bucket } else { format!("{bucket}/{object}") };
        let origin = format!("{scheme}://{host}");
        let method = word("method");
        let request =
            Request { method: &method, origin: &origin, path: &path, query: &query, headers: &headers };
        let now: Timestamp = word("timestamp").parse().unwrap();
        let lifetime = Duration::from_secs(test["expiration"].as_u64().unwrap());
        let (canonical, _) = account.canonical(request, now, lifetime);
        assert_eq!(canonical, word("expectedCanonicalRequest"), "{name}");
        assert_eq!(string_to_sign(&canonical, now), word("expectedStringToSign"), "{name}");
        let url = account.sign(request, now, lifetime).unwrap();
        // One of them names the usual port.
        assert_eq!(url, expected.parse().unwrap(), "{name}");
    }

    #[test]
    fn signs_every_policy_as_google_publishes_it() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../tests/vectors/gcs-v4_signatures.json")).unwrap();
        let account = ServiceAccount::from_key_file(KEY_FILE).unwrap();
        let tests = vectors["postPolicyV4Tests"].as_array().unwrap();
        assert_eq!(tests.len(), 11);
        for test in tests {
            let fields = &test["policyOutput"]["fields"];
            let (policy, signature) =
                (fields["policy"].as_str().unwrap(), fields["x-goog-signature"].as_str());
            assert_eq!(account.sign_text(policy).as_deref(), signature, "{}", test["description"]);
            let now: Timestamp = test["policyInput"]["timestamp"].as_str().unwrap().parse().unwrap();
            assert_eq!(Some(account.credential(now).as_str()), fields["x-goog-credential"].as_str());
        }
    }

    #[test]
    fn a_request_of_our_own_is_authorized_by_its_headers() {
        let account = ServiceAccount::from_key_file(KEY_FILE).unwrap();
        let now: Timestamp = "2026-11-25T10:00:00Z".parse().unwrap();
        let request = Request {
            method: "POST",
            origin: "https://storage.googleapis.com",
            path: "/box/a b",
            query: &[("uploads", "")],
            headers: &[("content-type", "text/plain")],
        };
        let (url, [(name, value), hash, date]) = account.authorize(request, now).unwrap();
        assert_eq!(
            (url.as_str(), name),
            ("https://storage.googleapis.com/box/a%20b?uploads=", "authorization")
        );
        assert_eq!(hash, ("x-goog-content-sha256", "UNSIGNED-PAYLOAD".to_owned()));
        assert_eq!(date, ("x-goog-date", "20261125T100000Z".to_owned()));
        let canonical = "POST\n/box/a%20b\nuploads=\ncontent-type:text/plain\nhost:storage.googleapis.com\n\
                         x-goog-content-sha256:UNSIGNED-PAYLOAD\nx-goog-date:20261125T100000Z\n\n\
                         content-type;host;x-goog-content-sha256;x-goog-date\nUNSIGNED-PAYLOAD";
        let signature = account.tag(canonical, now).unwrap();
        let credential = account.credential(now);
        let names = "content-type;host;x-goog-content-sha256;x-goog-date";
        assert_eq!(
            value,
            format!("GOOG4-RSA-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}")
        );
    }

    #[test]
    fn a_key_file_is_one_or_is_refused_and_never_shows_its_key() {
        let account = ServiceAccount::from_key_file(KEY_FILE).unwrap();
        let shown = format!("{account:?}");
        assert!(shown.contains("@dummy-project-id") && !shown.contains("key"), "{shown}");
        let broken = KEY_FILE.replace("MIIE", "MIIF");
        for odd in ["", "{}", &broken] {
            assert!(ServiceAccount::from_key_file(odd).is_none());
        }
    }
}
