//! What every object is stored with besides its type: storage class, tags, metadata, disposition.

use std::borrow::Cow;

use crate::config::ConfigError;

/// Headers that S3 takes with an object (`PutObject`, `CreateMultipartUpload`) and whose value is the operator's choice.
const KNOWN: [&str; 7] = [
    "cache-control",
    "content-disposition",
    "content-language",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class",
    TAGGING,
];

/// Metadata of the operator's own.
const META: &str = "x-amz-meta-";

/// The one that forms call something else.
const TAGGING: &str = "x-amz-tagging";

/// A header of every object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHeader {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl ObjectHeader {
    /// Reads `name: value`.
    ///
    /// # Errors
    ///
    /// When the header is none that an object can be stored with, or its value cannot be sent.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let refused = |why: &str| {
            let known = KNOWN.join(", ");
            Err(ConfigError::new(format!(
                "--object-header {why}. It takes `name: value` with {known} or {META}*."
            )))
        };
        let Some((name, value)) = text.split_once(':') else { return refused("has no colon") };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        let is_meta =
            name.strip_prefix(META).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_name));
        if !is_meta && !KNOWN.contains(&name.as_str()) {
            return refused("names a header that no object is stored with");
        }
        let is_plain = !value.is_empty() && value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if !is_plain || value.len() > 2048 {
            return refused("has a value that is empty, not plain ASCII, or longer than 2,048 bytes");
        }
        Ok(Self { name, value })
    }

    /// As the field of a form. Tags are a document there ("POST Object").
    pub(crate) fn field(&self) -> (String, String) {
        if self.name != TAGGING {
            // Some stores know these names only as they are usually written.
            let name = match self.name.as_str() {
                "cache-control" => "Cache-Control",
                "content-disposition" => "Content-Disposition",
                "content-language" => "Content-Language",
                name => name,
            };
            return (name.to_owned(), self.value.clone());
        }
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
        let tags = reqwest::Url::parse(&format!("tags:?{}", self.value));
        let tags = tags.iter().flat_map(|tags| tags.query_pairs());
        let tag = |(key, value): (Cow<'_, str>, Cow<'_, str>)| {
            format!("<Tag><Key>{}</Key><Value>{}</Value></Tag>", escaped(&key), escaped(&value))
        };
        let tags = tags.map(tag).collect::<Vec<_>>().concat();
        ("tagging".to_owned(), format!("<Tagging><TagSet>{tags}</TagSet></Tagging>"))
    }
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_an_object_can_be_stored_with_and_nothing_else() {
        let header = ObjectHeader::parse("X-Amz-Storage-Class: STANDARD_IA").unwrap();
        assert_eq!(header.field(), ("x-amz-storage-class".to_owned(), "STANDARD_IA".to_owned()));
        assert!(ObjectHeader::parse("content-disposition: attachment; filename=\"a:b\"").is_ok());
        let long = format!("x-amz-meta-a: {}", "b".repeat(3000));
        for bad in [
            "x",
            "x-amz-acl: public-read",
            "host: a",
            "x-amz-meta-: a",
            "x-amz-meta-a b: c",
            "cache-control:",
            "x-amz-meta-a: ä",
            &long,
        ] {
            let error = ObjectHeader::parse(bad).unwrap_err().to_string();
            assert!(error.contains("--object-header"), "{error}");
        }
    }

    #[test]
    fn tags_are_a_document_in_a_form() {
        let header = ObjectHeader::parse("x-amz-tagging: team=film%26tv&kind=<a>").unwrap();
        let document = "<Tagging><TagSet><Tag><Key>team</Key><Value>film&amp;tv</Value></Tag>\
                        <Tag><Key>kind</Key><Value>&lt;a></Value></Tag></TagSet></Tagging>";
        assert_eq!(header.field(), ("tagging".to_owned(), document.to_owned()));
    }
}
