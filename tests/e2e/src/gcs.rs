//! Google's dialect before a real store. Nothing in the registries speaks it and checks its signatures, so this adapter
//! does the latter, by the published rules and the account's public key, and passes what is good on to an S3 store, whose
//! multipart uploads have the same form (Google took them from S3).

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use reqwest::Url;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::gcs_form::Form;
use crate::http;
use crate::s3::{Account, BUCKET};

/// The running adapter; ends with the run.
#[derive(Debug)]
pub(crate) struct Gcs {
    /// Scheme and host of the XML API.
    pub endpoint: String,
}

struct Shared {
    store: Url,
    region: &'static str,
    key: &'static str,
    secret: &'static str,
    public_key: UnparsedPublicKey<Vec<u8>>,
    http: reqwest::Client,
}

/// The key file of the account, which Google publishes for tests.
pub(crate) fn key_file() -> PathBuf {
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../../server/tests/vectors");
    PathBuf::from(vectors).join("gcs-test_service_account.not-a-test.json")
}

impl Gcs {
    /// Stands before this store.
    pub(crate) async fn start(store: &Account) -> Result<Self> {
        let shared = Arc::new(Shared {
            store: store.endpoint.parse()?,
            region: store.region,
            key: store.key,
            secret: store.secret,
            public_key: public_key()?,
            http: http::client(),
        });
        let address = http::serve(move |request| answer(Arc::clone(&shared), request)).await?;
        Ok(Self { endpoint: format!("http://{address}") })
    }
}

fn public_key() -> Result<UnparsedPublicKey<Vec<u8>>> {
    let file: Value = serde_json::from_str(&std::fs::read_to_string(key_file())?)?;
    let pem = file["private_key"].as_str().context("no key")?;
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let pair = RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(base64)?)
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref().to_vec()))
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let kind = request.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    let is_form = kind.is_some_and(|kind| kind.starts_with("multipart/form-data"));
    let mut answer = if request.method() == Method::OPTIONS {
        Response::new(Full::default())
    } else if is_form {
        take_form(&shared, request).await?
    } else if let Err(why) = check(&shared, &request) {
        let refused = refused(&why);
        // Read to its end, or the browser would see a reset instead of the answer.
        request.into_body().collect().await?;
        refused
    } else {
        pass_on(&shared, request).await?
    };
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "PUT, POST"),
        ("access-control-allow-headers", "content-type,x-goog-content-length-range,x-goog-hash"),
        ("access-control-expose-headers", "ETag, x-goog-hash"),
        ("access-control-max-age", "3000"),
    ] {
        answer.headers_mut().insert(name, value.parse()?);
    }
    Ok(answer)
}

fn refused(why: &anyhow::Error) -> Response<Full<Bytes>> {
    let error = format!(
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>SignatureDoesNotMatch</Code>\
         <Message>{why}</Message></Error>"
    );
    let mut refused = Response::new(Full::from(error));
    *refused.status_mut() = hyper::StatusCode::FORBIDDEN;
    refused
}

/// A form that its policy allows becomes a PUT at the store behind.
async fn take_form(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let kind = head.headers.get("content-type").context("no type")?.to_str()?.to_owned();
    let body = body.collect().await?.to_bytes();
    let form = match Form::read(&kind, &body).and_then(|form| allowed(shared, form)) {
        Ok(form) => form,
        Err(why) => return Ok(refused(&why)),
    };
    let mut url = shared.store.clone();
    url.set_path(&format!("/{BUCKET}/{}", form.field("key")?));
    let kind = form.field("content-type").ok();
    let url = as_aws(shared, rusty_s3::Method::Put, url, &[], kind);
    let mut ask = shared.http.put(url).body(form.file.clone());
    if let Some(kind) = kind {
        ask = ask.header("content-type", kind);
    }
    let said = ask.send().await?;
    let status = if said.status().is_success() { hyper::StatusCode::NO_CONTENT } else { said.status() };
    let mut answer = Response::builder().status(status);
    if let Some(etag) = said.headers().get("etag") {
        answer = answer.header("etag", etag);
    }
    Ok(answer.body(Full::default())?)
}

