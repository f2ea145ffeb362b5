//! What a server is started with.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderValue;
use clap::ValueEnum;
use reqwest::Url;
use rusty_s3::{Credentials, UrlStyle};
use serde::{Deserialize, Serialize};
use windlass_core::protocol::Algorithm;

use crate::auth::Auth;
use crate::limit::RateLimit;
use crate::object_headers::ObjectHeader;
use crate::policy::Policy;
use crate::secret::Secret;
use crate::store::{Account, ServiceAccount};
use crate::webhook::Webhook;

/// Everything that [`crate::start`] needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address of the backend; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Folder with a page to serve at `/`.
    pub page: Option<PathBuf>,
    /// Where the bytes go.
    pub store: StoreConfig,
    /// The origin under which browsers reach the store, if not the one that the server uses.
    pub public_store_url: Option<Url>,
    /// The largest file, in bytes, if less than the store's own limit.
    pub max_size: Option<u64>,
    /// How long a grant is good for.
    pub grant: Duration,
    /// Whether small files go up by forms, where the store takes them (S3 does, Cloudflare R2 does not).
    pub forms: bool,
    /// What every object of an S3 store is stored with, besides its type.
    pub object_headers: Vec<ObjectHeader>,
    /// What an S3 store, other than the embedded one, makes checksums by.
    pub s3_checksum: S3Checksum,
    /// Origins whose pages may use the backend; `https://*.example.com` stands for all below that host.
    pub allow_origin: Vec<HeaderValue>,
    /// What ids are signed with; an embedded store without it keeps one in its folder.
    pub secret: Option<Secret>,
    /// Who may use the backend.
    pub auth: Auth,
    /// How much one user, or one address, may ask.
    pub rate_limit: Option<RateLimit>,
    /// Who is told when an object is done.
    pub webhook: Option<Webhook>,
    /// Address of `/metrics`, if it is not beside the backend.
    pub metrics_listen: Option<SocketAddr>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is asked of files.
    pub policy: Policy,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object of JSON a line.
    Json,
}

/// What an S3 store makes checksums by; not all that speak its protocol know every one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum S3Checksum {
    /// CRC-64/NVME, S3's own.
    #[default]
    Crc64nvme,
    /// CRC-32C.
    Crc32c,
    /// CRC-32.
    Crc32,
    /// By nothing: uploads go without checksums.
    None,
}

impl S3Checksum {
    pub(crate) const fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::Crc64nvme => Some(Algorithm::Crc64nvme),
            Self::Crc32c => Some(Algorithm::Crc32c),
            Self::Crc32 => Some(Algorithm::Crc32),
            Self::None => None,
        }
    }
}

/// Where the bytes go.
#[derive(Debug, Clone)]
pub enum StoreConfig {
    /// A store in this process, with a listener of its own.
    Embedded {
        /// Its folder, made if missing.
        data: PathBuf,
        /// Its address.
        listen: SocketAddr,
    },
    /// An S3-compatible store elsewhere.
    S3 {
        /// Its URL.
        endpoint: Url,
        /// The bucket, which must exist.
        bucket: String,
        /// Its region, which is part of every signature.
        region: String,
        /// Where the bucket's name goes.
        style: UrlStyle,
        /// The keys to sign with.
        credentials: Credentials,
    },
    /// Google Cloud Storage.
    Gcs {
        /// Scheme and host of the XML API.
        endpoint: Url,
        /// The bucket, which must exist.
        bucket: String,
        /// The account to sign as.
        account: ServiceAccount,
    },
    /// Azure Blob Storage.
    Azure {
        /// The account's URL.
        endpoint: Url,
        /// The container, which must exist.
        container: String,
        /// The account to sign for.
        account: Account,
    },
}

impl Config {
    /// The defaults of the command line with an embedded store in `data`, on free ports of the loopback, for everybody.
    pub fn embedded(data: impl Into<PathBuf>) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen,
            page: None,
            store: StoreConfig::Embedded { data: data.into(), listen },
            public_store_url: None,
            max_size: None,
            grant: Duration::from_mins(15),
            forms: true,
            object_headers: Vec::new(),
            s3_checksum: S3Checksum::default(),
            allow_origin: Vec::new(),
            secret: None,
            auth: Auth::Anonymous,
            rate_limit: None,
            webhook: None,
            metrics_listen: None,
            log_format: LogFormat::Text,
            policy: Policy::default(),
        }
    }
}

/// Why a server cannot start: one line that says what to do.
#[derive(Debug, Clone)]
pub struct ConfigError(String);

impl ConfigError {
    /// An error with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}
