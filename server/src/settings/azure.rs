//! Azure's words: the container, the account, and what the server may use it by.

use std::path::PathBuf;

use clap::ValueEnum;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::Settings;
use super::check::http_url;
use crate::config::{ConfigError, StoreConfig};
use crate::store::{Account, Identity};

/// Who gives tokens, unless `AZURE_AUTHORITY_HOST` names another (the clouds of governments and China have their own).
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// The metadata service of a machine in Azure. What stands in `AZURE_POD_IDENTITY_AUTHORITY_HOST` takes its place.
const METADATA: &str = "http://169.254.169.254";

/// By what the server uses an account of Azure Storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AzureCredentials {
    /// The account's key.
    #[default]
    Key,
    /// An app registration of Microsoft Entra and its secret.
    ClientSecret,
    /// The workload identity of a pod in Kubernetes.
    WorkloadIdentity,
    /// The managed identity of a machine in Azure.
    ManagedIdentity,
}

impl AzureCredentials {
    fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::ClientSecret => "client-secret",
            Self::WorkloadIdentity => "workload-identity",
            Self::ManagedIdentity => "managed-identity",
        }
    }
}

impl Settings {
    pub(super) fn azure(
        &self,
        container: String,
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
        let Some(name) = env("AZURE_STORAGE_ACCOUNT") else {
            return Err(ConfigError::new(
                "AZURE_STORAGE_ACCOUNT is not set. Set it to the account that --azure-container is in.",
            ));
        };
        let name = name.trim();
        let usual = format!("https://{name}.blob.core.windows.net");
        let endpoint = http_url("--azure-endpoint", self.azure_endpoint.as_deref().unwrap_or(&usual))?;
        let credentials = self.azure_credentials.unwrap_or_default();
        let account = match identity(credentials, env)? {
            None => account_with_key(name, env)?,
            Some(_) if endpoint.scheme() != "https" => {
                return Err(ConfigError::new(format!(
                    "--azure-credentials {} needs an https:// --azure-endpoint: Azure takes tokens over TLS only.",
                    credentials.name()
                )));
            }
            Some(identity) => Account::of_identity(name, identity),
        };
        Ok(StoreConfig::Azure { endpoint, container, account })
    }
}

fn account_with_key(name: &str, env: &impl Fn(&str) -> Option<String>) -> Result<Account, ConfigError> {
    let Some(key) = env("AZURE_STORAGE_KEY") else {
        return Err(ConfigError::new(
            "AZURE_STORAGE_KEY is not set. Set it to a key of the account that --azure-container is in, or say with \
             --azure-credentials which identity of Microsoft Entra to use instead.",
        ));
    };
    let wrong =
        || ConfigError::new("AZURE_STORAGE_KEY is not a key. Copy it as the portal shows it, in base64.");
    Account::new(name, &key).ok_or_else(wrong)
}

