//! The stores' dialects: what each accepts and how each says no.

pub mod azure;
pub mod gcs;
pub mod s3;

use crate::protocol::{Limits, Provider};
use crate::text;

const MIB: u64 = 1024 * 1024;

impl Provider {
    /// What this dialect's own service accepts; a backend may name others for a store of its own.
    pub const fn limits(self) -> Limits {
        match self {
            Self::S3 => s3::LIMITS,
            Self::Azure => azure::LIMITS,
            Self::Gcs => gcs::LIMITS,
        }
    }

    /// Reads the error code out of a refusal's body, if the body has the dialect's form.
    pub fn error_code(self, body: &str) -> Option<&str> {
        match self {
            Self::S3 | Self::Azure | Self::Gcs => code_in_xml(body),
        }
    }
}

/// The text of `<Code>` in an error document: S3's form ("REST Error Responses"), which Azure ("Status and error
/// codes") and Google ("HTTP status and error codes for XML") share.
///
/// Not a parser of XML: codes are plain words, and a document without one has no code.
fn code_in_xml(body: &str) -> Option<&str> {
    let mut tags = text::split(body, |c| c == '<').skip_while(|tag| !tag.starts_with("Code>"));
    let code = tags.next()?.strip_prefix("Code>")?;
    tags.next().filter(|tag| tag.starts_with("/Code>"))?;
    let plain = !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_code_of_an_error_document() {
        let body = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Reduce</Message></Error>";
        assert_eq!(code_in_xml(body), Some("SlowDown"));
    }

    #[test]
    fn has_no_code_for_anything_else() {
        for body in ["", "<html>", "<Code>", "<Code></Code>", "<Code><b>x</b></Code>", "</Code><Code>"] {
            assert_eq!(code_in_xml(body), None, "{body}");
        }
    }
}
