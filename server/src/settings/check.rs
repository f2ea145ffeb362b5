//! From settings to a [`Config`]: everything that can be checked before anything is opened.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::HeaderValue;
use reqwest::Url;

use super::{Settings, layers};
use crate::auth::Auth;
use crate::config::{Config, ConfigError, S3Checksum, StoreConfig};
use crate::keys::{KeyTemplate, LONGEST_ELSEWHERE, LONGEST_EMBEDDED};
use crate::limit::RateLimit;
use crate::object_headers::ObjectHeader;
use crate::policy::{Policy, TypePattern};
use crate::secret::{SHORTEST, Secret};

/// The longest that `SigV4` lets a presigned URL live, in seconds.
const WEEK: u64 = 7 * 24 * 60 * 60;

/// Settings that mean nothing without another one.
const NEEDS: [(&str, &str); 11] = [
    ("object-header", "s3-endpoint"),
    ("s3-checksum", "s3-endpoint"),
    ("webhook-secret-file", "webhook-url"),
    ("client-address-header", "rate-limit"),
    ("s3-endpoint", "bucket"),
    ("bucket", "s3-endpoint"),
    ("region", "s3-endpoint"),
    ("virtual-host", "s3-endpoint"),
    ("azure-endpoint", "azure-container"),
    ("azure-credentials", "azure-container"),
    ("gcs-endpoint", "gcs-bucket"),
];

/// Settings of which only one can be meant.
const APART: [(&str, &str); 10] = [
    ("forms", "azure-container"),
    ("s3-endpoint", "azure-container"),
    ("s3-endpoint", "gcs-bucket"),
    ("azure-container", "gcs-bucket"),
    ("data", "s3-endpoint"),
    ("data", "azure-container"),
    ("data", "gcs-bucket"),
    ("store-listen", "s3-endpoint"),
    ("store-listen", "azure-container"),
    ("store-listen", "gcs-bucket"),
];

impl Settings {
    /// Checks them; `env` looks up what only the environment has. Who may upload matters only to who `serves`.
    pub(super) fn check(
        self,
        env: &impl Fn(&str) -> Option<String>,
        serves: bool,
    ) -> Result<Config, ConfigError> {
        self.check_company()?;
        let public_store_url = self.public_store_url.as_deref();
        let public_store_url =
            public_store_url.map(|url| origin_of_store("--public-store-url", url)).transpose()?;
        let object_headers = self.object_header.iter().flatten().map(|text| ObjectHeader::parse(text));
        let origins = self.allow_origin.iter().flatten();
        let allow_origin = origins.map(|text| origin(text)).collect::<Result<_, _>>()?;
        let page = self.page.clone().map(existing_folder).transpose()?;
        let secret = secret(self.secret_file.as_deref(), env)?;
        let store = self.store(env)?;
        let is_embedded = matches!(store, StoreConfig::Embedded { .. });
        if secret.is_none() && !is_embedded {
            return Err(ConfigError::new(
                "WINDLASS_SECRET is not set. Set it to a random text of 16 bytes or more, the same at every start and \
                 on every machine that serves this store.",
            ));
        }
        let policy = self.policy(if is_embedded { LONGEST_EMBEDDED } else { LONGEST_ELSEWHERE })?;
        let auth = if serves { self.auth(env)? } else { Auth::Anonymous };
        if serves && matches!(auth, Auth::Anonymous) && policy.key_template.names_user() {
            return Err(ConfigError::new(
                "--key-template has {user}, but with --allow-anonymous there are no users. Leave one of them out.",
            ));
        }
        Ok(Config {
            listen: self.listen.unwrap_or_else(|| ([127, 0, 0, 1], 8787).into()),
            page,
            store,
            public_store_url,
            max_size: self.max_size,
            object_headers: object_headers.collect::<Result<_, _>>()?,
            s3_checksum: self.s3_checksum.unwrap_or_default(),
            forms: self.forms.unwrap_or(true),
            grant: seconds("--grant-seconds", self.grant_seconds.unwrap_or(900))?,
            allow_origin,
            secret,
            auth,
            webhook: self.webhook(env)?,
            metrics_listen: self.metrics_listen,
            log_format: self.log_format.unwrap_or_default(),
            rate_limit: self.rate_limit()?,
            policy,
        })
    }