fn allowed(shared: &Shared, form: Form) -> Result<Form> {
    ensure!(form.field("x-goog-algorithm")? == "GOOG4-RSA-SHA256", "another algorithm");
    let signature = unhex(form.field("x-goog-signature")?)?;
    let policy = form.field("policy")?.as_bytes();
    shared.public_key.verify(policy, &signature).map_err(|_| anyhow::anyhow!("another signature"))?;
    form.check(BUCKET)?;
    Ok(form)
}

/// A URL of the store behind, as AWS signs it.
fn as_aws(
    shared: &Shared,
    method: rusty_s3::Method,
    url: Url,
    query: &[(String, String)],
    kind: Option<&str>,
) -> Url {
    let pairs = query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    rusty_s3::signing::sign(
        &jiff::Timestamp::now(),
        method,
        url,
        shared.key,
        shared.secret,
        None,
        shared.region,
        600,
        pairs,
        // Ceph takes no type that was not signed.
        kind.map(|kind| ("content-type", kind)).into_iter(),
    )
}

/// "V4 signatures": what was sent is what was signed, and its time is not over.
fn check(shared: &Shared, request: &Request<Incoming>) -> Result<()> {
    let has_length = request.headers().contains_key("content-length");
    ensure!(
        request.method() != Method::POST || has_length,
        "a POST without a length, which Google answers with 411"
    );
    if let Some(authorization) = request.headers().get("authorization") {
        return check_header(shared, request, authorization.to_str()?);
    }
    // "Canonical requests": of POST requests a signed URL serves only the one that starts a resumable upload.
    ensure!(request.method() != Method::POST, "a signed URL does not serve a POST");
    let query = request.uri().query().unwrap_or_default();
    let (mut signed, mut signature) = (Vec::new(), None);
    for pair in query.split('&') {
        match pair.strip_prefix("X-Goog-Signature=") {
            Some(hex) => signature = Some(hex),
            None => signed.push(pair),
        }
    }
    let of = |name: &str| {
        let found = signed.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.with_context(|| format!("{name} is missing"))
    };
    let (date, names) = (of("X-Goog-Date")?, of("X-Goog-SignedHeaders")?.replace("%3B", ";"));
    let lifetime = std::time::Duration::from_secs(of("X-Goog-Expires")?.parse()?);
    let signature = signature.context("X-Goog-Signature is missing")?;
    verify(shared, request, Claim { date, lifetime, names: &names, query: signed, signature })
}

/// The signature in the `Authorization` header of a request that the server sends itself.
fn check_header(shared: &Shared, request: &Request<Incoming>, authorization: &str) -> Result<()> {
    let words = authorization.strip_prefix("GOOG4-RSA-SHA256 ").context("another algorithm")?;
    let of = |name: &str| {
        let found = words.split(", ").find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        found.with_context(|| format!("{name} is missing"))
    };
    ensure!(of("Credential")?.ends_with("/auto/storage/goog4_request"), "another scope");
    let header = |name: &str| -> Result<&str> {
        Ok(request.headers().get(name).with_context(|| format!("{name} was not sent"))?.to_str()?)
    };
    ensure!(header("x-goog-content-sha256")? == "UNSIGNED-PAYLOAD", "the body's hash is none");
    let (date, names, signature) = (header("x-goog-date")?, of("SignedHeaders")?, of("Signature")?);
    let query = request.uri().query().unwrap_or_default();
    let query = query.split('&').filter(|pair| !pair.is_empty()).collect();
    // "Requests must be within 15 minutes".
    let lifetime = std::time::Duration::from_mins(15);
    verify(shared, request, Claim { date, lifetime, names, query, signature })
}

/// What a request says was signed.
struct Claim<'a> {
    date: &'a str,
    lifetime: std::time::Duration,
    names: &'a str,
    query: Vec<&'a str>,
    signature: &'a str,
}

