//! A backend that speaks the contract (`windlass_core::protocol`) over HTTP.

use std::collections::BTreeMap;
use std::fmt;

use gloo_net::http::{Request as HttpRequest, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;
use web_sys::RequestCredentials;
use windlass_core::machine::{Answer, Request};
use windlass_core::protocol::{Problem, Route};
use windlass_core::retry::{CallFailure, parse_retry_after};

/// Where the backend is and what every call to it carries.
#[derive(Clone, PartialEq, Eq)]
pub struct Http {
    /// The address that the five routes are under, absolute or relative to the page.
    pub endpoint: String,
    /// Headers of every call, such as `Authorization`. They never go to the store.
    pub headers: BTreeMap<String, String>,
    /// Whether cookies go to a backend on another origin.
    pub with_credentials: bool,
}

impl fmt::Debug for Http {
    /// Without the headers' values: tokens are in there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.keys().collect();
        f.debug_struct("Http")
            .field("endpoint", &self.endpoint)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

impl Http {
    /// Asks, and reads the answer. Dropping the future gives the call up.
    pub async fn call(&self, request: Request) -> Result<Answer, CallFailure> {
        let json = match &request {
            Request::Create(request) => to_json(request),
            Request::Sign(request) => to_json(request),
            Request::List(request) => to_json(request),
            Request::Complete(request) => to_json(request),
            Request::Abort(request) => to_json(request),
        };
        let json = json.ok_or_else(|| CallFailure::Malformed("the request is not JSON".into()))?;
        let route = request.route();
        let text = self.post(route, json).await?;
        let answer = match route {
            Route::Create => from_json(&text).map(Answer::Create),
            Route::Sign => from_json(&text).map(Answer::Sign),
            Route::List => from_json(&text).map(Answer::List),
            Route::Complete => from_json(&text).map(Answer::Complete),
            Route::Abort => from_json(&text).map(Answer::Abort),
        };
        answer.map_err(CallFailure::Malformed)
    }

    /// The one function that waits; it is not generic, since each copy of it would cost 3 KB of wasm.
    async fn post(&self, route: Route, json: String) -> Result<String, CallFailure> {
        let unsendable = |_| CallFailure::Malformed("the endpoint or a header is not a valid one".into());
        let url = format!("{}/{}", self.endpoint.trim_end_matches('/'), route.path());
        let credentials =
            if self.with_credentials { RequestCredentials::Include } else { RequestCredentials::SameOrigin };
        let mut request = HttpRequest::post(&url).credentials(credentials);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.header("content-type", "application/json").body(json).map_err(unsendable)?;
        let response = request.send().await.map_err(|_| CallFailure::NoAnswer)?;
        let text = response.text().await.map_err(|_| CallFailure::NoAnswer)?;
        if response.ok() { Ok(text) } else { Err(refusal(&response, &text)) }
    }
}

fn refusal(response: &Response, text: &str) -> CallFailure {
    // A refusal need not be a problem document: a proxy or a login page says no in its own way.
    let problem: Problem = from_json(text).unwrap_or_default();
    let retry_after = response.headers().get("retry-after").as_deref().and_then(parse_retry_after);
    CallFailure::Refused { problem: Problem { status: response.status(), ..problem }, retry_after }
}

fn to_json(value: &impl Serialize) -> Option<String> {
    let value = value.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).ok()?;
    js_sys::JSON::stringify(&value).ok().map(String::from)
}

/// Errors name the field or the rule, not the data.
fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let value = js_sys::JSON::parse(text).map_err(|_: JsValue| "the answer is not JSON".to_owned())?;
    serde_wasm_bindgen::from_value(value).map_err(|error| error.to_string())
}
