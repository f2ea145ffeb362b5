//! The reference backend of Windlass: signs what browsers send to a store (S3-compatible, Azure's or Google's), joins
//! the parts, and brings an embedded store for trying it out. The bytes of the files never pass through the backend.
//!
//! It keeps no session: an upload's id carries what the server has to know, signed.

mod access;
mod auth;
mod checksum;
mod config;
mod cors;
mod digest;
mod embedded;
mod guard;
mod health;
mod keys;
mod limit;
mod metrics;
mod object_headers;
mod outside;
mod page;
mod policy;
mod problem;
mod routes;
mod secret;
mod serve;
mod settings;
mod store;
mod sweep;
mod time;
mod token;
mod turns;
mod webhook;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use reqwest::Url;
use rusty_s3::{Bucket, Credentials, UrlStyle};
use windlass_core::protocol::Limits;

pub use auth::{Auth, JwtKeys, JwtRules, JwtSecret};
pub use config::{Config, ConfigError, LogFormat, S3Checksum, StoreConfig};
pub use embedded::embedded_keys;
pub use keys::{KeyTemplate, TemplateError};
pub use limit::RateLimit;
pub use object_headers::ObjectHeader;
pub use policy::{Policy, TypePattern};
pub use secret::Secret;
pub use settings::{AzureCredentials, Cli, Job, Settings};
pub use store::{Account, Identity, ServiceAccount};
pub use sweep::{Sweep, Swept, sweep};
pub use webhook::{Webhook, WebhookSecret};

use auth::Gate;
use cors::Cors;
use embedded::Claim;
use guard::Guard;
use limit::Limiter;
use metrics::Metrics;
use routes::Backend;
use serve::{Listener, Servers};
use store::{AzureStore, GcsStore, S3Store, Store};
use webhook::Webhooks;

/// A server that is running until [`Running::shutdown`].
#[derive(Debug)]
pub struct Running {
    /// Where the backend listens.
    pub backend_addr: SocketAddr,
    /// Where the embedded store listens, if it is the one in use.
    pub store_addr: Option<SocketAddr>,
    /// Where `/metrics` is, if it has an address of its own.
    pub metrics_addr: Option<SocketAddr>,
    /// Where the objects are, for people.
    pub objects: String,
    servers: Servers,
    webhooks: Option<Arc<Webhooks>>,
    claim: Option<Claim>,
}

impl Running {
    /// Takes no more requests, lets running ones finish for a moment, gives what is still to be told one more try, and
    /// returns.
    pub async fn shutdown(self) {
        self.servers.shutdown().await;
        if let Some(webhooks) = &self.webhooks {
            webhooks.drain().await;
        }
        drop(self.claim);
    }
}

/// Starts the backend, and the embedded store if that is the one.
pub async fn start(config: Config) -> Result<Running, ConfigError> {
    let mut servers = Servers::default();
    let backend_listener = Listener::bind("--listen", config.listen).await?;
    let metrics_listener = match config.metrics_listen {
        Some(addr) => Some(Listener::bind("--metrics-listen", addr).await?),
        None => None,
    };
    let opened = open(&config, &mut servers).await?;
    let metrics = Arc::new(Metrics::new());
    let webhook = config.webhook.clone();
    let webhooks = webhook.map(|to| Webhooks::new(to, &opened.secret, Arc::clone(&metrics))).transpose()?;
    let webhooks = webhooks.map(Arc::new);
    let probes = health::probes(Arc::clone(&opened.store), config.policy.key_template.prefix());
    let mut outside = match &config.page {
        Some(folder) => page::router(folder, &opened.store.public_origin())?,
        None => Router::new().fallback(routes::no_such_route),
    };
    outside = outside.merge(probes);
    let (backend_addr, metrics_addr) =
        (backend_listener.addr, metrics_listener.as_ref().map(|listener| listener.addr));
    match metrics_listener {
        Some(listener) => servers.serve(listener, health::metrics(Arc::clone(&metrics))),
        None => outside = outside.merge(health::metrics(Arc::clone(&metrics))),
    }
    let contract = contract(config, &opened, metrics, webhooks.clone())?;
    servers.serve(backend_listener, outside.nest("/windlass", contract));
    let Opened { objects, addr: store_addr, claim, .. } = opened;
    Ok(Running { backend_addr, store_addr, metrics_addr, objects, servers, webhooks, claim })
}

/// The five routes and what stands before them.
fn contract(
    config: Config,
    opened: &Opened,
    metrics: Arc<Metrics>,
    webhooks: Option<Arc<Webhooks>>,
) -> Result<Router, ConfigError> {
    let store = Arc::clone(&opened.store);
    let limits = limits(&*store, config.max_size);
    let ids = token::Ids::new(&opened.secret);
    let cors = Cors {
        origins: config.allow_origin,
        with_cookies: matches!(config.auth, Auth::Ask(_)),
        may_delete: config.policy.allow_delete,
    };
    let limiter = config.rate_limit.map(Limiter::new);
    let guard = Guard { gate: Gate::new(config.auth, ids.clone())?, limiter };
    let backend =
        Backend { store, ids, limits, policy: config.policy, metrics, webhooks, joining: Arc::default() };
    Ok(routes::router(backend, guard, cors))
}

