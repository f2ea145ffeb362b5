//! The contract's messages as [`Json`]: the client's half, requests out and answers in. Without checksums: a page that
//! proves nothing pays nothing for them, and for others `www/prove.js` puts them in and takes them out.
//!
//! The server uses the serde code derived on the same types; the tests below hold the two to the same JSON.

use super::json::{Fields, Json, Malformed, Object, Reader};
use super::{
    AbortAnswer, AbortRequest, CompleteAnswer, CompleteOutcome, CompletePart, CompleteRequest,
    CompleteUpload, CreateAnswer, CreateOutcome, CreateRequest, Grant, GrantMethod, Limits, ListAnswer,
    ListRequest, ListedPart, Method, NewFile, Problem, Provider, SecretUrl, SignAnswer, SignOutcome,
    SignPart, SignRequest, SignUpload,
};

const ANSWER: &str = "the answer";

fn list<T>(name: &str, items: &[T], write: fn(&T) -> Json) -> Json {
    let mut object = Object::default();
    object.put(name, Json::List(items.iter().map(write).collect()));
    object.into()
}

impl From<&CreateRequest> for Json {
    fn from(request: &CreateRequest) -> Self {
        list("files", &request.files, new_file)
    }
}

fn new_file(file: &NewFile) -> Json {
    let mut object = Object::default();
    object.text("ref", &file.reference);
    object.text("name", &file.name);
    object.number_or_null("size", file.size);
    object.text("type", &file.content_type);
    object.number_or_null("lastModified", file.last_modified);
    object.text("path", &file.path);
    object.texts("metadata", &file.metadata);
    object.into()
}

impl From<&SignRequest> for Json {
    fn from(request: &SignRequest) -> Self {
        list("uploads", &request.uploads, sign_upload)
    }
}

fn sign_upload(upload: &SignUpload) -> Json {
    let mut object = Object::default();
    object.text("id", &upload.id);
    object.put("parts", Json::List(upload.parts.iter().map(sign_part).collect()));
    object.into()
}

fn sign_part(part: &SignPart) -> Json {
    let mut object = Object::default();
    object.number("number", part.number.into());
    object.number("size", part.size);
    object.into()
}

impl From<&ListRequest> for Json {
    fn from(request: &ListRequest) -> Self {
        let mut object = Object::default();
        object.text("id", &request.id);
        if let Some(after) = request.after {
            object.number("after", after.into());
        }
        object.into()
    }
}

impl From<&CompleteRequest> for Json {
    fn from(request: &CompleteRequest) -> Self {
        list("uploads", &request.uploads, complete_upload)
    }
}

fn complete_upload(upload: &CompleteUpload) -> Json {
    let mut object = Object::default();
    object.text("id", &upload.id);
    object.number("size", upload.size);
    object.put("parts", Json::List(upload.parts.iter().map(complete_part).collect()));
    object.into()
}

fn complete_part(part: &CompletePart) -> Json {
    let mut object = Object::default();
    object.number("number", part.number.into());
    object.text_if_any("etag", part.etag.as_deref());
    object.into()
}

impl From<&AbortRequest> for Json {
    fn from(request: &AbortRequest) -> Self {
        list("ids", &request.ids, |id| Self::Text(id.clone()))
    }
}

impl TryFrom<Json> for CreateAnswer {
    type Error = Malformed;

    fn try_from(json: Json) -> Result<Self, Malformed> {
        Reader::read(json, ANSWER, |answer| Self {
            uploads: answer.needed_list("uploads", create_outcome),
            server_time: answer.needed_number("serverTime"),
        })
    }
}

fn create_outcome(entry: &mut Fields<'_>) -> CreateOutcome {
    CreateOutcome {
        reference: entry.needed_text("ref"),
        id: entry.text("id"),
        provider: provider(entry),
        key: entry.text("key"),
        method: method(entry),
        part_size: entry.number("partSize"),
        limits: entry.object("limits", limits),
        begun: entry.bool("begun").unwrap_or_default(),
        checksum: None,
        parts: entry.list("parts", grant),
        expires_at: entry.number("expiresAt"),
        problem: entry.object("problem", problem),
    }
}

