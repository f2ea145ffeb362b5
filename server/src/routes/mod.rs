//! The contract's routes: JSON in, JSON out, a batch each.

mod abort;
mod complete;
mod create;
mod forms;
mod list;
mod objects;
mod proof;
mod sign;

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{delete, post};
use serde::de::DeserializeOwned;
use tower_http::set_header::SetResponseHeaderLayer;
use windlass_core::protocol::{
    AbortRequest, CompleteRequest, CreateRequest, Limits, ListRequest, Object, Problem, SignRequest,
    problem_code as code,
};

use crate::access::{self, Notes};
use crate::auth::Caller;
use crate::cors::Cors;
use crate::guard::{self, Guard};
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::problem::{self, Refusal, problem};
use crate::store::Store;
use crate::time::now_ms;
use crate::token::{IdError, Ids, Upload};
use crate::turns::Turns;
use crate::webhook::Webhooks;

/// Entries of one call at most; the contract's client sends far fewer.
const MOST_ENTRIES: usize = 1000;

/// Bytes of a request body at most: room for 10,000 parts with their entity tags, several times over.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Calls to the store at once for one batch.
const AT_ONCE: usize = 16;

/// What the routes share. There is no session in it: every request carries all that concerns it.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ids: Ids,
    pub(crate) limits: Limits,
    pub(crate) policy: Policy,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) webhooks: Option<Arc<Webhooks>>,
    /// Who joins the parts of an upload, by its key.
    pub(crate) joining: Arc<Turns>,
}

impl Backend {
    /// Refuses a file of a size that the policy or the store does not take.
    fn judge_size(&self, size: u64) -> Result<(), Problem> {
        if size > self.limits.max_size {
            return Err(problem::too_large(self.limits.max_size));
        }
        if size < self.policy.min_size {
            return Err(problem::too_small(self.policy.min_size));
        }
        Ok(())
    }

    /// The upload of an id, or the problem with it.
    fn open(&self, id: &str, caller: &Caller) -> Result<Upload, Problem> {
        self.open_at(id, caller, now_ms())
    }

    /// Whether the names of files matter after they are stored; ids are shorter without.
    fn keeps_names(&self) -> bool {
        self.policy.download.is_some() || self.webhooks.is_some()
    }

    fn open_at(&self, id: &str, caller: &Caller, now: u64) -> Result<Upload, Problem> {
        let upload = self.ids.open(id, now).map_err(|error| match error {
            IdError::Refused => problem::id_refused(),
            IdError::Expired => problem::upload_expired(),
        })?;
        if upload.owner == caller.hash { Ok(upload) } else { Err(problem::id_of_another()) }
    }
}

/// The routes under the endpoint, for pages of other origins as `cors` says.
pub(crate) fn router(backend: Backend, guard: Guard, cors: Cors) -> Router {
    let mut router = Router::new()
        .route("/create", post(create::create))
        .route("/sign", post(sign::sign))
        .route("/list", post(list::list))
        .route("/complete", post(complete::complete))
        .route("/abort", post(abort::abort));
    if backend.policy.allow_delete {
        router = router.route("/objects/{id}", delete(objects::delete).fallback(only_delete));
    }
    let router = router
        // The routes only: that there is nothing else is no secret.
        .route_layer(from_fn_with_state(Arc::new(guard), guard::guard))
        .fallback(no_such_route)
        .method_not_allowed_fallback(only_post)
        .layer(from_fn_with_state(Arc::clone(&backend.metrics), access::log))
        .with_state(Arc::new(backend))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(SetResponseHeaderLayer::overriding(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ));
    // Outermost, so that refusals too can be read by the page.
    match cors.layer() {
        Some(layer) => router.layer(layer),
        None => router,
    }
}

/// Also the answer to everything outside the contract, when no page is served.
pub(crate) async fn no_such_route() -> Refusal {
    let detail =
        "The backend has create, sign, list, complete and abort. Check the endpoint that the page was given.";
    problem(code::NOT_FOUND, detail).into()
}

async fn only_post() -> impl IntoResponse {
    let problem = Problem { status: 405, ..problem::bad_request("This route takes POST only.") };
    ([(header::ALLOW, "POST")], Refusal(problem))
}