async fn open(config: &Config, servers: &mut Servers) -> Result<Opened, ConfigError> {
    match &config.store {
        StoreConfig::Embedded { .. } => open_embedded(config, servers).await,
        StoreConfig::S3 { .. } => open_s3(config),
        StoreConfig::Azure { .. } => open_azure(config).await,
        StoreConfig::Gcs { .. } => open_gcs(config),
    }
}

/// A store that is ready.
struct Opened {
    store: Arc<dyn Store>,
    secret: Secret,
    objects: String,
    addr: Option<SocketAddr>,
    claim: Option<Claim>,
}

async fn open_embedded(config: &Config, servers: &mut Servers) -> Result<Opened, ConfigError> {
    let StoreConfig::Embedded { data, listen } = &config.store else { return Err(no_store()) };
    let claim = embedded::claim(data)?;
    let secret = match &config.secret {
        Some(secret) => secret.clone(),
        None => Secret::of_folder(data).map_err(|error| {
            ConfigError::new(format!("The server's secret cannot be kept in {}: {error}.", data.display()))
        })?,
    };
    let credentials = embedded_keys(&secret);
    let listener = Listener::bind("--store-listen", *listen).await?;
    let addr = listener.addr;
    servers.serve(listener, embedded::router(data, &credentials)?);
    let endpoint = Url::parse(&format!("http://{}", reachable(addr))).map_err(|_| no_store())?;
    let place = Place { endpoint, bucket: embedded::BUCKET, region: embedded::REGION, style: UrlStyle::Path };
    let store = sign_for(&place, &credentials, S3Checksum::default(), config)?;
    let folder = data.join(embedded::BUCKET);
    let objects = folder.canonicalize().unwrap_or(folder).display().to_string();
    Ok(Opened { store, secret, objects, addr: Some(addr), claim: Some(claim) })
}

fn open_s3(config: &Config) -> Result<Opened, ConfigError> {
    let StoreConfig::S3 { endpoint, bucket, region, style, credentials } = &config.store else {
        return Err(no_store());
    };
    let secret = secret_of(config)?;
    let place = Place { endpoint: endpoint.clone(), bucket, region, style: *style };
    let store = sign_for(&place, credentials, config.s3_checksum, config)?;
    let objects = format!("bucket {bucket} at {endpoint}");
    Ok(Opened { store, secret, objects, addr: None, claim: None })
}

async fn open_azure(config: &Config) -> Result<Opened, ConfigError> {
    let StoreConfig::Azure { endpoint, container, account } = &config.store else { return Err(no_store()) };
    let mut outside = endpoint.clone();
    if let Some(public) = &config.public_store_url {
        outside = public.clone();
        outside.set_path(endpoint.path());
    }
    let (inside, name, account) = (endpoint.clone(), container.clone(), account.clone());
    let store = Arc::new(AzureStore::new(inside, outside, name, account, config.grant)?);
    store.begin().await;
    let objects = format!("container {container} at {endpoint}");
    Ok(Opened { store, secret: secret_of(config)?, objects, addr: None, claim: None })
}

fn open_gcs(config: &Config) -> Result<Opened, ConfigError> {
    let StoreConfig::Gcs { endpoint, bucket, account } = &config.store else { return Err(no_store()) };
    let outside = config.public_store_url.as_ref().unwrap_or(endpoint);
    let store =
        GcsStore::new(endpoint, outside, bucket.clone(), account.clone(), config.grant, config.forms)?;
    let objects = format!("bucket {bucket} at {endpoint}");
    Ok(Opened { store: Arc::new(store), secret: secret_of(config)?, objects, addr: None, claim: None })
}

/// The secret of a server whose store cannot keep one for it.
fn secret_of(config: &Config) -> Result<Secret, ConfigError> {
    let none =
        || ConfigError::new("WINDLASS_SECRET is not set. Set it to a random text of 16 bytes or more.");
    config.secret.clone().ok_or_else(none)
}

/// Where a bucket is.
struct Place<'a> {
    endpoint: Url,
    bucket: &'a str,
    region: &'a str,
    style: UrlStyle,
}

fn sign_for(
    place: &Place<'_>,
    credentials: &Credentials,
    checksum: S3Checksum,
    config: &Config,
) -> Result<Arc<dyn Store>, ConfigError> {
    let at = |endpoint: &Url| {
        let bucket =
            Bucket::new(endpoint.clone(), place.style, place.bucket.to_owned(), place.region.to_owned());
        bucket.map_err(|_| ConfigError::new("The bucket's name and the store's URL do not go together."))
    };
    let outside = at(config.public_store_url.as_ref().unwrap_or(&place.endpoint))?;
    let (inside, keys) = (at(&place.endpoint)?, credentials.clone());
    let headers = config.object_headers.clone();
    let store = S3Store::new(inside, outside, keys, config.grant, config.forms, headers)?;
    Ok(Arc::new(store.with_checksum(checksum.algorithm())))
}

fn no_store() -> ConfigError {
    ConfigError::new("The store cannot be opened as configured.")
}

/// What the store takes, or less where the policy says so.
fn limits(store: &dyn Store, max_size: Option<u64>) -> Limits {
    let limits = store.provider().limits();
    Limits { max_size: max_size.unwrap_or(limits.max_size).min(limits.max_size), ..limits }
}

/// An address to which one can connect, for one at which one can listen.
pub fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        ip if !ip.is_unspecified() => addr,
        IpAddr::V4(_) => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), addr.port()),
        IpAddr::V6(_) => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), addr.port()),
    }
}
