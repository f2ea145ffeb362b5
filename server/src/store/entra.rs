//! Identities of Microsoft Entra, and the tokens by which they use Azure Storage: instead of an account's key, which is good
//! for everything and for ever.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::StatusCode;
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use serde_json::Value;

use crate::config::ConfigError;
use crate::outside::{self, Broken};
use crate::time::left;

/// Whom tokens are for.
const RESOURCE: &str = "https://storage.azure.com/";

/// How a token of a cluster's or platform's is handed in (RFC 7523).
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Bytes of an answer at most.
const MOST_BYTES: usize = 256 * 1024;

/// A token is replaced when so little of its time is left, or half of it.
const RESERVE: Duration = Duration::from_mins(5);

/// An identity, and how it is proven. What proves it never shows itself.
#[derive(Clone)]
pub struct Identity {
    /// Who gives tokens.
    url: Url,
    proof: Proof,
}

#[derive(Clone)]
enum Proof {
    Secret {
        client: String,
        secret: String,
    },
    /// The file holds a token of somebody whom Entra trusts, and is written anew from time to time.
    File {
        client: String,
        file: PathBuf,
    },
    /// The machine itself is known.
    Machine {
        client: Option<String>,
    },
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("way", &self.way()).finish_non_exhaustive()
    }
}

impl Identity {
    /// An app registration with a client secret.
    pub fn secret(authority: &Url, tenant: &str, client: &str, secret: &str) -> Self {
        let proof = Proof::Secret { client: client.to_owned(), secret: secret.to_owned() };
        Self { url: token_url(authority, tenant), proof }
    }

    /// A workload of a cluster, by the token in a file.
    pub fn workload(authority: &Url, tenant: &str, client: &str, file: PathBuf) -> Self {
        let proof = Proof::File { client: client.to_owned(), file };
        Self { url: token_url(authority, tenant), proof }
    }

    /// The managed identity of this machine: its own, or the one with this client id. `host` is that of the machine's metadata
    /// service.
    pub fn managed(host: &Url, client: Option<&str>) -> Self {
        let mut url = host.clone();
        url.set_path("/metadata/identity/oauth2/token");
        Self { url, proof: Proof::Machine { client: client.map(str::to_owned) } }
    }

    fn way(&self) -> &'static str {
        match self.proof {
            Proof::Secret { .. } => "client secret",
            Proof::File { .. } => "workload identity",
            Proof::Machine { .. } => "managed identity",
        }
    }

    pub(super) fn client(&self) -> Result<Client, ConfigError> {
        outside::client(&self.url)
    }

    /// A new token.
    pub(super) async fn token(&self, http: &Client) -> Result<Token, Broken> {
        let taken = Timestamp::now();
        let (status, body) = outside::answer(self.request(http).await?, MOST_BYTES).await?;
        if !status.is_success() {
            return Err(Broken(format!("the answer to its {} is {}", self.way(), refusal(status, &body))));
        }
        let odd = || Broken(format!("the answer to its {} is not a token", self.way()));
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| odd())?;
        let lifetime = answer.lifetime().ok_or_else(odd)?;
        let until = taken.saturating_add(lifetime).map_err(|_| odd())?;
        Ok(Token { text: answer.access_token, taken, until })
    }

    async fn request(&self, http: &Client) -> Result<RequestBuilder, Broken> {
        let scope = format!("{RESOURCE}.default");
        let grant = [("grant_type", "client_credentials"), ("scope", &scope)];
        let post = |fields: &[(&str, &str)]| {
            let mut form = form_urlencoded::Serializer::new(String::new());
            let body = form.extend_pairs(grant).extend_pairs(fields).finish();
            http.post(self.url.clone()).header("content-type", "application/x-www-form-urlencoded").body(body)
        };
        Ok(match &self.proof {
            Proof::Secret { client, secret } => post(&[("client_id", client), ("client_secret", secret)]),
            Proof::File { client, file } => {
                let text = tokio::fs::read_to_string(file).await.map_err(|error| {
                    Broken(format!("the file that AZURE_FEDERATED_TOKEN_FILE names cannot be read: {error}"))
                })?;
                let proof = [("client_assertion_type", ASSERTION), ("client_assertion", text.trim())];
                post(&[("client_id", client.as_str()), proof[0], proof[1]])
            }
            Proof::Machine { client } => {
                let mut url = self.url.clone();
                url.query_pairs_mut()
                    .extend_pairs([("api-version", "2018-02-01"), ("resource", RESOURCE)])
                    .extend_pairs(client.as_deref().map(|id| ("client_id", id)));
                // Without it nobody is answered: who can only make the server follow a URL gets no token.
                http.get(url).header("metadata", "true")
            }
        })
    }
}

