//! A backend that speaks the contract (`windlass_core::protocol`) in HTTP's words.

use gloo_net::http::Response;
use js_sys::{Function, Promise};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortController;
use windlass_core::machine::{Answer, Request};
use windlass_core::protocol::json::{Json, Malformed};
use windlass_core::protocol::{Problem, Route};
use windlass_core::retry::CallFailure;

use crate::browser::clock;
use crate::json;

/// Bytes of an answer at most: a list of 50,000 parts on one page has five million.
const MOST_BYTES: usize = 8 << 20;

/// Who is asked.
#[derive(Debug, Clone)]
pub struct Http {
    /// Called with a route's name, the request as JSON and an `AbortSignal`; promises a `Response`. The JavaScript side makes
    /// it of `fetch` or of an app's own functions, so that what either says is read and checked alike, and puts between
    /// what proves the bytes: see `www/options.js`.
    pub ask: Function,
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
        let promise = self.ask.call3(&JsValue::NULL, &route.path().into(), &json.into(), &signal);
        let promise = promise.map_err(no_answer)?.unchecked_into();
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
}

/// The whole answer, or nothing where the connection broke or a function threw.
async fn read(promise: Promise) -> Option<(Response, String)> {
    let response: web_sys::Response = JsFuture::from(promise).await.ok()?.unchecked_into();
    // Not by gloo: what it makes of an error would be told to nobody.
    let text = JsFuture::from(response.text().ok()?).await.ok()?.as_string()?;
    Some((Response::from(response), text))
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