fn provider(entry: &mut Fields<'_>) -> Option<Provider> {
    match entry.text("provider")?.as_str() {
        "s3" => Some(Provider::S3),
        "azure" => Some(Provider::Azure),
        "gcs" => Some(Provider::Gcs),
        _ => entry.wrong("provider", "is not one that this version knows"),
    }
}

fn method(entry: &mut Fields<'_>) -> Option<Method> {
    match entry.text("method")?.as_str() {
        "single" => Some(Method::Single),
        "multipart" => Some(Method::Multipart),
        "resumable" => Some(Method::Resumable),
        _ => entry.wrong("method", "is not one that this version knows"),
    }
}

fn limits(limits: &mut Fields<'_>) -> Limits {
    Limits {
        min_part_size: limits.needed_number("minPartSize"),
        max_part_size: limits.needed_number("maxPartSize"),
        max_parts: limits.needed_u32("maxParts"),
        max_size: limits.needed_number("maxSize"),
    }
}

fn grant(part: &mut Fields<'_>) -> Grant {
    let method = match part.text("method").as_deref() {
        Some("PUT") => GrantMethod::Put,
        Some("POST") => GrantMethod::Post,
        _ => part.wrong("method", "of a part is not one that this version knows"),
    };
    Grant {
        number: part.needed_u32("number"),
        method,
        url: SecretUrl::new(part.needed_text("url")),
        headers: part.texts("headers"),
        fields: part.texts("fields"),
        expires_at: part.needed_number("expiresAt"),
    }
}

impl TryFrom<Json> for SignAnswer {
    type Error = Malformed;

    fn try_from(json: Json) -> Result<Self, Malformed> {
        Reader::read(json, ANSWER, |answer| Self {
            uploads: answer.needed_list("uploads", |entry| SignOutcome {
                id: entry.needed_text("id"),
                parts: entry.list("parts", grant),
                problem: entry.object("problem", problem),
            }),
            server_time: answer.needed_number("serverTime"),
        })
    }
}

impl TryFrom<Json> for ListAnswer {
    type Error = Malformed;

    fn try_from(json: Json) -> Result<Self, Malformed> {
        Reader::read(json, ANSWER, |answer| Self {
            parts: answer.needed_list("parts", |part| ListedPart {
                number: part.needed_u32("number"),
                size: part.needed_number("size"),
                etag: part.text("etag"),
                checksum: None,
            }),
            next: answer
                .number("next")
                .map(|next| u32::try_from(next).unwrap_or_else(|_| answer.wrong("next", "is too large"))),
        })
    }
}

impl TryFrom<Json> for CompleteAnswer {
    type Error = Malformed;

    fn try_from(json: Json) -> Result<Self, Malformed> {
        Reader::read(json, ANSWER, |answer| Self {
            objects: answer.needed_list("objects", |entry| CompleteOutcome {
                id: entry.needed_text("id"),
                key: entry.text("key"),
                size: entry.number("size"),
                etag: entry.text("etag"),
                checksum: None,
                url: entry.text("url"),
                problem: entry.object("problem", problem),
            }),
        })
    }
}

impl TryFrom<Json> for AbortAnswer {
    type Error = Malformed;

    fn try_from(json: Json) -> Result<Self, Malformed> {
        Reader::read(json, ANSWER, |_| Self {})
    }
}

impl TryFrom<Json> for Problem {
    type Error = Malformed;

    fn try_from(json: Json) -> Result<Self, Malformed> {
        Reader::read(json, "the problem", problem)
    }
}

fn problem(problem: &mut Fields<'_>) -> Problem {
    Problem {
        // A status that is none counts as absent; the HTTP answer around it has one.
        status: problem.number("status").and_then(|status| u16::try_from(status).ok()).unwrap_or_default(),
        code: problem.text("code").unwrap_or_default(),
        title: problem.text("title").unwrap_or_default(),
        detail: problem.text("detail").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
