//! A backend that speaks the contract (`windlass_core::protocol`) over HTTP, or by functions of the page.

use std::fmt;

use gloo_net::http::{Headers, Response};
use js_sys::{Function, Promise};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal, RequestCredentials, RequestInit, RequestRedirect};
use windlass_core::machine::{Answer, Request};
use windlass_core::map::Map;
use windlass_core::protocol::json::{Json, Malformed};
use windlass_core::protocol::{Problem, Route};
use windlass_core::retry::CallFailure;

use crate::browser::clock;
use crate::json;

/// Bytes of an answer at most: a list of 50,000 parts on one page has five million.
const MOST_BYTES: usize = 8 << 20;

/// Where the backend is and what every call to it carries.
#[derive(Clone, PartialEq, Eq)]
pub struct Http {
    /// The address that the five routes are under, absolute or relative to the page.
    pub endpoint: String,
    /// Headers of every call, such as `Authorization`. They never go to the store.
    pub headers: Map<String, String>,
    /// Whether cookies go to a backend on another origin.
    pub with_credentials: bool,
    /// Asked in place of the endpoint: with a route's name, the request as JSON and an `AbortSignal`. It promises a
    /// `Response`, so that what the page's own functions say is read and checked as if it had come over HTTP.
    pub function: Option<Function>,
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
            Request::Create(request) => request.into(),
            Request::Sign(request) => request.into(),
            Request::List(request) => request.into(),
            Request::Complete(request) => request.into(),
            Request::Abort(request) => request.into(),
        };
        let route = request.route();
        let text = self.post(route, json).await?;
        let json =
            json::parse(&text).ok_or_else(|| CallFailure::Malformed("the answer is not JSON".into()))?;
        decode(route, json).map_err(|error| CallFailure::Malformed(error.to_string()))
    }

    async fn post(&self, route: Route, json: Json) -> Result<String, CallFailure> {
        let json =
            json::stringify(&json).ok_or_else(|| CallFailure::Malformed("the request is not JSON".into()))?;
        let no_answer = |_| CallFailure::NoAnswer;
        let controller = AbortController::new().map_err(no_answer)?;
        let signal = controller.signal();
        let mut stop = Stop(Some(controller));
        let promise = match &self.function {
            Some(function) => function
                .call3(&JsValue::NULL, &route.path().into(), &json.into(), &signal)
                .map_err(no_answer)?
                .unchecked_into(),
            None => self
                .fetch(route, &json.into(), &signal)
                .map_err(|_| CallFailure::Malformed("the endpoint or a header is not a valid one".into()))?,
        };
        let answer = read(promise).await;
        stop.0 = None;
        let (response, text) = answer.ok_or(CallFailure::NoAnswer)?;
        match response.status() {
            // The browser tells no more of a redirect than that it was one.
            0 => Err(CallFailure::Malformed("the answer is a redirect".into())),
            _ if text.len() > MOST_BYTES => {
                Err(CallFailure::Malformed("the answer is larger than 8 MiB".into()))
            }
            200..=299 => Ok(text),
            _ => Err(refusal(&response, &text)),
        }
    }

    fn fetch(&self, route: Route, json: &JsValue, signal: &AbortSignal) -> Result<Promise, JsValue> {
        let headers = Headers::new();
        for (name, value) in self.headers.iter() {
            headers.set(name, value);
        }
        headers.set("content-type", "application/json");
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_headers(&headers.into_raw());
        init.set_body(json);
        init.set_signal(Some(signal));
        // Followed, one to a login page of another origin would look as if there were no network.
        init.set_redirect(RequestRedirect::Manual);
        if self.with_credentials {
            init.set_credentials(RequestCredentials::Include);
        }
        let url = format!("{}/{}", self.endpoint.trim_end_matches('/'), route.path());
        // Made first, because fetch itself would not tell a URL that is none from a line that is down; and not by gloo's
        // builder, whose code for queries would be a hundredth of the whole wasm.
        let request = web_sys::Request::new_with_str_and_init(&url, &init)?;
        Ok(web_sys::window().ok_or(JsValue::NULL)?.fetch_with_request(&request))
    }
}

/// The whole answer, or nothing where the connection broke or a function threw.
async fn read(promise: Promise) -> Option<(Response, String)> {
    let response = JsFuture::from(promise).await.ok()?;
    let response = Response::from(response.unchecked_into::<web_sys::Response>());
    let text = response.text().await.ok()?;
    Some((response, text))
}

/// Ends its request when it is dropped: a future of the browser's goes on, and a call that hangs would keep a connection
/// from the parts. What has ended by itself is not ended again, since a function of the page may go by its signal.
struct Stop(Option<AbortController>);

impl Drop for Stop {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}

fn decode(route: Route, json: Json) -> Result<Answer, Malformed> {
    match route {
        Route::Create => json.try_into().map(Answer::Create),
        Route::Sign => json.try_into().map(Answer::Sign),
        Route::List => json.try_into().map(Answer::List),
        Route::Complete => json.try_into().map(Answer::Complete),
        Route::Abort => json.try_into().map(Answer::Abort),
    }
}

fn refusal(response: &Response, text: &str) -> CallFailure {
    // A refusal need not be a problem document: a proxy or a login page says no in its own way.
    let problem = json::parse(text).and_then(|json| Problem::try_from(json).ok()).unwrap_or_default();
    let retry_after = response.headers().get("retry-after").as_deref().and_then(clock::retry_after);
    CallFailure::Refused { problem: Problem { status: response.status(), ..problem }, retry_after }
}
