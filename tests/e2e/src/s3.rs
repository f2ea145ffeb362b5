//! A bucket of an S3 store as the scenarios themselves reach it: by presigned URLs of their own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::Url;
use rusty_s3::actions::S3Action as _;
use rusty_s3::{Credentials, Method, UrlStyle};

use crate::http;

/// The bucket that the scenarios use, at every store.
pub(crate) const BUCKET: &str = "windlass";

const CORS: &str = "<CORSConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><CORSRule>\
    <AllowedOrigin>*</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedMethod>POST</AllowedMethod><AllowedMethod>GET</AllowedMethod>\
    <AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader>\
    <ExposeHeader>x-amz-checksum-crc64nvme</ExposeHeader><ExposeHeader>x-amz-checksum-crc32c</ExposeHeader><MaxAgeSeconds>3000</MaxAgeSeconds>\
    </CORSRule></CORSConfiguration>";
const SIGNED_FOR: Duration = Duration::from_secs(600);

/// Keys to the bucket at one store.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// The region that signatures name.
    pub region: &'static str,
    /// The access key.
    pub key: &'static str,
    /// Its secret.
    pub secret: &'static str,
    bucket: rusty_s3::Bucket,
    credentials: Credentials,
    http: reqwest::Client,
}

impl Account {
    /// Of a store at this port of the loopback.
    pub(crate) fn new(
        port: u16,
        region: &'static str,
        key: &'static str,
        secret: &'static str,
    ) -> Result<Self> {
        let endpoint = format!("http://127.0.0.1:{port}");
        let bucket = rusty_s3::Bucket::new(endpoint.parse()?, UrlStyle::Path, BUCKET, region)?;
        let credentials = Credentials::new(key, secret);
        Ok(Self { endpoint, region, key, secret, bucket, credentials, http: http::client() })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> Result<SocketAddr> {
        let port = Url::parse(&self.endpoint)?.port().context("a port of its own")?;
        Ok(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// Makes the bucket, as soon as the store takes it: a port opens before the service behind it answers.
    pub(crate) async fn make_bucket(&self) -> Result<()> {
        let create = self.bucket.create_bucket(&self.credentials).sign(SIGNED_FOR);
        let mut said = String::new();
        for _ in 0..150 {
            match self.http.put(create.as_str()).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => said = format!("{} {}", answer.status(), answer.text().await?),
                Err(error) => said = error.without_url().to_string(),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        anyhow::bail!("the store makes no bucket: {said}")
    }

    /// Keys to another bucket of the store.
    pub(crate) fn other_bucket(&self, name: &'static str) -> Result<Self> {
        let bucket = rusty_s3::Bucket::new(self.endpoint.parse()?, UrlStyle::Path, name, self.region)?;
        let (endpoint, credentials, http) =
            (self.endpoint.clone(), self.credentials.clone(), self.http.clone());
        Ok(Self { endpoint, bucket, credentials, http, ..*self })
    }

    /// Lets pages of any origin write to the bucket.
    pub(crate) async fn open_to_pages(&self) -> Result<()> {
        self.set_cors(Some(CORS)).await
    }

    /// Gives the bucket this CORS rule, or none.
    pub(crate) async fn set_cors(&self, rule: Option<&str>) -> Result<()> {
        let request = match rule {
            Some(rule) => self.http.put(self.signed(Method::Put, "cors")).body(rule.to_owned()),
            None => self.http.delete(self.signed(Method::Delete, "cors")),
        };
        let answer = request.send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "the store refused the CORS rule: {status} {}", answer.text().await?);
        Ok(())
    }

    /// Presigns an action on the bucket that rusty-s3 has no type for.
    fn signed(&self, method: Method, action: &str) -> String {
        let now = jiff::Timestamp::now();
        self.sign(&now, method, self.bucket.object_url(""), SIGNED_FOR, &[(action, "")])
    }

    /// The same grant as it was two hours ago, when it was good for a minute.
    pub(crate) fn of_two_hours_ago(&self, grant: &str) -> Result<String> {
        let mut url = Url::parse(grant)?;
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let kept = query.iter().filter(|(name, _)| !name.starts_with("X-Amz-"));
        let kept: Vec<_> = kept.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        url.set_query(None);
        let then = jiff::Timestamp::now() - Duration::from_hours(2);
        Ok(self.sign(&then, Method::Put, url, Duration::from_mins(1), &kept))
    }

    fn sign(
        &self,
        at: &jiff::Timestamp,
        method: Method,
        url: Url,
        good_for: Duration,
        query: &[(&str, &str)],
    ) -> String {
        let (query, headers) = (query.iter().copied(), std::iter::empty::<(&str, &str)>());
        let seconds = good_for.as_secs();
        rusty_s3::signing::sign(
            at,
            method,
            url,
            self.key,
            self.secret,
            None,
            self.region,
            seconds,
            query,
            headers,
        )
        .into()
    }

    /// The keys of multipart uploads that nobody has ended.
    pub(crate) async fn open_uploads(&self) -> Result<Vec<String>> {
        let answer = self.http.get(self.signed(Method::Get, "uploads")).send().await?.error_for_status()?;
        let text = answer.text().await?;
        ensure!(text.contains("ListMultipartUploadsResult"), "not a list of uploads: {text}");
        Ok(text
            .split("<Upload>")
            .skip(1)
            .filter_map(|upload| upload.split_once("<Key>")?.1.split_once("</Key>"))
            .map(|(key, _)| key.to_owned())
            .collect())
    }

    /// Waits until no upload in parts is open but those of before: pages that were closed leave theirs to the sweeper.
    pub(crate) async fn wait_closed(&self, before: &[String]) -> Result<()> {
        let began = Instant::now();
        loop {
            let mut open = self.open_uploads().await?;
            open.retain(|key| !before.contains(key));
            if open.is_empty() {
                return Ok(());
            }
            ensure!(began.elapsed() < Duration::from_secs(30), "still open: {open:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What an object is stored with: the headers of an answer to HEAD, and its tags as the store writes them.
    pub(crate) async fn stored_with(&self, key: &str) -> Result<(reqwest::header::HeaderMap, String)> {
        let head = self.bucket.head_object(Some(&self.credentials), key).sign(SIGNED_FOR);
        let head = self.http.head(head.as_str()).send().await?.error_for_status()?;
        let now = jiff::Timestamp::now();
        let tags = self.sign(&now, Method::Get, self.bucket.object_url(key), SIGNED_FOR, &[("tagging", "")]);
        let tags = self.http.get(tags).send().await?.error_for_status()?.text().await?;
        Ok((head.headers().clone(), tags))
    }

    /// An object's bytes.
    pub(crate) async fn object(&self, key: &str) -> Result<Vec<u8>> {
        let get = self.bucket.get_object(Some(&self.credentials), key).sign(SIGNED_FOR);
        Ok(self.http.get(get.as_str()).send().await?.error_for_status()?.bytes().await?.to_vec())
    }
}
