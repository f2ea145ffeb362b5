//! The finished object: a URL that reads it, and `DELETE objects/{id}`, which is no part of the contract.

use std::fmt::Write;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::Backend;
use crate::auth::Caller;
use crate::problem::Refusal;
use crate::token::Upload;

/// Deletes the object of an upload, as long as its id is good. Asked again, it answers the same.
pub(super) async fn delete(
    State(backend): State<Arc<Backend>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let upload = backend.open(&id, &caller)?;
    backend.store.delete(&upload.key).await.map_err(|error| {
        error.log("delete");
        error.problem()
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where the object can be read from, if the policy says so.
pub(super) fn url(backend: &Backend, upload: &Upload) -> Option<String> {
    let lifetime = backend.policy.download?;
    let url = backend.store.download_url(&upload.key, &attachment(&upload.name), lifetime);
    url.map(String::from).inspect_err(|error| error.log("complete")).ok()
}

/// The `Content-Disposition` (RFC 6266) that saves under this name rather than show it: what somebody uploads is not a page
/// of the store's origin.
fn attachment(name: &str) -> String {
    let name = if name.is_empty() { "file" } else { name };
    let is_plain = |char: char| matches!(char, ' '..='~') && !matches!(char, '"' | '\\' | '%');
    let plain: String = name.chars().map(|char| if is_plain(char) { char } else { '_' }).collect();
    let mut header = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''");
    for byte in name.bytes() {
        // The attr-char of RFC 8187, section 3.2.1.
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            header.push(char::from(byte));
        } else {
            // Writing into a `String` cannot fail.
            let _ = write!(header, "%{byte:02X}");
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::attachment;

    #[test]
    fn a_name_is_told_in_both_ways() {
        let told = |name: &str, plain: &str, encoded: &str| {
            let expected = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
            assert_eq!(attachment(name), expected);
        };
        told("report.pdf", "report.pdf", "report.pdf");
        told("a b'c.txt", "a b'c.txt", "a%20b%27c.txt");
        told("50% \"ü\".txt", "50_ ___.txt", "50%25%20%22%C3%BC%22.txt");
        told("x;y=(1).txt", "x;y=(1).txt", "x%3By%3D%281%29.txt");
        told("", "file", "file");
        told("a\r\nb\\", "a__b_", "a%0D%0Ab%5C");
    }
}