/// The identity to use in place of a key, if one is to be.
fn identity(
    credentials: AzureCredentials,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Option<Identity>, ConfigError> {
    let needed = |name: &str, what: &str| {
        let none = || {
            ConfigError::new(format!(
                "--azure-credentials {} needs {name}. Set it to {what}.",
                credentials.name()
            ))
        };
        env(name).map(|value| value.trim().to_owned()).ok_or_else(none)
    };
    let tenant = || {
        let tenant = needed("AZURE_TENANT_ID", "the id of the directory that the identity is in")?;
        let is_plain = tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        let odd =
            "AZURE_TENANT_ID is not the id of a directory. It has letters, digits, dashes and dots only.";
        if is_plain { Ok(tenant) } else { Err(ConfigError::new(odd)) }
    };
    let client = || needed("AZURE_CLIENT_ID", "the client id of the identity");
    Ok(match credentials {
        AzureCredentials::Key => None,
        AzureCredentials::ClientSecret => {
            let secret = needed("AZURE_CLIENT_SECRET", "a secret of the app registration")?;
            Some(Identity::secret(&authority(env)?, &tenant()?, &client()?, &secret))
        }
        AzureCredentials::WorkloadIdentity => {
            let what = "the file with the token of the pod, as the webhook of workload identities does";
            let file = PathBuf::from(needed("AZURE_FEDERATED_TOKEN_FILE", what)?);
            std::fs::metadata(&file).map_err(|error| {
                ConfigError::new(format!(
                    "The file that AZURE_FEDERATED_TOKEN_FILE names cannot be read: {error}."
                ))
            })?;
            Some(Identity::workload(&authority(env)?, &tenant()?, &client()?, file))
        }
        AzureCredentials::ManagedIdentity => {
            let host = env("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or_else(|| METADATA.to_owned());
            let host = http_url("AZURE_POD_IDENTITY_AUTHORITY_HOST", host.trim())?;
            Some(Identity::managed(&host, env("AZURE_CLIENT_ID").as_deref().map(str::trim)))
        }
    })
}

/// Who gets what proves the identity: nobody in the clear, but this machine.
fn authority(env: &impl Fn(&str) -> Option<String>) -> Result<Url, ConfigError> {
    let host = env("AZURE_AUTHORITY_HOST").unwrap_or_else(|| AUTHORITY.to_owned());
    let url = http_url("AZURE_AUTHORITY_HOST", host.trim())?;
    if url.scheme() == "https" || matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost")) {
        return Ok(url);
    }
    Err(ConfigError::new(
        "AZURE_AUTHORITY_HOST is not an https:// URL. What proves the identity must not go there in the clear.",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{KEYS, config, refused};
    use crate::config::StoreConfig;

    const BOX: [&str; 2] = ["--azure-container", "box"];
    const ENV: [(&str, &str); 3] =
        [KEYS[2], ("AZURE_STORAGE_ACCOUNT", "acct"), ("AZURE_STORAGE_KEY", "c2VjcmV0")];
    const IDENTITY: [(&str, &str); 5] = [
        KEYS[2],
        ENV[1],
        ("AZURE_TENANT_ID", "tenant.example"),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_CLIENT_SECRET", "hidden"),
    ];

    fn way(name: &str) -> [&str; 4] {
        [BOX[0], BOX[1], "--azure-credentials", name]
    }

    #[test]
    fn takes_azures_names_from_the_environment() {
        let StoreConfig::Azure { endpoint, .. } = config(&BOX, &ENV).unwrap().store else { panic!() };
        assert_eq!(endpoint.as_str(), "https://acct.blob.core.windows.net/");
        refused(&BOX, &[ENV[0], ENV[2]], "AZURE_STORAGE_ACCOUNT is not set");
        refused(&BOX, &ENV[..2], "AZURE_STORAGE_KEY is not set");
        refused(&BOX, &ENV[1..], "WINDLASS_SECRET is not set");
        refused(&["--azure-container", "No"], &ENV, "--azure-container");
        refused(&["--azure-endpoint", "https://x"], &ENV, "--azure-container");
        refused(&[&BOX[..], &["--data", "x"]].concat(), &ENV, "--data");
        refused(&BOX, &[ENV[0], ENV[1], ("AZURE_STORAGE_KEY", "?")], "AZURE_STORAGE_KEY is not a key");
    }

    #[test]
    fn an_identity_takes_the_place_of_the_key() {
        let taken = config(&way("client-secret"), &IDENTITY).unwrap();
        assert!(!format!("{taken:?}").contains("hidden"));
        let secret = way("client-secret");
        refused(&secret, &IDENTITY[..4], "--azure-credentials client-secret needs AZURE_CLIENT_SECRET");
        refused(&secret, &[&IDENTITY[..3], &IDENTITY[4..]].concat(), "needs AZURE_CLIENT_ID");
        refused(&secret, &[&IDENTITY[..2], &IDENTITY[3..]].concat(), "needs AZURE_TENANT_ID");
        let odd = [&IDENTITY[..2], &IDENTITY[3..], &[("AZURE_TENANT_ID", "a/b")]].concat();
        refused(&secret, &odd, "AZURE_TENANT_ID is not the id");
        let host = |url| [&IDENTITY[..], &[("AZURE_AUTHORITY_HOST", url)]].concat();
        assert!(config(&secret, &host("https://login.microsoftonline.us/")).is_ok());
        assert!(config(&secret, &host("http://127.0.0.1:1")).is_ok());
        refused(&secret, &host("http://login.example"), "AZURE_AUTHORITY_HOST is not an https:// URL");
        let clear = [&secret[..], &["--azure-endpoint", "http://127.0.0.1:1/acct"]].concat();
        refused(&clear, &IDENTITY, "needs an https:// --azure-endpoint");
        refused(&["--azure-credentials", "key"], &[], "--azure-credentials needs --azure-container");
        refused(&way("password"), &IDENTITY, "--azure-credentials");
    }

    #[test]
    fn pods_and_machines_prove_themselves() {
        let pod = way("workload-identity");
        refused(&pod, &IDENTITY, "needs AZURE_FEDERATED_TOKEN_FILE");
        let file = |path| [&IDENTITY[..], &[("AZURE_FEDERATED_TOKEN_FILE", path)]].concat();
        assert!(config(&pod, &file(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))).is_ok());
        refused(&pod, &file("/does/not/exist"), "AZURE_FEDERATED_TOKEN_FILE names cannot be read");
        let machine = way("managed-identity");
        assert!(config(&machine, &IDENTITY[..2]).is_ok() && config(&machine, &IDENTITY[..4]).is_ok());
        let odd = [IDENTITY[0], IDENTITY[1], ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "x")];
        refused(&machine, &odd, "AZURE_POD_IDENTITY_AUTHORITY_HOST is not an http");
    }
}
