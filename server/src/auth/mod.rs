//! Who may use the backend: everybody, whoever has a token that verifies, or whoever the app's own server lets.

mod ask;
mod crypto;
mod jwks;
mod jwt;

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use reqwest::Url;
use windlass_core::protocol::problem_code as code;

pub use jwt::{JwtKeys, JwtRules, JwtSecret};

use crate::config::ConfigError;
use crate::problem::{Refusal, problem};
use crate::token::Ids;

/// Bytes of a user's name at most.
const LONGEST_USER: usize = 256;

/// Who may use the backend.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Everybody who can reach it.
    Anonymous,
    /// Whoever sends a JSON Web Token (RFC 7519) as a bearer token that passes.
    Jwt(JwtRules),
    /// Whoever this URL answers 2xx for.
    Ask(Url),
}

/// Who has asked. Ids belong to whoever got them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    /// As the token or the app's server names them; nobody's where everybody may.
    pub(crate) user: Option<Arc<str>>,
    /// The same as a keyed hash, for ids and logs.
    pub(crate) hash: Option<String>,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Nothing came that could tell who it is.
    Unknown,
    /// What came is not accepted, or not any more; the word is for the log.
    Refused(&'static str),
    /// Somebody who may not upload.
    Forbidden,
    /// Whether they may could not be found out.
    Unavailable,
}

impl IntoResponse for Denied {
    /// RFC 9110, section 11.6.1, and RFC 6750, section 3, for the header of a 401.
    fn into_response(self) -> Response {
        let (problem, header) = match self {
            Self::Unknown => {
                let problem = problem(code::UNAUTHORIZED, "Nobody is signed in. Sign in, then try again.");
                (problem, Some((header::WWW_AUTHENTICATE, "Bearer")))
            }
            Self::Refused(_) => {
                let detail = "Your session has ended, or is not accepted here. Sign in again.";
                let header = (header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"");
                (problem(code::UNAUTHORIZED, detail), Some(header))
            }
            Self::Forbidden => {
                let detail = "You may not upload here. Ask whoever runs this site.";
                (problem(code::FORBIDDEN, detail), None)
            }
            Self::Unavailable => {
                let detail = "Whether you may upload could not be found out. Try again in a moment.";
                (problem(code::AUTH_UNAVAILABLE, detail), Some((header::RETRY_AFTER, "5")))
            }
        };
        let mut response = Refusal(problem).into_response();
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Lets in or not.
pub(crate) struct Gate {
    way: Way,
    ids: Ids,
}

enum Way {
    Open,
    Jwt(jwt::Checker),
    Ask(ask::Asker),
}

impl Gate {
    pub(crate) fn new(auth: Auth, ids: Ids) -> Result<Self, ConfigError> {
        let way = match auth {
            Auth::Anonymous => Way::Open,
            Auth::Jwt(rules) => Way::Jwt(jwt::Checker::new(rules)?),
            Auth::Ask(url) => Way::Ask(ask::Asker::new(url)?),
        };
        Ok(Self { way, ids })
    }

    /// Whether somebody else has to be asked who sends these headers.
    pub(crate) fn has_to_ask(&self, headers: &HeaderMap) -> bool {
        matches!(&self.way, Way::Ask(asker) if asker.has_to_ask(headers))
    }

    /// Who sends these headers.
    pub(crate) async fn admit(&self, headers: &HeaderMap) -> Result<Caller, Denied> {
        let user = match &self.way {
            Way::Open => return Ok(Caller::default()),
            Way::Jwt(checker) => checker.user(headers).await,
            Way::Ask(asker) => asker.user(headers).await,
        }?;
        Ok(Caller { hash: Some(self.ids.hash_of(&user)), user: Some(user) })
    }
}

/// A name that can be a user's.
fn user_named(name: &str) -> Option<Arc<str>> {
    ((1..=LONGEST_USER).contains(&name.len()) && !name.contains(char::is_control)).then(|| name.into())
}
