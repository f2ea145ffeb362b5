//! The settings: their names, and how a configuration file, the environment and the command line become a [`Config`].
//!
//! Each has one name in all three: `max-size` in the file, `WINDLASS_MAX_SIZE` in the environment, `--max-size` on the
//! command line. The command line wins over the environment, and that over the file.

mod access;
mod azure;
mod check;
mod layers;
mod stores;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use serde::{Deserialize, Serialize};

use crate::config::{Config, ConfigError, LogFormat, S3Checksum};
use crate::sweep::Sweep;

pub use azure::AzureCredentials;

/// What stands below the help.
const BELOW: &str = "Every setting can also be given as WINDLASS_NAME in the environment (WINDLASS_MAX_SIZE for --max-size; lists \
    with commas) and as a line of the file that --config names (max-size = 1000000). The command line wins over the environment, \
    and that over the file. Secrets come from the environment or from files only.";

/// The reference backend of Windlass: it signs uploads from browsers into an object store, and brings a store of its
/// own for trying it out.
#[derive(Debug, Parser)]
#[command(name = "windlass-server", version, after_help = BELOW, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to serve.
    #[command(flatten)]
    pub settings: Settings,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What can be done instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Give up uploads that were started long ago and never finished. It takes the settings that the server has.
    #[command(after_help = BELOW)]
    Sweep(Box<SweepArgs>),
}

/// What `sweep` takes.
#[derive(Debug, clap::Args)]
pub struct SweepArgs {
    /// Uploads that were started longer ago: a number with s, m, h or d. An upload may take seven days.
    #[arg(long, value_name = "AGE", value_parser = crate::time::age)]
    pub older_than: Duration,
    /// Only tell which.
    #[arg(long)]
    pub dry_run: bool,
    /// Where they are.
    #[command(flatten)]
    pub settings: Settings,
}

/// What a command line is about.
#[derive(Debug)]
pub enum Job {
    /// To be started.
    Serve(Box<Config>),
    /// To be swept.
    Sweep(Box<Config>, Sweep),
}

impl Cli {
    /// All settings, from the file, the environment and this command line, as something to do. `env` looks up the
    /// environment.
    pub fn into_job(self, env: impl Fn(&str) -> Option<String>) -> Result<Job, ConfigError> {
        let env = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        let read =
            |settings: &Settings, serves| Ok(Box::new(layers::read(settings, &env)?.check(&env, serves)?));
        match self.command {
            None => Ok(Job::Serve(read(&self.settings, true)?)),
            Some(Command::Sweep(args)) => {
                let SweepArgs { older_than, dry_run, settings } = *args;
                Ok(Job::Sweep(read(&settings, false)?, Sweep { older_than, dry_run }))
            }
        }
    }
}

