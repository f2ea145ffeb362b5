//! What the page may ask, and how it is refused.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Serialize)]
pub struct Problem {
    pub status: u16,
    pub code: &'static str,
    pub detail: &'static str,
}
pub fn problem(code: &'static str) -> Problem {
    let (status, detail) = match code {
        "bad-request" => (400, "The request is not JSON, or not the JSON of this route."),
        "id-refused" => {
            (403, "This upload was not started by this server, or its id was changed. Start it again.")
        }
        "not-found" => (404, "The backend has create, sign, list, complete and abort. Check the endpoint."),
        "upload-gone" => (404, "The store does not know this upload any more. Start it again."),
        "size-mismatch" => (409, "The stored bytes are not as many as the file's. Upload it again."),
        "upload-expired" => (410, "This upload was started too long ago. Start it again."),
        "too-large" => (413, "Files of up to 100 GB are accepted, and requests of up to 4 MiB."),
        "bad-file" => (422, "The file's size is not known, and this server cannot take such a file."),
        "bad-parts" => (422, "These are not the parts of the file as the store should hold them."),
        "store-refused" => (502, "The store refused. Tell whoever runs this to check its keys and bucket."),
        "store-unavailable" => (503, "The store does not answer as it should. Try again in a moment."),
        "store-full" => (507, "The store has no room left. Make room there, or tell whoever runs it."),
        _ => (500, "The server made a mistake. Try again; if it stays, tell whoever runs it."),
    };
    Problem { status, code, detail }
}
pub type Answer<T = Json<Value>> = Result<T, Problem>;
pub fn need(is_right: bool, code: &'static str) -> Answer<()> {
    if is_right { Ok(()) } else { Err(problem(code)) }
}
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        (status, [("content-type", "application/problem+json"), ("allow", "POST")], json!(self).to_string())
            .into_response()
    }
}
impl From<JsonRejection> for Problem {
    fn from(wrong: JsonRejection) -> Self {
        match wrong.status().as_u16() {
            413 => problem("too-large"),
            415 => Problem { status: 415, ..problem("bad-request") },
            _ => problem("bad-request"),
        }
    }
}

// What the page may ask.
pub type Asked<T> = Result<Json<T>, JsonRejection>;
#[derive(Deserialize)]
pub struct Batch<T> {
    #[serde(alias = "files", alias = "ids")]
    pub uploads: Vec<T>,
}
#[derive(Deserialize)]
pub struct File {
    #[serde(rename = "ref")]
    pub id: String,
    pub name: String,
    pub size: Option<u64>,
    #[serde(default, rename = "type")]
    pub kind: String,
}
#[derive(Deserialize)]
pub struct Parts {
    pub id: String,
    #[serde(default)]
    pub size: u64,
    pub parts: Vec<Part>,
}
#[derive(Deserialize)]
pub struct Part {
    pub number: u16,
    #[serde(default)]
    pub size: u64,
    pub etag: Option<String>,
}
#[derive(Deserialize)]
pub struct List {
    pub id: String,
    pub after: Option<u16>,
}
