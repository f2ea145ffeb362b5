//! The command line, and how it becomes a [`Config`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderValue;
use clap::Parser;
use reqwest::Url;
use rusty_s3::{Bucket, Credentials, UrlStyle};

use crate::config::{Config, ConfigError, StoreConfig};
use crate::secret::{SHORTEST, Secret};
use crate::store::{Account, ServiceAccount};

/// The longest that `SigV4` lets a presigned URL live.
const WEEK: u64 = 7 * 24 * 60 * 60;

/// Arguments that name another store than the embedded one.
const ELSEWHERE: [&str; 3] = ["s3_endpoint", "azure_container", "gcs_bucket"];

/// The reference backend of Windlass: it signs uploads from browsers into an S3 store, and brings a store of its
/// own for trying it out.
#[derive(Debug, Parser)]
#[command(name = "windlass-server", version)]
pub struct Args {
    /// Address of the backend; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Folder with a page to serve at `/`.
    #[arg(long, value_name = "DIR")]
    pub page: Option<PathBuf>,
    /// Folder of the embedded store; objects are plain files under DIR/uploads.
    #[arg(long, value_name = "DIR", default_value = "./windlass-data", conflicts_with_all = ELSEWHERE)]
    pub data: PathBuf,
    /// Address of the embedded store.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", conflicts_with_all = ELSEWHERE)]
    pub store_listen: SocketAddr,
    /// Sign for this S3-compatible store instead of the embedded one. Takes `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and `WINDLASS_SECRET` from the environment.
    #[arg(long, value_name = "URL", requires = "bucket")]
    pub s3_endpoint: Option<String>,
    /// The bucket at that store.
    #[arg(long, value_name = "NAME", requires = "s3_endpoint")]
    pub bucket: Option<String>,
    /// The store's region; else `AWS_REGION` or `AWS_DEFAULT_REGION`, else us-east-1.
    #[arg(long)]
    pub region: Option<String>,
    /// Put the bucket's name before the host instead of into the path.
    #[arg(long, requires = "s3_endpoint")]
    pub virtual_host: bool,
    /// Sign for this container of Azure Blob Storage instead of the embedded store. Takes `AZURE_STORAGE_ACCOUNT`,
    /// `AZURE_STORAGE_KEY` and `WINDLASS_SECRET` from the environment.
    #[arg(long, value_name = "NAME", conflicts_with = "s3_endpoint")]
    pub azure_container: Option<String>,
    /// The account's URL, if it is not `https://ACCOUNT.blob.core.windows.net`.
    #[arg(long, value_name = "URL", requires = "azure_container")]
    pub azure_endpoint: Option<String>,
    /// Sign for this bucket of Google Cloud Storage instead of the embedded store. Takes `GOOGLE_APPLICATION_CREDENTIALS`,
    /// the key file of a service account, and `WINDLASS_SECRET` from the environment.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["s3_endpoint", "azure_container"])]
    pub gcs_bucket: Option<String>,
    /// Scheme and host of the XML API.
    #[arg(
        long,
        value_name = "URL",
        requires = "gcs_bucket",
        default_value = "https://storage.googleapis.com"
    )]
    pub gcs_endpoint: String,
    /// Where browsers reach the store, if not where this server does: scheme, host and port.
    #[arg(long, value_name = "URL")]
    pub public_store_url: Option<String>,
    /// Refuse larger files.
    #[arg(long, value_name = "BYTES")]
    pub max_size: Option<u64>,
    /// How long a presigned URL is good for.
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=WEEK))]
    pub grant_seconds: u64,
    /// Let pages of this origin use the backend; may be repeated.
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,
}

impl Args {
    /// Checks everything that can be checked before anything is opened. `env` looks up the environment.
    pub fn into_config(self, env: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
        let env = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        let public_store_url = self.public_store_url.as_deref();
        let public_store_url =
            public_store_url.map(|url| origin_of_store("--public-store-url", url)).transpose()?;
        let allow_origin = self.allow_origin.iter().map(|text| origin(text)).collect::<Result<_, _>>()?;
        let page = self.page.clone().map(existing_folder).transpose()?;
        let (grant, max_size, listen) = (Duration::from_secs(self.grant_seconds), self.max_size, self.listen);
        let secret = secret(&env)?;
        let store = self.store(&env)?;
        if secret.is_none() && !matches!(store, StoreConfig::Embedded { .. }) {
            return Err(ConfigError::new(
                "WINDLASS_SECRET is not set. Set it to a random text of 16 bytes or more, the same at every start and \
                 on every machine that serves this store.",
            ));
        }
        Ok(Config { listen, page, store, public_store_url, max_size, grant, allow_origin, secret })
    }