/// Everything that can be set; what is not given has its default.
#[derive(Debug, Clone, Default, clap::Args, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Read settings from this TOML file.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Address of the backend; port 0 takes a free one [default: 127.0.0.1:8787].
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Folder with a page to serve at `/`.
    #[arg(long, value_name = "DIR")]
    pub page: Option<PathBuf>,
    /// File with the text that upload ids are signed with, if it is not in `WINDLASS_SECRET`.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Folder of the embedded store; objects are plain files under DIR/uploads [default: ./windlass-data].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address of the embedded store [default: 127.0.0.1:0].
    #[arg(long, value_name = "ADDRESS")]
    pub store_listen: Option<SocketAddr>,
    /// Sign for this S3-compatible store instead of the embedded one. Takes `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and `WINDLASS_SECRET` from the environment.
    #[arg(long, value_name = "URL")]
    pub s3_endpoint: Option<String>,
    /// The bucket at that store.
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<String>,
    /// The store's region; else `AWS_REGION` or `AWS_DEFAULT_REGION`, else us-east-1.
    #[arg(long)]
    pub region: Option<String>,
    /// Put the bucket's name before the host instead of into the path.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub virtual_host: Option<bool>,
    /// Have small files sent by forms, which browsers send without a preflight [default: true]. Cloudflare R2 takes none.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub forms: Option<bool>,
    /// Store every object with this header (`x-amz-storage-class: STANDARD_IA`), such as its storage class, tags, metadata,
    /// Content-Disposition; may be repeated, in the environment with `|` between them.
    #[arg(long, value_name = "NAME: VALUE", value_delimiter = '|')]
    pub object_header: Option<Vec<String>>,
    /// What the store makes checksums by [default: crc64nvme]; `none` where it knows none of these.
    #[arg(long, value_name = "ALGORITHM")]
    pub s3_checksum: Option<S3Checksum>,
    /// Sign for this container of Azure Blob Storage instead of the embedded store. Takes `AZURE_STORAGE_ACCOUNT`,
    /// `AZURE_STORAGE_KEY` and `WINDLASS_SECRET` from the environment.
    #[arg(long, value_name = "NAME")]
    pub azure_container: Option<String>,
    /// By what the account is used [default: key]. The others are identities of Microsoft Entra and take `AZURE_TENANT_ID`,
    /// `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET` or `AZURE_FEDERATED_TOKEN_FILE` from the environment.
    #[arg(long, value_name = "WAY")]
    pub azure_credentials: Option<AzureCredentials>,
    /// The account's URL, if it is not `https://ACCOUNT.blob.core.windows.net`.
    #[arg(long, value_name = "URL")]
    pub azure_endpoint: Option<String>,
    /// Sign for this bucket of Google Cloud Storage instead of the embedded store. Takes `GOOGLE_APPLICATION_CREDENTIALS`,
    /// the key file of a service account, and `WINDLASS_SECRET` from the environment.
    #[arg(long, value_name = "NAME")]
    pub gcs_bucket: Option<String>,
    /// Scheme and host of the XML API [default: <https://storage.googleapis.com>].
    #[arg(long, value_name = "URL")]
    pub gcs_endpoint: Option<String>,
    /// Where browsers reach the store, if not where this server does: scheme, host and port.
    #[arg(long, value_name = "URL")]
    pub public_store_url: Option<String>,
    /// Let everybody upload who can reach the server.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub allow_anonymous: Option<bool>,
    /// Let those upload who send a JWT signed with the secret in this file (HS256), if it is not in `WINDLASS_JWT_SECRET`.
    #[arg(long, value_name = "FILE")]
    pub jwt_secret_file: Option<PathBuf>,
    /// Let those upload who send a JWT signed with a key of this set (RS256, ES256).
    #[arg(long, value_name = "URL")]
    pub jwks_url: Option<String>,
    /// Accept tokens of this issuer only; may be repeated.
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    pub jwt_issuer: Option<Vec<String>>,
    /// Accept tokens for this audience only; may be repeated.
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    pub jwt_audience: Option<Vec<String>>,
    /// The claim that names the user [default: sub].
    #[arg(long, value_name = "NAME")]
    pub jwt_user_claim: Option<String>,
    /// Let those upload for whom this URL, asked with their Authorization and Cookie headers, answers `{"user": "…"}`.
    #[arg(long, value_name = "URL")]
    pub auth_url: Option<String>,
    /// Refuse larger files.
    #[arg(long, value_name = "BYTES")]
    pub max_size: Option<u64>,
    /// Refuse smaller files [default: 0].
    #[arg(long, value_name = "BYTES")]
    pub min_size: Option<u64>,
    /// Accept files of this type only, as `application/pdf` or `image/*`; may be repeated.
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub allow_type: Option<Vec<String>>,
    /// Refuse files whose page sends no checksums, and have the store check them as the bytes arrive.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub require_checksum: Option<bool>,
    /// How keys are made, of folders and {user}, {date}, {year}, {month}, {day}, {path}, {id} and {name} [default:
    /// {id}/{name}].
    #[arg(long, value_name = "TEMPLATE")]
    pub key_template: Option<String>,
    /// How long a presigned URL is good for, 60 to 604800 [default: 900].
    #[arg(long, value_name = "SECONDS")]
    pub grant_seconds: Option<u64>,
    /// Hand out a URL that reads the finished object, good for 60 to 604800 seconds.
    #[arg(long, value_name = "SECONDS")]
    pub download_seconds: Option<u64>,
    /// Let pages delete what they have uploaded.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub allow_delete: Option<bool>,
    /// Tell this URL of each finished object, signed with the secret of `--webhook-secret-file`.
    #[arg(long, value_name = "URL")]
    pub webhook_url: Option<String>,
    /// File with `whsec_` and 24 to 64 bytes in base64, if it is not in `WINDLASS_WEBHOOK_SECRET`.
    #[arg(long, value_name = "FILE")]
    pub webhook_secret_file: Option<PathBuf>,
    /// Address of `/metrics`, if it shall not be beside the backend.
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// How log lines look [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Let pages of this origin use the backend, or of all below a host (`https://*.example.com`); may be repeated.
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub allow_origin: Option<Vec<String>>,
    /// Requests a minute of one user, or of one address where users are not known.
    #[arg(long, value_name = "NUMBER")]
    pub rate_limit: Option<u32>,
    /// The header in which the proxy before the server says where a request comes from; its last address counts.
    #[arg(long, value_name = "NAME")]
    pub client_address_header: Option<String>,
}

#[cfg(test)]
mod tests;
