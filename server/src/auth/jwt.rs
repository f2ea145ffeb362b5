//! Bearer tokens (RFC 6750) that are JSON Web Tokens (RFC 7519).

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use reqwest::Url;
use serde_json::{Map, Value};

use super::jwks::Jwks;
use super::{Denied, crypto, user_named};
use crate::config::ConfigError;

/// The shortest shared secret, in bytes (RFC 7518, section 3.2).
pub(crate) const SHORTEST: usize = 32;

/// By how much clocks may differ, in seconds.
const LEEWAY: u64 = 30;

/// What a token has to be.
#[derive(Debug, Clone)]
pub struct JwtRules {
    /// What its signature is checked with.
    pub keys: JwtKeys,
    /// Whom it may come from (`iss`); anybody if there is none.
    pub issuers: Vec<String>,
    /// Whom it may be for (`aud`). Without any, a token that names somebody is refused.
    pub audiences: Vec<String>,
    /// The claim that names the user, a text.
    pub user_claim: String,
}

/// What signatures of tokens are checked with.
#[derive(Debug, Clone)]
pub enum JwtKeys {
    /// A secret that both sides have: HS256.
    Shared(JwtSecret),
    /// Public keys at a URL (RFC 7517): RS256 and ES256.
    Jwks(Url),
}

/// A shared secret. It never shows itself.
#[derive(Clone)]
pub struct JwtSecret(Arc<[u8]>);

impl fmt::Debug for JwtSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtSecret(…)")
    }
}

impl JwtSecret {
    /// `None` if it has fewer than 32 bytes.
    pub fn from_text(text: &str) -> Option<Self> {
        (text.len() >= SHORTEST).then(|| Self(text.as_bytes().into()))
    }
}

/// Checks tokens.
pub(super) struct Checker {
    keys: Keys,
    issuers: Vec<String>,
    audiences: Vec<String>,
    user_claim: String,
}

enum Keys {
    Shared(DecodingKey),
    Jwks(Jwks),
}

impl Checker {
    pub(super) fn new(rules: JwtRules) -> Result<Self, ConfigError> {
        crypto::install();
        let JwtRules { keys, issuers, audiences, user_claim } = rules;
        let keys = match keys {
            JwtKeys::Shared(secret) => Keys::Shared(DecodingKey::from_secret(&secret.0)),
            JwtKeys::Jwks(url) => Keys::Jwks(Jwks::new(url)?),
        };
        Ok(Self { keys, issuers, audiences, user_claim })
    }

    /// Whose token it is.
    pub(super) async fn user(&self, headers: &HeaderMap) -> Result<Arc<str>, Denied> {
        let token = bearer(headers).ok_or(Denied::Unknown)?;
        let header = decode_header(token).map_err(|error| refused(&error))?;
        let (algorithm, key) = match &self.keys {
            Keys::Shared(key) => (Algorithm::HS256, key.clone()),
            // The key says what it signs with, not the token.
            Keys::Jwks(jwks) => jwks.find(header.kid.as_deref()).await?,
        };
        let token = decode::<Map<String, Value>>(token, &key, &self.validation(algorithm));
        let claims = token.map_err(|error| refused(&error))?.claims;
        let named = claims.get(&self.user_claim).and_then(Value::as_str).and_then(user_named);
        named.ok_or(Denied::Refused("the claim of the user is missing"))
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        let mut required = vec!["exp"];
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        if !self.issuers.is_empty() {
            validation.set_issuer(&self.issuers);
            required.push("iss");
        }
        if !self.audiences.is_empty() {
            validation.set_audience(&self.audiences);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

/// The token of `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// In words that hold nothing of the token.
fn refused(error: &Error) -> Denied {
    Denied::Refused(match error.kind() {
        ErrorKind::ExpiredSignature => "the token has expired",
        ErrorKind::ImmatureSignature => "the token is not valid yet",
        ErrorKind::InvalidSignature => "the token's signature is wrong",
        ErrorKind::InvalidIssuer => "the token is from another issuer",
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => "the token has another algorithm",
        ErrorKind::MissingRequiredClaim(_) => "the token lacks exp, iss or aud",
        _ => "the token is not one",
    })
}
