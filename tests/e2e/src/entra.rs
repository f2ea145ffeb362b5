//! Stands in for Microsoft Entra: gives tokens, which Azurite reads without asking who has signed them.

use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::http;

/// The directory that it knows.
const TENANT: &str = "4f8e3f7c-0c07-4f5e-9f0a-2f0a4c1f7d10";
/// The app in it.
const CLIENT: &str = "0d7a8c5e-7c1d-4c53-8a0d-6a3f4f2a9b21";
/// The app's secret.
const SECRET: &str = "a secret of the end-to-end tests";

/// The running mint; ends with the run.
#[derive(Debug)]
pub(crate) struct Entra {
    url: String,
}

impl Entra {
    /// Starts it.
    pub(crate) async fn start() -> Result<Self> {
        Ok(Self { url: format!("http://{}", http::serve(answer).await?) })
    }

    /// What the server is told about itself.
    pub(crate) fn environment(&self) -> [(&'static str, &str); 4] {
        [
            ("AZURE_AUTHORITY_HOST", &self.url),
            ("AZURE_TENANT_ID", TENANT),
            ("AZURE_CLIENT_ID", CLIENT),
            ("AZURE_CLIENT_SECRET", SECRET),
        ]
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    // A form's fields are what follows a URL's question mark.
    let form = reqwest::Url::parse(&format!("form:?{}", String::from_utf8_lossy(&body)))?;
    let field =
        |name: &str| form.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let is_known = path == format!("/{TENANT}/oauth2/v2.0/token")
        && field("client_id").as_deref() == Some(CLIENT)
        && field("client_secret").as_deref() == Some(SECRET)
        && field("scope").as_deref() == Some("https://storage.azure.com/.default");
    let (status, body) = if is_known {
        (StatusCode::OK, json!({ "token_type": "Bearer", "expires_in": 3600, "access_token": token() }))
    } else {
        (StatusCode::UNAUTHORIZED, json!({ "error": "invalid_client" }))
    };
    let mut answer = Response::new(Full::from(body.to_string()));
    *answer.status_mut() = status;
    Ok(answer)
}

/// A token as Entra words it, signed by nobody.
fn token() -> String {
    let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let now = jiff::Timestamp::now();
    let at = |time: jiff::Timestamp| time.as_second();
    let claims = json!({
        "aud": "https://storage.azure.com",
        "iss": format!("https://sts.windows.net/{TENANT}/"),
        "iat": at(now - Duration::from_secs(5)),
        "nbf": at(now - Duration::from_secs(5)),
        "exp": at(now + Duration::from_secs(3600)),
        "appid": CLIENT,
        "oid": "7b1b1c5a-9d0c-4c37-8a55-0f5b7b8b6f3e",
        "sub": "7b1b1c5a-9d0c-4c37-8a55-0f5b7b8b6f3e",
        "tid": TENANT,
    });
    format!("{}.{}.c2lnbmF0dXJl", encode(&json!({ "alg": "RS256", "typ": "JWT" })), encode(&claims))
}
