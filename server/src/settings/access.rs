//! Who may use the backend, and who is told of what.

use reqwest::Url;

use super::Settings;
use super::check::{http_url, read_secret};
use crate::auth::{Auth, JwtKeys, JwtRules, JwtSecret};
use crate::config::ConfigError;
use crate::webhook::{Webhook, WebhookSecret};

/// What to say to somebody who has not chosen, or too much.
const CHOICES: &str = "Choose one of --jwks-url or --jwt-secret-file (WINDLASS_JWT_SECRET) for those with a token, --auth-url for \
    those whom your own server knows, or --allow-anonymous for everybody who can reach the server.";

impl Settings {
    pub(super) fn auth(&self, env: &impl Fn(&str) -> Option<String>) -> Result<Auth, ConfigError> {
        let shared = self.shared_secret(env)?;
        let is_open = self.allow_anonymous == Some(true);
        let ways = [is_open, shared.is_some(), self.jwks_url.is_some(), self.auth_url.is_some()];
        match ways.into_iter().filter(|chosen| *chosen).count() {
            0 => return Err(ConfigError::new(format!("It is not said who may upload. {CHOICES}"))),
            1 => {}
            _ => return Err(ConfigError::new(format!("It is said twice who may upload. {CHOICES}"))),
        }
        self.check_token_settings(shared.is_some() || self.jwks_url.is_some())?;
        let url =
            |flag: &str, text: &Option<String>| text.as_deref().map(|text| endpoint(flag, text)).transpose();
        if let Some(url) = url("--auth-url", &self.auth_url)? {
            return Ok(Auth::Ask(url));
        }
        let jwks = url("--jwks-url", &self.jwks_url)?.map(JwtKeys::Jwks);
        let Some(keys) = jwks.or(shared.map(JwtKeys::Shared)) else { return Ok(Auth::Anonymous) };
        let issuers = self.jwt_issuer.clone().unwrap_or_default();
        if matches!(keys, JwtKeys::Jwks(_)) && issuers.is_empty() {
            return Err(ConfigError::new(
                "--jwks-url needs --jwt-issuer. Give the iss that your tokens have, so that no other is accepted.",
            ));
        }
        Ok(Auth::Jwt(JwtRules {
            keys,
            issuers,
            audiences: self.jwt_audience.clone().unwrap_or_default(),
            user_claim: self.jwt_user_claim.clone().unwrap_or_else(|| "sub".to_owned()),
        }))
    }

    fn shared_secret(&self, env: &impl Fn(&str) -> Option<String>) -> Result<Option<JwtSecret>, ConfigError> {
        let (name, text) = match (env("WINDLASS_JWT_SECRET"), &self.jwt_secret_file) {
            (Some(text), _) => ("WINDLASS_JWT_SECRET", text),
            (None, Some(file)) => ("--jwt-secret-file", read_secret("--jwt-secret-file", file)?),
            (None, None) => return Ok(None),
        };
        let short =
            || ConfigError::new(format!("{name} is too short for HS256. It has to have 32 bytes or more."));
        JwtSecret::from_text(&text).map(Some).ok_or_else(short)
    }

    pub(super) fn webhook(
        &self,
        env: &impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Webhook>, ConfigError> {
        let Some(url) = &self.webhook_url else { return Ok(None) };
        let url = endpoint("--webhook-url", url)?;
        let (name, text) = match (env("WINDLASS_WEBHOOK_SECRET"), &self.webhook_secret_file) {
            (Some(text), _) => ("WINDLASS_WEBHOOK_SECRET", text),
            (None, Some(file)) => ("--webhook-secret-file", read_secret("--webhook-secret-file", file)?),
            (None, None) => {
                return Err(ConfigError::new(
                    "--webhook-url needs --webhook-secret-file or WINDLASS_WEBHOOK_SECRET, so that the other side can \
                     check who has sent an event.",
                ));
            }
        };
        let odd = || ConfigError::new(format!("{name} is not whsec_ followed by 24 to 64 bytes in base64."));
        let secret = WebhookSecret::from_text(text.trim()).ok_or_else(odd)?;
        Ok(Some(Webhook { url, secret }))
    }

    /// A rule that nobody follows would be taken for one that holds.
    fn check_token_settings(&self, has_tokens: bool) -> Result<(), ConfigError> {
        let given = [
            ("--jwt-issuer", self.jwt_issuer.is_some()),
            ("--jwt-audience", self.jwt_audience.is_some()),
            ("--jwt-user-claim", self.jwt_user_claim.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given && !has_tokens) {
            Some((flag, _)) => Err(ConfigError::new(format!(
                "{flag} is about tokens, but no --jwks-url or --jwt-secret-file is there to check them with."
            ))),
            None => Ok(()),
        }
    }
}

/// A URL that is called as it is, so that it may have a query.
pub(super) fn endpoint(flag: &str, text: &str) -> Result<Url, ConfigError> {
    let mut bare = Url::parse(text).ok();
    if let Some(url) = &mut bare {
        url.set_query(None);
    }
    // What is wrong with the rest is told in the same words as elsewhere.
    http_url(flag, bare.as_ref().map_or(text, Url::as_str))?;
    Url::parse(text).map_err(|_| ConfigError::new(format!("{flag} is not a URL.")))
}
