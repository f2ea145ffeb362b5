//! `LocalStack` as a store: it checks signatures as AWS does. Started once for a run, spoken to by presigned URLs.

use std::time::Duration;

use anyhow::{Result, ensure};
use rusty_s3::actions::S3Action as _;
use rusty_s3::{Bucket, Credentials, Method, UrlStyle};
use tempfile::TempDir;

use crate::http;
use crate::proc::{Proc, command, env_path, free_port};

/// The account that `LocalStack` knows.
pub(crate) const ACCESS_KEY: &str = "test";
/// Its secret.
pub(crate) const SECRET_KEY: &str = "test";
/// Its region.
pub(crate) const REGION: &str = "us-east-1";
/// The bucket that the scenarios use.
pub(crate) const BUCKET: &str = "windlass";

const CORS: &str = "<CORSConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><CORSRule>\
    <AllowedOrigin>*</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedMethod>POST</AllowedMethod><AllowedMethod>GET</AllowedMethod>\
    <AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>3000</MaxAgeSeconds>\
    </CORSRule></CORSConfiguration>";
const SIGNED_FOR: Duration = Duration::from_secs(600);

/// The running store.
#[derive(Debug)]
pub(crate) struct LocalStack {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    proc: Proc,
    bucket: Bucket,
    credentials: Credentials,
    http: reqwest::Client,
    _dir: TempDir,
}

impl LocalStack {
    /// Starts it and makes the bucket that pages of any origin may write to.
    pub(crate) async fn start() -> Result<Self> {
        let (python, shim) = (env_path("WINDLASS_LOCALSTACK_PYTHON")?, env_path("WINDLASS_LOCALSTACK_SHIM")?);
        let dir = tempfile::Builder::new().prefix("windlass-e2e-localstack-").tempdir()?;
        let port = free_port().await?;
        let mut start = command(python, dir.path());
        start.arg(shim).env("GATEWAY_LISTEN", format!("127.0.0.1:{port}"));
        start.env("FILESYSTEM_ROOT", dir.path()).env("HOME", dir.path());
        for (name, value) in [
            ("SERVICES", "s3"),
            ("EAGER_SERVICE_LOADING", "1"),
            ("STRICT_SERVICE_LOADING", "1"),
            ("S3_SKIP_SIGNATURE_VALIDATION", "0"),
            ("DISABLE_EVENTS", "1"),
            ("SKIP_SSL_CERT_DOWNLOAD", "1"),
            ("DNS_ADDRESS", "0"),
            ("DEBUG", "0"),
            ("LS_LOG", "warning"),
        ] {
            start.env(name, value);
        }
        let mut proc = Proc::spawn("LocalStack", start)?;
        proc.wait_port(port, Duration::from_secs(90)).await?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let bucket = Bucket::new(endpoint.parse()?, UrlStyle::Path, BUCKET, REGION)?;
        let store = Self {
            endpoint,
            proc,
            bucket,
            credentials: Credentials::new(ACCESS_KEY, SECRET_KEY),
            http: http::client(),
            _dir: dir,
        };
        store.make_bucket(BUCKET, Some(CORS)).await?;
        Ok(store)
    }

    /// Makes a bucket with this CORS rule, or none.
    pub(crate) async fn make_bucket(&self, name: &str, cors: Option<&str>) -> Result<()> {
        let bucket = Bucket::new(self.endpoint.parse()?, UrlStyle::Path, name.to_owned(), REGION)?;
        let create = bucket.create_bucket(&self.credentials).sign(SIGNED_FOR);
        // The port opens before the S3 service answers.
        for _ in 0..100 {
            if self.http.put(create.as_str()).send().await.is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let action = signed(&bucket, if cors.is_some() { Method::Put } else { Method::Delete }, "cors");
        let request = match cors {
            Some(rule) => self.http.put(action).body(rule.to_owned()),
            None => self.http.delete(action),
        };
        let answer = request.send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "LocalStack refused the CORS rule: {status} {}", answer.text().await?);
        Ok(())
    }

    /// The keys of multipart uploads that nobody has ended.
    pub(crate) async fn open_uploads(&self) -> Result<Vec<String>> {
        let answer =
            self.http.get(signed(&self.bucket, Method::Get, "uploads")).send().await?.error_for_status()?;
        let text = answer.text().await?;
        ensure!(text.contains("ListMultipartUploadsResult"), "not a list of uploads: {text}");
        Ok(text
            .split("<Upload>")
            .skip(1)
            .filter_map(|upload| upload.split_once("<Key>")?.1.split_once("</Key>"))
            .map(|(key, _)| key.to_owned())
            .collect())
    }

    /// An object's bytes.
    pub(crate) async fn object(&self, key: &str) -> Result<Vec<u8>> {
        let get = self.bucket.get_object(Some(&self.credentials), key).sign(SIGNED_FOR);
        Ok(self.http.get(get.as_str()).send().await?.error_for_status()?.bytes().await?.to_vec())
    }

    /// What it printed, for a failure's account.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.proc.printed()
    }
}

/// Presigns an action on a bucket that rusty-s3 has no type for.
fn signed(bucket: &Bucket, method: Method, action: &str) -> String {
    let (now, query) = (jiff::Timestamp::now(), [(action, "")]);
    sign(&now, method, bucket.object_url(""), SIGNED_FOR, &query)
}

/// The same grant as it was two hours ago, when it was good for a minute.
pub(crate) fn of_two_hours_ago(grant: &str) -> Result<String> {
    let mut url = reqwest::Url::parse(grant)?;
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let kept: Vec<_> = query.iter().filter(|(name, _)| !name.starts_with("X-Amz-")).collect();
    let kept: Vec<_> = kept.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    url.set_query(None);
    let then = jiff::Timestamp::now() - Duration::from_secs(2 * 3600);
    Ok(sign(&then, Method::Put, url, Duration::from_secs(60), &kept))
}

fn sign(
    at: &jiff::Timestamp,
    method: Method,
    url: reqwest::Url,
    good_for: Duration,
    query: &[(&str, &str)],
) -> String {
    rusty_s3::signing::sign(
        at,
        method,
        url,
        ACCESS_KEY,
        SECRET_KEY,
        None,
        REGION,
        good_for.as_secs(),
        query.iter().copied(),
        std::iter::empty::<(&str, &str)>(),
    )
    .into()
}