    fn store(self, env: &impl Fn(&str) -> Option<String>) -> Result<StoreConfig, ConfigError> {
        if let Some(container) = self.azure_container {
            return azure(container, self.azure_endpoint.as_deref(), env);
        }
        if let Some(bucket) = self.gcs_bucket {
            return gcs(bucket, &self.gcs_endpoint, env);
        }
        let (Some(endpoint), Some(bucket)) = (self.s3_endpoint, self.bucket) else {
            return Ok(StoreConfig::Embedded { data: self.data, listen: self.store_listen });
        };
        let endpoint = http_url("--s3-endpoint", &endpoint)?;
        let region = self.region.or_else(|| env("AWS_REGION")).or_else(|| env("AWS_DEFAULT_REGION"));
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        let style = if self.virtual_host { UrlStyle::VirtualHost } else { UrlStyle::Path };
        if bucket.is_empty() || Bucket::new(endpoint.clone(), style, bucket.clone(), region.clone()).is_err()
        {
            return Err(ConfigError::new(
                "--bucket cannot be used with --s3-endpoint as given. Check its name; with --virtual-host the endpoint \
                 must have a host name, not an IP address.",
            ));
        }
        let credentials = credentials(env)?;
        Ok(StoreConfig::S3 { endpoint, bucket, region, style, credentials })
    }
}

