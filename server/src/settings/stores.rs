//! Which store, and the keys to it.

use reqwest::Url;
use rusty_s3::{Bucket, Credentials, UrlStyle};

use super::Settings;
use super::check::{http_url, origin_of_store};
use crate::config::{ConfigError, StoreConfig};
use crate::store::ServiceAccount;

const GOOGLE: &str = "https://storage.googleapis.com";

impl Settings {
    pub(super) fn store(&self, env: &impl Fn(&str) -> Option<String>) -> Result<StoreConfig, ConfigError> {
        if let Some(container) = &self.azure_container {
            return self.azure(container.clone(), env);
        }
        if let Some(bucket) = &self.gcs_bucket {
            return gcs(bucket.clone(), self.gcs_endpoint.as_deref().unwrap_or(GOOGLE), env);
        }
        let (Some(endpoint), Some(bucket)) = (&self.s3_endpoint, &self.bucket) else {
            let data = self.data.clone().unwrap_or_else(|| "./windlass-data".into());
            let listen = self.store_listen.unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
            return Ok(StoreConfig::Embedded { data, listen });
        };
        let endpoint = http_url("--s3-endpoint", endpoint)?;
        let region = self.region.clone().or_else(|| env("AWS_REGION")).or_else(|| env("AWS_DEFAULT_REGION"));
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        let style = if self.virtual_host == Some(true) { UrlStyle::VirtualHost } else { UrlStyle::Path };
        check_bucket(&endpoint, style, bucket, &region)?;
        let credentials = credentials(env)?;
        Ok(StoreConfig::S3 { endpoint, bucket: bucket.clone(), region, style, credentials })
    }
}

fn check_bucket(endpoint: &Url, style: UrlStyle, bucket: &str, region: &str) -> Result<(), ConfigError> {
    let made = Bucket::new(endpoint.clone(), style, bucket.to_owned(), region.to_owned());
    if !bucket.is_empty() && made.is_ok() {
        return Ok(());
    }
    Err(ConfigError::new(
        "--bucket cannot be used with --s3-endpoint as given. Check its name; with --virtual-host the endpoint must \
         have a host name, not an IP address.",
    ))
}

fn credentials(env: &impl Fn(&str) -> Option<String>) -> Result<Credentials, ConfigError> {
    match (env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"), env("AWS_SESSION_TOKEN")) {
        (Some(key), Some(secret), None) => Ok(Credentials::new(key, secret)),
        (Some(key), Some(secret), Some(token)) => Ok(Credentials::new_with_token(key, secret, token)),
        _ => Err(ConfigError::new(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set. Set both to the keys of the store at \
             --s3-endpoint.",
        )),
    }
}

fn gcs(
    bucket: String,
    endpoint: &str,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<StoreConfig, ConfigError> {
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    if bucket.len() < 3 || !bucket.bytes().all(is_name) {
        return Err(ConfigError::new(
            "--gcs-bucket is not a bucket's name: 3 or more small letters, digits, dashes, underscores and dots.",
        ));
    }
    let none = || {
        ConfigError::new(
            "GOOGLE_APPLICATION_CREDENTIALS is not set. Set it to the key file of a service account that may write to \
             --gcs-bucket.",
        )
    };
    let file = env("GOOGLE_APPLICATION_CREDENTIALS").ok_or_else(none)?;
    let wrong = |_| ConfigError::new("The file that GOOGLE_APPLICATION_CREDENTIALS names cannot be read.");
    let text = std::fs::read_to_string(file).map_err(wrong)?;
    let odd = || {
        ConfigError::new(
            "The file that GOOGLE_APPLICATION_CREDENTIALS names is not the JSON key of a service account.",
        )
    };
    let account = ServiceAccount::from_key_file(&text).ok_or_else(odd)?;
    Ok(StoreConfig::Gcs { endpoint: origin_of_store("--gcs-endpoint", endpoint)?, bucket, account })
}
