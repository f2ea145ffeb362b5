//! What a file has to be to be taken, and what may be done with it afterwards.

use std::fmt;
use std::time::Duration;

use windlass_core::protocol::{NewFile, Problem};

use crate::keys::KeyTemplate;
use crate::problem;

/// Bytes of JSON that a file's path and metadata take at most: they are carried in its id.
const MOST_BESIDE: usize = 1024;

/// What is asked of files. [`Policy::default`] takes everything that the store takes.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Accepted types; all if there is none.
    pub types: Vec<TypePattern>,
    /// The smallest file, in bytes.
    pub min_size: u64,
    /// How keys are made.
    pub key_template: KeyTemplate,
    /// How long a URL is good that reads the finished object; `None` hands out none.
    pub download: Option<Duration>,
    /// Whether every file needs checksums, which the store checks as its bytes arrive.
    pub require_checksum: bool,
    /// Whether a page may delete what it has uploaded.
    pub allow_delete: bool,
}

impl Policy {
    /// The type that the object gets, which may be empty, or why the file is refused.
    ///
    /// It is what the page says, or, where it says nothing and only some types are accepted, what the name's extension
    /// stands for. Nobody has looked into the file.
    pub(crate) fn judge_type(&self, told: &str, name: &str) -> Result<String, Problem> {
        let told = content_type(told);
        if self.types.is_empty() {
            return Ok(told.to_owned());
        }
        let guessed = mime_guess::from_path(name).first_raw().unwrap_or_default();
        let kind = if told.is_empty() { guessed } else { told };
        if self.types.iter().any(|pattern| pattern.fits(kind)) {
            return Ok(kind.to_owned());
        }
        let accepted: Vec<_> = self.types.iter().map(ToString::to_string).collect();
        Err(problem::type_refused(&accepted.join(", ")))
    }
}

/// Whether what a page says of a file beside name, type and size is little enough to be carried in its id.
pub(crate) fn judge_description(file: &NewFile) -> Result<(), Problem> {
    let json = serde_json::to_string(&(&file.path, &file.metadata));
    if json.is_ok_and(|json| json.len() <= MOST_BESIDE) {
        return Ok(());
    }
    Err(problem::bad_file(format!(
        "The file's path and metadata have more than {MOST_BESIDE} bytes together. Send less of them."
    )))
}

/// A MIME type, or all of one kind as `image/*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypePattern {
    kind: String,
    /// `None` for `*`.
    rest: Option<String>,
}

impl TypePattern {
    /// `None` if the text is neither `kind/subtype` nor `kind/*`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        let rest = if rest == "*" { None } else { Some(rest) };
        let is_good = is_token(kind) && rest.is_none_or(is_token);
        is_good.then(|| Self { kind: kind.to_lowercase(), rest: rest.map(str::to_lowercase) })
    }

    fn fits(&self, told: &str) -> bool {
        let Some((kind, rest)) = told.split_once('/') else { return false };
        kind.eq_ignore_ascii_case(&self.kind)
            && self.rest.as_deref().is_none_or(|one| rest.eq_ignore_ascii_case(one))
    }
}

impl fmt::Display for TypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.rest.as_deref().unwrap_or("*"))
    }
}

/// The type as the browser gave it, or nothing where it is not a plain MIME type: it becomes a signed header,
/// and both sides must spell that alike.
fn content_type(text: &str) -> &str {
    match text.split_once('/') {
        Some((kind, rest)) if text.len() <= 127 && is_token(kind) && is_token(rest) => text,
        _ => "",
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(patterns: &[&str]) -> Policy {
        let types = patterns.iter().map(|text| TypePattern::parse(text).unwrap()).collect();
        Policy { types, ..Policy::default() }
    }

    #[test]
    fn only_plain_types_are_signed() {
        for good in ["video/mp4", "application/vnd.ms-excel", "image/svg+xml"] {
            assert_eq!(policy(&[]).judge_type(good, "").unwrap(), good);
        }
        let long = format!("a/{}", "b".repeat(200));
        for bad in [
            "",
            "x",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "text/html; charset=utf-8",
            "a/b\r\nx: y",
            "ä/b",
            "a/ b",
            &long,
        ] {
            assert_eq!(policy(&[]).judge_type(bad, "a.png").unwrap(), "", "{bad:?}");
        }
    }

    #[test]
    fn a_type_is_accepted_by_its_pattern() {
        let policy = policy(&["image/*", "Application/PDF"]);
        let judge = |told: &str, name: &str| policy.judge_type(told, name).map_err(|problem| problem.code);
        assert_eq!(judge("image/png", "a.png"), Ok("image/png".to_owned()));
        assert_eq!(judge("IMAGE/Heic", ""), Ok("IMAGE/Heic".to_owned()));
        assert_eq!(judge("application/pdf", ""), Ok("application/pdf".to_owned()));
        for refused in ["text/html", "application/zip", "imagex/png", "application/pdfx"] {
            // A name helps only where no type was told.
            assert_eq!(judge(refused, "a.png"), Err("type-refused".to_owned()), "{refused}");
        }
        assert_eq!(judge("", "a.JPG"), Ok("image/jpeg".to_owned()));
        assert_eq!(judge("not a type", "scan.pdf"), Ok("application/pdf".to_owned()));
        for name in ["a.html", "a", "", ".png/x"] {
            assert!(judge("", name).is_err(), "{name}");
        }
        let told = policy.judge_type("a/b", "").unwrap_err();
        assert!(told.detail.contains("image/*, application/pdf"), "{}", told.detail);
    }

    #[test]
    fn a_pattern_is_a_type_or_a_kind() {
        for odd in
            ["", "*", "image", "image/", "/png", "*/*", "image/*png", "image/p*", ".png", "a/b/c", "a b/c"]
        {
            assert_eq!(TypePattern::parse(odd), None, "{odd}");
        }
    }
}