fn secret(env: &impl Fn(&str) -> Option<String>) -> Result<Option<Secret>, ConfigError> {
    let Some(text) = env("WINDLASS_SECRET") else { return Ok(None) };
    let short =
        || ConfigError::new(format!("WINDLASS_SECRET is too short. Give it {SHORTEST} bytes or more."));
    Secret::from_text(&text).map(Some).ok_or_else(short)
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

fn azure(
    container: String,
    endpoint: Option<&str>,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<StoreConfig, ConfigError> {
    let is_name = |name: &str| {
        (3..=63).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if !is_name(&container) {
        return Err(ConfigError::new(
            "--azure-container is not a container's name: 3 to 63 small letters, digits and dashes.",
        ));
    }
    let (Some(name), Some(key)) = (env("AZURE_STORAGE_ACCOUNT"), env("AZURE_STORAGE_KEY")) else {
        return Err(ConfigError::new(
            "AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY are not set. Set both to the account that --azure-container \
             is in.",
        ));
    };
    let wrong =
        || ConfigError::new("AZURE_STORAGE_KEY is not a key. Copy it as the portal shows it, in base64.");
    let account = Account::new(name.trim(), &key).ok_or_else(wrong)?;
    let usual = format!("https://{}.blob.core.windows.net", name.trim());
    let endpoint = http_url("--azure-endpoint", endpoint.unwrap_or(&usual))?;
    Ok(StoreConfig::Azure { endpoint, container, account })
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

fn http_url(flag: &str, text: &str) -> Result<Url, ConfigError> {
    let wrong = || {
        ConfigError::new(format!(
            "{flag} is not an http:// or https:// URL. Give one like https://host:port."
        ))
    };
    let url = Url::parse(text).map_err(|_| wrong())?;
    let usable = matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty();
    if usable && url.query().is_none() && url.fragment().is_none() { Ok(url) } else { Err(wrong()) }
}

/// A path would become part of what is signed, and a proxy that takes it off would break every signature.
fn origin_of_store(flag: &str, text: &str) -> Result<Url, ConfigError> {
    let url = http_url(flag, text)?;
    let wrong = || ConfigError::new(format!("{flag} has a path. Give only scheme, host and port."));
    if url.path() == "/" { Ok(url) } else { Err(wrong()) }
}

fn origin(text: &str) -> Result<HeaderValue, ConfigError> {
    let wrong = || ConfigError::new("--allow-origin is not an origin. Give one like https://app.example.");
    let url = http_url("--allow-origin", text).map_err(|_| wrong())?;
    if url.path() != "/" {
        return Err(wrong());
    }
    HeaderValue::from_str(&url.origin().ascii_serialization()).map_err(|_| wrong())
}

fn existing_folder(folder: PathBuf) -> Result<PathBuf, ConfigError> {
    if folder.is_dir() {
        return Ok(folder);
    }
    let detail =
        format!("--page {} is not a folder. Build the page first, or leave --page out.", folder.display());
    Err(ConfigError::new(detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 3] = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("WINDLASS_SECRET", "0123456789abcdef"),
    ];

    fn config(args: &[&str], env: &[(&str, &str)]) -> Result<Config, String> {
        let args =
            Args::try_parse_from([&["windlass-server"], args].concat()).map_err(|error| error.to_string())?;
        let look_up =
            |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        args.into_config(look_up).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(args: &[&str], env: &[(&str, &str)], because: &str) {
        let error = config(args, env).unwrap_err();
        assert!(error.contains(because), "{error}");
    }

    #[test]
    fn without_arguments_it_brings_its_own_store() {
        let config = config(&[], &[]).unwrap();
        assert!(matches!(config.store, StoreConfig::Embedded { .. }));
        assert_eq!((config.listen.port(), config.grant.as_secs()), (8787, 900));
    }

    #[test]
    fn takes_aws_names_from_the_environment() {
        let args = ["--s3-endpoint", "http://localhost:4566", "--bucket", "b"];
        let env = [&KEYS[..], &[("AWS_DEFAULT_REGION", "eu-central-1")]].concat();
        let StoreConfig::S3 { region, credentials, .. } = config(&args, &env).unwrap().store else {
            panic!()
        };
        assert_eq!((region.as_str(), credentials.key()), ("eu-central-1", "key"));
        assert_eq!(credentials.token(), None);
        let env = [&env[..], &[("AWS_SESSION_TOKEN", "temporary")]].concat();
        let StoreConfig::S3 { credentials, .. } = config(&args, &env).unwrap().store else { panic!() };
        assert_eq!(credentials.token(), Some("temporary"));
    }

    #[test]
    fn says_what_is_missing() {
        let store = ["--s3-endpoint", "http://localhost:4566", "--bucket", "b"];
        refused(&store, &KEYS[1..], "AWS_ACCESS_KEY_ID");
        refused(&store, &KEYS[..2], "WINDLASS_SECRET is not set");
        refused(&[], &[("WINDLASS_SECRET", "short")], "WINDLASS_SECRET is too short");
        refused(&store[..2], &KEYS, "--bucket");
        refused(&store[2..], &KEYS, "--s3-endpoint");
        refused(&[&store[..], &["--data", "x"]].concat(), &KEYS, "--data");
        refused(&["--page", "/does/not/exist"], &[], "is not a folder");
    }

    #[test]
    fn takes_azures_names_from_the_environment() {
        let env = [("AZURE_STORAGE_ACCOUNT", "acct"), ("AZURE_STORAGE_KEY", "c2VjcmV0"), KEYS[2]];
        let StoreConfig::Azure { endpoint, .. } = config(&["--azure-container", "box"], &env).unwrap().store
        else {
            panic!()
        };
        assert_eq!(endpoint.as_str(), "https://acct.blob.core.windows.net/");
        refused(&["--azure-container", "box"], &env[1..], "AZURE_STORAGE_ACCOUNT");
        refused(&["--azure-container", "box"], &env[..2], "WINDLASS_SECRET is not set");
        refused(&["--azure-container", "No"], &env, "--azure-container");
        refused(&["--azure-endpoint", "https://x"], &env, "--azure-container");
        refused(&["--azure-container", "box", "--data", "x"], &env, "--data");
        let odd = [env[0], ("AZURE_STORAGE_KEY", "?"), env[2]];
        refused(&["--azure-container", "box"], &odd, "AZURE_STORAGE_KEY is not a key");
    }

    #[test]
    fn takes_googles_key_file_from_the_environment() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
        let key = format!("{folder}/gcs-test_service_account.not-a-test.json");
        let env = [("GOOGLE_APPLICATION_CREDENTIALS", &*key), KEYS[2]];
        let StoreConfig::Gcs { endpoint, .. } = config(&["--gcs-bucket", "box"], &env).unwrap().store else {
            panic!()
        };
        assert_eq!(endpoint.as_str(), "https://storage.googleapis.com/");
        refused(&["--gcs-bucket", "box"], &env[1..], "GOOGLE_APPLICATION_CREDENTIALS is not set");
        refused(&["--gcs-bucket", "box"], &env[..1], "WINDLASS_SECRET is not set");
        refused(&["--gcs-bucket", "No"], &env, "--gcs-bucket");
        refused(&["--gcs-bucket", "box", "--gcs-endpoint", "https://x/y"], &env, "--gcs-endpoint has a path");
        refused(&["--gcs-bucket", "box", "--azure-container", "box"], &env, "--azure-container");
        let other = [("GOOGLE_APPLICATION_CREDENTIALS", &*format!("{folder}/README.md")), KEYS[2]];
        refused(&["--gcs-bucket", "box"], &other, "is not the JSON key");
        let none = [("GOOGLE_APPLICATION_CREDENTIALS", "/does/not/exist"), KEYS[2]];
        refused(&["--gcs-bucket", "box"], &none, "cannot be read");
    }

    #[test]
    fn refuses_urls_that_would_sign_nonsense() {
        for url in ["", "localhost:9000", "ftp://host", "http://", "http://u:p@host", "http://host/?a=b"] {
            refused(&["--s3-endpoint", url, "--bucket", "b"], &KEYS, "--s3-endpoint");
        }
        refused(&["--public-store-url", "https://host/path"], &[], "has a path");
        refused(&["--allow-origin", "https://host/path"], &[], "not an origin");
        refused(&["--allow-origin", "*"], &[], "not an origin");
        let virtual_host = ["--s3-endpoint", "http://127.0.0.1:1", "--bucket", "b", "--virtual-host"];
        refused(&virtual_host, &KEYS, "IP address");
        for seconds in ["0", "604801", "x"] {
            refused(&["--grant-seconds", seconds], &[], "--grant-seconds");
        }
    }

    #[test]
    fn origins_are_compared_as_browsers_send_them() {
        let config = config(&["--allow-origin", "HTTPS://App.Example:443/"], &[]).unwrap();
        assert_eq!(config.allow_origin, ["https://app.example"]);
    }
}
