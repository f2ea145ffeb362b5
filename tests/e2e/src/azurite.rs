//! Azurite, Microsoft's own emulator of Azure Storage, as a store. Started once for a run, spoken to by an account SAS.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Method, Response, Url};
use sha2::Sha256;
use tempfile::TempDir;

use crate::entra::Entra;
use crate::http;
use crate::proc::{Proc, command, env_path, free_port};

/// The account that it is started with.
pub(crate) const ACCOUNT: &str = "windlasse2e";
/// Its key.
pub(crate) const KEY: &str = "b25seSBmb3IgdGhlIGVuZC10by1lbmQgdGVzdHM=";
/// The container that the scenarios use.
pub(crate) const CONTAINER: &str = "windlass";

const VERSION: &str = "2021-12-02";

const CORS: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><StorageServiceProperties><Cors><CorsRule>\
    <AllowedOrigins>*</AllowedOrigins><AllowedMethods>PUT</AllowedMethods>\
    <AllowedHeaders>x-ms-blob-type,x-ms-blob-content-type,x-ms-content-crc64,content-type</AllowedHeaders>\
    <ExposedHeaders>x-ms-content-crc64,x-ms-error-code</ExposedHeaders><MaxAgeInSeconds>3000</MaxAgeInSeconds>\
    </CorsRule></Cors></StorageServiceProperties>";

/// The running store.
#[derive(Debug)]
pub(crate) struct Azurite {
    /// The account's URL.
    pub endpoint: String,
    /// Who gives tokens for it, and the certificate that it shows, where it takes tokens.
    pub identity: Option<(Entra, PathBuf)>,
    /// What speaks to it, and takes its certificate.
    pub http: reqwest::Client,
    proc: Proc,
    _dir: TempDir,
}

impl Azurite {
    /// Starts it and makes the container that pages of any origin may write to.
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(false).await
    }

    /// One that takes tokens of an identity, which it does over TLS only, with a certificate that nobody has signed.
    pub(crate) async fn start_secure() -> Result<Self> {
        Self::start_with(true).await
    }

    async fn start_with(is_secure: bool) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("windlass-e2e-azurite-").tempdir()?;
        let port = free_port().await?;
        let mut start = command("node", dir.path());
        start.arg(env_path("WINDLASS_AZURITE")?.join("dist/src/blob/main.js"));
        start.arg("--location").arg(dir.path());
        start.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
        start.args(["--silent", "--disableTelemetry"]).env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{KEY}"));
        let (mut http, mut identity) = (http::client(), None);
        if is_secure {
            let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
            let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
            std::fs::write(&cert, own.cert.pem())?;
            std::fs::write(&key, own.signing_key.serialize_pem())?;
            start.arg("--cert").arg(&cert).arg("--key").arg(&key).args(["--oauth", "basic"]);
            http = http::client_that_takes(own.cert.der())?;
            identity = Some((Entra::start().await?, cert));
        }
        let mut proc = Proc::spawn("Azurite", start)?;
        proc.wait_port(port, Duration::from_secs(60)).await?;
        let scheme = if is_secure { "https" } else { "http" };
        let endpoint = format!("{scheme}://127.0.0.1:{port}/{ACCOUNT}");
        let store = Self { endpoint, identity, http, proc, _dir: dir };
        store.ask(Method::PUT, &format!("/{CONTAINER}?restype=container"), "").await?;
        store.allow_all().await?;
        Ok(store)
    }

    /// Lets pages of any origin write.
    pub(crate) async fn allow_all(&self) -> Result<()> {
        self.set_cors(CORS).await
    }

    /// Sets the service's properties, in which its CORS rules are.
    pub(crate) async fn set_cors(&self, properties: &str) -> Result<()> {
        self.ask(Method::PUT, "?restype=service&comp=properties", properties).await.map(drop)
    }

    /// Sends a request that the account's key allows everything.
    async fn ask(&self, method: Method, path: &str, body: &str) -> Result<Response> {
        let mut url = Url::parse(&format!("{}{path}", self.endpoint))?;
        url.query_pairs_mut().extend_pairs(account_sas());
        let answer = self
            .http
            .request(method, url)
            .header("x-ms-version", VERSION)
            .body(body.to_owned())
            .send()
            .await?;
        let status = answer.status();
        ensure!(status.is_success(), "Azurite answers {status} to {path}: {}", answer.text().await?);
        Ok(answer)
    }

    /// The names of blobs, whether they are whole or only blocks that wait.
    pub(crate) async fn blobs(&self, with_waiting: bool) -> Result<Vec<String>> {
        let include = if with_waiting { "&include=uncommittedblobs" } else { "" };
        let path = format!("/{CONTAINER}?restype=container&comp=list{include}");
        let text = self.ask(Method::GET, &path, "").await?.text().await?;
        let names = text.split("<Name>").skip(1).filter_map(|rest| rest.split_once("</Name>"));
        Ok(names.map(|(name, _)| name.to_owned()).collect())
    }

    /// An object's bytes and type.
    pub(crate) async fn object(&self, key: &str) -> Result<(Vec<u8>, String)> {
        let answer = self.ask(Method::GET, &format!("/{CONTAINER}/{key}"), "").await?;
        let kind = answer.headers().get("content-type").context("no type")?.to_str()?.to_owned();
        Ok((answer.bytes().await?.to_vec(), kind))
    }

    /// What it printed, for a failure's account.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.proc.printed()
    }
}

/// "Create an account SAS": everything, for an hour.
fn account_sas() -> [(&'static str, String); 6] {
    let until = jiff::Timestamp::now() + Duration::from_secs(3600);
    let expiry = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let text = format!("{ACCOUNT}\nrwdlac\nb\nsco\n\n{expiry}\n\n\n{VERSION}\n\n");
    let key = BASE64_STANDARD.decode(KEY).unwrap_or_default();
    let mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    let signature = BASE64_STANDARD.encode(mac.chain_update(text).finalize().into_bytes());
    [
        ("sv", VERSION.to_owned()),
        ("ss", "b".to_owned()),
        ("srt", "sco".to_owned()),
        ("sp", "rwdlac".to_owned()),
        ("se", expiry),
        ("sig", signature),
    ]
}