    /// What is asked of files, at a store that takes keys of `longest` bytes.
    fn policy(&self, longest: usize) -> Result<Policy, ConfigError> {
        let pattern = |text: &String| {
            let wrong =
                || ConfigError::new("--allow-type is not a type. Give one like application/pdf or image/*.");
            TypePattern::parse(text).ok_or_else(wrong)
        };
        let types = self.allow_type.iter().flatten().map(pattern).collect::<Result<_, _>>()?;
        let min_size = self.min_size.unwrap_or_default();
        if self.max_size.is_some_and(|max| max < min_size) {
            return Err(ConfigError::new("--min-size is more than --max-size. No file could be uploaded."));
        }
        if self.require_checksum == Some(true) && self.s3_checksum == Some(S3Checksum::None) {
            return Err(ConfigError::new(
                "--require-checksum cannot be followed with --s3-checksum none. No file could be uploaded.",
            ));
        }
        let template = self.key_template.as_deref().map(|text| KeyTemplate::parse(text, longest)).transpose();
        let template =
            template.map_err(|error| ConfigError::new(format!("--key-template cannot be used: {error}.")))?;
        let download = self.download_seconds.map(|given| seconds("--download-seconds", given)).transpose()?;
        Ok(Policy {
            types,
            min_size,
            key_template: template.unwrap_or_default(),
            download,
            require_checksum: self.require_checksum == Some(true),
            allow_delete: self.allow_delete == Some(true),
        })
    }

    fn rate_limit(&self) -> Result<Option<RateLimit>, ConfigError> {
        let Some(number) = self.rate_limit else { return Ok(None) };
        let none = || ConfigError::new("--rate-limit 0 would let nobody in. Leave it out for no limit.");
        let name = self.client_address_header.as_deref().map(str::parse).transpose();
        let address_header =
            name.map_err(|_| ConfigError::new("--client-address-header is not the name of a header."))?;
        let per_minute = NonZeroU32::new(number).ok_or_else(none)?;
        Ok(Some(RateLimit { per_minute, address_header }))
    }

    /// Which settings stand with which.
    fn check_company(&self) -> Result<(), ConfigError> {
        let given = layers::given(self)?;
        let has = |name: &str| given.contains_key(name);
        if let Some((one, other)) = APART.iter().find(|(one, other)| has(one) && has(other)) {
            return Err(ConfigError::new(format!(
                "--{one} cannot be used with --{other}. Leave one of them out."
            )));
        }
        if let Some((one, needed)) = NEEDS.iter().find(|(one, needed)| has(one) && !has(needed)) {
            return Err(ConfigError::new(format!("--{one} needs --{needed}. Give both or neither.")));
        }
        Ok(())
    }
}

/// A time between a minute and a week.
fn seconds(flag: &str, given: u64) -> Result<Duration, ConfigError> {
    match given {
        seconds @ 60..=WEEK => Ok(Duration::from_secs(seconds)),
        _ => Err(ConfigError::new(format!(
            "{flag} is not between 60 (a minute) and {WEEK} (seven days), the most that stores accept."
        ))),
    }
}

fn secret(file: Option<&Path>, env: &impl Fn(&str) -> Option<String>) -> Result<Option<Secret>, ConfigError> {
    let (name, text) = match (env("WINDLASS_SECRET"), file) {
        (Some(text), _) => ("WINDLASS_SECRET", text),
        (None, Some(file)) => ("--secret-file", read_secret("--secret-file", file)?),
        (None, None) => return Ok(None),
    };
    let short = || ConfigError::new(format!("{name} is too short. Give it {SHORTEST} bytes or more."));
    Secret::from_text(&text).map(Some).ok_or_else(short)
}

/// A secret's file, without the line break that editors leave at its end.
pub(super) fn read_secret(flag: &str, file: &Path) -> Result<String, ConfigError> {
    let failed = |error| ConfigError::new(format!("{flag} {} cannot be read: {error}.", file.display()));
    Ok(std::fs::read_to_string(file).map_err(failed)?.trim().to_owned())
}

pub(super) fn http_url(flag: &str, text: &str) -> Result<Url, ConfigError> {
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
pub(super) fn origin_of_store(flag: &str, text: &str) -> Result<Url, ConfigError> {
    let url = http_url(flag, text)?;
    let wrong = || ConfigError::new(format!("{flag} has a path. Give only scheme, host and port."));
    if url.path() == "/" { Ok(url) } else { Err(wrong()) }
}

fn origin(text: &str) -> Result<HeaderValue, ConfigError> {
    let wrong = || {
        ConfigError::new(
            "--allow-origin is not an origin. Give one like https://app.example, or https://*.app.example for all below \
             that host.",
        )
    };
    let is_pattern = text.contains("://*.");
    let bare = text.replacen("://*.", "://", 1);
    let url = http_url("--allow-origin", &bare).map_err(|_| wrong())?;
    let is_broad = is_pattern && url.domain().is_none_or(|host| !host.contains('.'));
    if url.path() != "/" || is_broad || bare.contains('*') {
        return Err(wrong());
    }
    let origin = url.origin().ascii_serialization();
    let origin = if is_pattern { origin.replacen("://", "://*.", 1) } else { origin };
    HeaderValue::from_str(&origin).map_err(|_| wrong())
}

fn existing_folder(folder: PathBuf) -> Result<PathBuf, ConfigError> {
    if folder.is_dir() {
        return Ok(folder);
    }
    let detail =
        format!("--page {} is not a folder. Build the page first, or leave --page out.", folder.display());
    Err(ConfigError::new(detail))
}