fn verify(shared: &Shared, request: &Request<Incoming>, claim: Claim<'_>) -> Result<()> {
    let Claim { date, lifetime, names, mut query, signature } = claim;
    let begins: jiff::Timestamp = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date)?
        .to_zoned(jiff::tz::TimeZone::UTC)?
        .timestamp();
    ensure!(jiff::Timestamp::now() <= begins + lifetime, "it has expired");
    let mut lines = Vec::new();
    for name in names.split(';') {
        let value = request.headers().get(name).with_context(|| format!("{name} was not sent"))?.to_str()?;
        let value = if name == "host" { value.split(':').next().unwrap_or_default() } else { value };
        lines.push(format!("{name}:{value}\n"));
    }
    let own = request
        .headers()
        .keys()
        .map(hyper::header::HeaderName::as_str)
        .find(|name| name.starts_with("x-goog-") && !names.split(';').any(|signed| signed == *name));
    ensure!(own.is_none(), "{own:?} was not signed");
    let path = request.uri().path();
    query.sort_unstable();
    let (method, query) = (request.method(), query.join("&"));
    let canonical = format!("{method}\n{path}\n{query}\n{}\n{names}\nUNSIGNED-PAYLOAD", lines.concat());
    let day = date.get(..8).unwrap_or_default();
    let digest = hex(&Sha256::digest(canonical));
    let text = format!("GOOG4-RSA-SHA256\n{date}\n{day}/auto/storage/goog4_request\n{digest}");
    let signature = unhex(signature)?;
    shared.public_key.verify(text.as_bytes(), &signature).map_err(|_| anyhow::anyhow!("another signature"))
}

/// The same request as AWS signs it.
async fn pass_on(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let mut url = shared.store.clone();
    url.set_path(head.uri.path());
    let asked = Url::parse(&format!("http://store{}", head.uri))?;
    let query: Vec<_> =
        asked.query_pairs().into_owned().filter(|(name, _)| !name.starts_with("X-Goog-")).collect();
    let method = match head.method.as_str() {
        "GET" => rusty_s3::Method::Get,
        "HEAD" => rusty_s3::Method::Head,
        "POST" => rusty_s3::Method::Post,
        "DELETE" => rusty_s3::Method::Delete,
        _ => rusty_s3::Method::Put,
    };
    let kind = head.headers.get("content-type").map(|kind| kind.to_str()).transpose()?;
    let url = as_aws(shared, method, url, &query, kind);
    let body = body.collect().await?.to_bytes();
    if let Some(range) = head.headers.get("x-goog-content-length-range")
        && range.to_str()? != format!("{0},{0}", body.len())
    {
        let error = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>EntityTooLarge</Code></Error>";
        return Ok(Response::builder().status(400).body(Full::from(error))?);
    }
    if let Some(sent) = head.headers.get("x-goog-hash")
        && sent.to_str()? != hash(&body)
    {
        let error = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>BadDigest</Code></Error>";
        return Ok(Response::builder().status(400).body(Full::from(error))?);
    }
    let is_head = head.method == Method::HEAD;
    let mut ask = shared.http.request(head.method, url).body(body);
    if let Some(kind) = kind {
        ask = ask.header("content-type", kind);
    }
    let said = ask.send().await?;
    let mut answer = Response::builder().status(said.status());
    for name in ["etag", "content-type", "content-length"] {
        if let Some(value) = said.headers().get(name) {
            answer = answer.header(name, value);
        }
    }
    if is_head && said.status().is_success() {
        answer = answer.header("x-goog-hash", stored_hash(shared, head.uri.path()).await?);
    }
    Ok(answer.body(Full::from(said.bytes().await?))?)
}

/// What Google tells of every object: the CRC-32C of its bytes. The store behind keeps none, so they are read anew.
async fn stored_hash(shared: &Shared, path: &str) -> Result<String> {
    let mut url = shared.store.clone();
    url.set_path(path);
    let url = as_aws(shared, rusty_s3::Method::Get, url, &[], None);
    let object = shared.http.get(url).send().await?.error_for_status()?.bytes().await?;
    Ok(hash(&object))
}

/// `x-goog-hash` ("The value is the base64 of the checksum in big-endian byte order").
fn hash(bytes: &[u8]) -> String {
    let sum = crc_fast::crc32_iscsi(bytes).to_be_bytes();
    format!("crc32c={}", BASE64_STANDARD.encode(sum))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let digits =
        text.as_bytes().chunks(2).map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
    digits.collect()
}
