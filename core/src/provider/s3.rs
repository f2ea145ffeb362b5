//! Amazon S3 and everything that speaks its protocol.

use crate::protocol::Limits;

const MIB: u64 = 1024 * 1024;

/// Parts of 5 MiB to 5 GiB, 10,000 of them, objects up to 50 TB (since 2025-12), as in "Amazon S3 multipart
/// upload limits".
pub const LIMITS: Limits = Limits {
    min_part_size: 5 * MIB,
    max_part_size: 5 * 1024 * MIB,
    max_parts: 10_000,
    max_size: 50_000_000_000_000,
};

/// The text of `<Code>` in an S3 error document ("REST Error Responses").
///
/// Not a parser of XML: codes are plain words, and a document without one has no code.
pub fn error_code(body: &str) -> Option<&str> {
    // By single characters: the searcher for longer patterns would be a hundredth of the whole wasm.
    let mut tags = body.split('<').skip_while(|tag| !tag.starts_with("Code>"));
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
        assert_eq!(error_code(body), Some("SlowDown"));
    }

    #[test]
    fn has_no_code_for_anything_else() {
        for body in ["", "<html>", "<Code>", "<Code></Code>", "<Code><b>x</b></Code>", "</Code><Code>"] {
            assert_eq!(error_code(body), None, "{body}");
        }
    }
}