fn token_url(authority: &Url, tenant: &str) -> Url {
    let mut url = authority.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend([tenant, "oauth2", "v2.0", "token"]);
    }
    url
}

/// What a holder may do for a while. It never shows itself.
pub(super) struct Token {
    pub(super) text: String,
    taken: Timestamp,
    until: Timestamp,
}

impl Token {
    /// Whether it is still taken.
    pub(super) fn is_good(&self, now: Timestamp) -> bool {
        now < self.until
    }

    /// Whether it is time for another.
    pub(super) fn is_old(&self, now: Timestamp) -> bool {
        is_half_over(self.taken, self.until, now) || left(self.until, now) < RESERVE
    }
}

/// Whether half of a time is over, or it has not begun, by a clock that was set back.
pub(super) fn is_half_over(from: Timestamp, until: Timestamp, now: Timestamp) -> bool {
    now < from || left(until, now) < left(now, from)
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// A number, or a text of one where a machine's metadata service answers.
    expires_in: Value,
}

impl Answer {
    fn lifetime(&self) -> Option<Duration> {
        let seconds = match &self.expires_in {
            Value::String(text) => text.parse().ok(),
            number => number.as_u64(),
        };
        seconds.map(Duration::from_secs).filter(|_| !self.access_token.is_empty())
    }
}

/// Why there is no token, in Entra's codes. Its sentences name what was sent.
#[derive(Deserialize)]
struct Reason {
    error: String,
    #[serde(default)]
    error_codes: Vec<u32>,
}

fn refusal(status: StatusCode, body: &[u8]) -> String {
    let status = status.as_u16();
    let is_code = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match serde_json::from_slice::<Reason>(body) {
        Ok(Reason { error, error_codes }) if is_code(&error) => {
            let codes = error_codes.iter().map(|code| format!("AADSTS{code}"));
            [status.to_string(), error].into_iter().chain(codes).collect::<Vec<_>>().join(" ")
        }
        _ => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn what_proves_an_identity_never_shows_itself() {
        let identity = Identity::secret(&url("https://login.example/"), "tenant", "client", "hidden");
        assert_eq!(format!("{identity:?}"), "Identity { way: \"client secret\", .. }");
        assert_eq!(identity.url.as_str(), "https://login.example/tenant/oauth2/v2.0/token");
    }

    #[test]
    fn a_refusal_is_told_by_its_codes_alone() {
        let told = |body: &str| refusal(StatusCode::UNAUTHORIZED, body.as_bytes());
        let body =
            r#"{"error":"invalid_client","error_description":"the secret hidden","error_codes":[7000215]}"#;
        assert_eq!(told(body), "401 invalid_client AADSTS7000215");
        assert_eq!(told(r#"{"error":"<a href=x>"}"#), "401");
        assert_eq!(told("<html>"), "401");
    }

    #[test]
    fn a_lifetime_is_a_number_or_a_text_of_one() {
        let lifetime = |json: &str| serde_json::from_str::<Answer>(json).unwrap().lifetime();
        let hour = Some(Duration::from_hours(1));
        assert_eq!(lifetime(r#"{"access_token":"t","expires_in":3600}"#), hour);
        assert_eq!(lifetime(r#"{"access_token":"t","expires_in":"3600"}"#), hour);
        for odd in [r#"{"access_token":"t","expires_in":-1}"#, r#"{"access_token":"","expires_in":1}"#] {
            assert_eq!(lifetime(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_token_is_replaced_long_before_its_end() {
        let at = |minutes: i64| Timestamp::from_second(1_800_000_000 + minutes * 60).unwrap();
        let token = |minutes| Token { text: String::new(), taken: at(0), until: at(minutes) };
        assert!(!token(60).is_old(at(29)) && token(60).is_old(at(31)) && token(60).is_old(at(-1)));
        assert!(token(8).is_old(at(4)) && token(60).is_good(at(59)) && !token(60).is_good(at(60)));
    }
}