async fn only_delete() -> impl IntoResponse {
    let problem = Problem { status: 405, ..problem::bad_request("This route takes DELETE only.") };
    ([(header::ALLOW, "DELETE")], Refusal(problem))
}

/// A request of the contract, or the refusal that tells which field is wrong.
struct Asked<T>(T);

impl<S: Send + Sync, T: DeserializeOwned + Entries> FromRequest<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let notes = request.extensions().get::<Notes>().cloned();
        // A page of another origin cannot send this type without a preflight, which keeps it from using a
        // person's cookies or network position.
        if !is_json(request.headers()) {
            let problem = problem::bad_request("Send the request as application/json.");
            return Err(Refusal(Problem { status: 415, ..problem }));
        }
        let body = match Bytes::from_request(request, state).await {
            Ok(body) => body,
            Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                return Err(problem(
                    code::TOO_LARGE,
                    "The request is larger than 4 MiB. Send smaller batches.",
                )
                .into());
            }
            Err(_) => return Err(problem::bad_request("The request broke off. Send it again.").into()),
        };
        let mut json = serde_json::Deserializer::from_slice(&body);
        let Object(asked): Object<T> =
            serde_path_to_error::deserialize(&mut json).map_err(|error| Refusal(wrong_json(&error)))?;
        if let Some(notes) = notes {
            notes.set_entries(asked.entries());
        }
        json.end()
            .map_err(|_| Refusal(problem::bad_request("Something follows the JSON of the request.")))?;
        Ok(Self(asked))
    }
}

/// How many things a request is about.
trait Entries {
    fn entries(&self) -> usize;
}

macro_rules! entries {
    ($($request:ty: $field:ident),*) => {
        $(impl Entries for $request {
            fn entries(&self) -> usize {
                self.$field.len()
            }
        })*
    };
}

entries!(CreateRequest: files, SignRequest: uploads, CompleteRequest: uploads, AbortRequest: ids);

impl Entries for ListRequest {
    fn entries(&self) -> usize {
        1
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// Names the place, never what stands there.
fn wrong_json(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    if !error.inner().is_data() {
        return problem::bad_request("The request is not JSON, or it breaks off, or is nested too deep.");
    }
    // What is wrong shows only in serde's words, where the path does not end in it.
    let words = error.inner().to_string();
    let named = |start: &str| words.strip_prefix(start).and_then(|rest| rest.split('`').next());
    let rule = words.rsplit_once(", expected a whole number from ").map(|(_, range)| range);
    let range = rule.and_then(|range| range.split(" at line ").next());
    let path: String = error.path().to_string().chars().filter(|char| !char.is_control()).take(80).collect();
    let of = if path == "." { String::new() } else { format!(" of {path}") };
    let detail = if let Some(field) = named("missing field `") {
        format!("The field {field}{of} is missing.")
    } else if let Some(field) = named("duplicate field `") {
        format!("The field {field}{of} stands twice.")
    } else if words.starts_with("a name stands twice") {
        format!("A name{of} stands twice.")
    } else if let Some(range) = range {
        format!("The field {path} is not a whole number from {range}.")
    } else if path == "." {
        "The request is not what this route takes.".to_owned()
    } else {
        format!("The field {path} is not of the type that it should be.")
    };
    problem::bad_request(detail)
}

/// Refuses a batch that is too long.
fn at_most(entries: usize, of_what: &str) -> Result<(), Refusal> {
    if entries <= MOST_ENTRIES {
        return Ok(());
    }
    Err(problem::bad_request(format!("A call takes at most {MOST_ENTRIES} {of_what}. Send smaller batches."))
        .into())
}

/// Refuses a batch that has an entry twice: the answer's entries are found by their names.
fn once<'a>(mut names: impl Iterator<Item = &'a str>, name: &str, of_what: &str) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    match names.position(|name| !seen.insert(name)) {
        None => Ok(()),
        Some(at) => {
            let detail = format!("The {name} of {of_what}[{at}] stands twice in the request.");
            Err(problem::bad_request(detail).into())
        }
    }
}
