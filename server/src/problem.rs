//! Refusals: problem details (RFC 9457) with a sentence that a person can act on.
//!
//! A sentence says what happened and what to do. It never carries a URL, an id, or what the page sent.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use windlass_core::protocol::{Problem, problem_code as code};

/// An answer that is a problem as a whole, in contrast to one entry's problem in a batch.
#[derive(Debug, Clone)]
pub(crate) struct Refusal(pub(crate) Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

/// A problem with the code's usual status and title.
pub(crate) fn problem(code: &'static str, detail: impl Into<String>) -> Problem {
    let (status, title) = status_and_title(code);
    Problem { status, code: code.to_owned(), title: title.to_owned(), detail: detail.into() }
}

fn status_and_title(code: &str) -> (u16, &'static str) {
    match code {
        code::BAD_REQUEST => (400, "The request is not understood"),
        code::UNAUTHORIZED => (401, "Not signed in"),
        code::FORBIDDEN => (403, "Not allowed"),
        code::ID_REFUSED => (403, "The upload id is not accepted"),
        code::NOT_FOUND => (404, "There is no such route"),
        code::UPLOAD_GONE => (404, "The upload is gone"),
        code::SIZE_MISMATCH => (409, "The stored bytes are not as many as the file's"),
        code::UPLOAD_EXPIRED => (410, "The upload has expired"),
        code::TOO_LARGE => (413, "Too large"),
        code::TYPE_REFUSED => (415, "This type of file is not accepted"),
        code::CHECKSUM_MISMATCH => (422, "The stored bytes are not the file's"),
        code::CHECKSUM_REQUIRED => (422, "A checksum is missing"),
        code::TOO_SMALL => (422, "Too small"),
        code::BAD_FILE => (422, "The file cannot be accepted"),
        code::BAD_PARTS => (422, "The parts are not those of the file"),
        code::RATE_LIMITED => (429, "Too many requests"),
        code::STORE_REFUSED => (502, "The store refused"),
        code::AUTH_UNAVAILABLE => (503, "Who asks cannot be found out"),
        code::STORE_UNAVAILABLE => (503, "The store cannot be reached"),
        code::STORE_FULL => (507, "The store is full"),
        _ => (500, "A fault of the server"),
    }
}

pub(crate) fn bad_request(detail: impl Into<String>) -> Problem {
    problem(code::BAD_REQUEST, detail)
}

pub(crate) fn internal() -> Problem {
    problem(code::INTERNAL, "The server made a mistake. Try again; if it stays, tell whoever runs it.")
}

pub(crate) fn id_refused() -> Problem {
    problem(
        code::ID_REFUSED,
        "This upload was not started by this server, or its id was changed. Start it again.",
    )
}

pub(crate) fn id_of_another() -> Problem {
    problem(code::ID_REFUSED, "This upload was started by somebody else. Sign in as them, or start it again.")
}

pub(crate) fn upload_expired() -> Problem {
    problem(code::UPLOAD_EXPIRED, "This upload was started too long ago. Start it again.")
}

pub(crate) fn upload_gone() -> Problem {
    problem(code::UPLOAD_GONE, "The store does not know this upload any more. Start it again.")
}

pub(crate) fn not_arrived() -> Problem {
    problem(code::UPLOAD_GONE, "The file's bytes have not arrived at the store. Send them again.")
}

pub(crate) fn size_mismatch(expected: u64, found: u64) -> Problem {
    let detail = format!("The file has {expected} bytes, but {found} were given. Upload it again.");
    problem(code::SIZE_MISMATCH, detail)
}

pub(crate) fn checksum_mismatch() -> Problem {
    problem(
        code::CHECKSUM_MISMATCH,
        "What has arrived at the store is not the same as the file, and was thrown away. Upload it again.",
    )
}

pub(crate) fn checksum_of_another() -> Problem {
    problem(
        code::CHECKSUM_MISMATCH,
        "What the store holds of this upload since an earlier call is not the same as the file. Upload it again.",
    )
}

pub(crate) fn checksum_required() -> Problem {
    let detail =
        "Uploads here need a checksum of what is sent, and the page has sent none. Tell whoever made it.";
    problem(code::CHECKSUM_REQUIRED, detail)
}

pub(crate) fn too_large(max: u64) -> Problem {
    problem(code::TOO_LARGE, format!("Files of up to {} are accepted. Choose a smaller one.", human(max)))
}

pub(crate) fn too_small(min: u64) -> Problem {
    problem(code::TOO_SMALL, format!("Files of {} or more are accepted. Choose a larger one.", human(min)))
}

pub(crate) fn type_refused(accepted: &str) -> Problem {
    problem(code::TYPE_REFUSED, format!("Accepted are files of the types {accepted}. Choose another one."))
}

pub(crate) fn bad_file(detail: impl Into<String>) -> Problem {
    problem(code::BAD_FILE, detail)
}

pub(crate) fn bad_parts(detail: impl Into<String>) -> Problem {
    problem(code::BAD_PARTS, detail)
}

pub(crate) fn rate_limited(seconds: u128) -> Problem {
    problem(code::RATE_LIMITED, format!("Too much was asked at once. It goes on in {seconds} seconds."))
}

/// A size as a person reads it; exact below 1 KB.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        // Not to say "1000.0 MB".
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    let text = format!("{value:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(human(999), "999 bytes");
        assert_eq!(human(1000), "1 KB");
        assert_eq!(human(5 << 20), "5.2 MB");
        assert_eq!(human(999_999_999), "1 GB");
        assert_eq!(human(50_000_000_000_000), "50 TB");
        assert_eq!(human(u64::MAX), "18446.7 PB");
    }

    #[test]
    fn every_code_has_the_status_and_title_of_its_example_in_the_document() {
        let document: serde_json::Value =
            serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
        let examples = document["components"]["examples"].as_object().unwrap();
        for example in examples.values().map(|example| &example["value"]) {
            let (status, title) = status_and_title(example["code"].as_str().unwrap());
            assert_eq!(
                (u64::from(status), title),
                (example["status"].as_u64().unwrap(), example["title"].as_str().unwrap())
            );
        }
        assert_eq!(internal().status, 500);
    }
}
