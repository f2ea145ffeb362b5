//! A presigned request, which is a secret as a whole.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::map::Map;

/// A presigned request for one part.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The part it is for, from 1.
    pub number: u32,
    /// The HTTP method.
    pub method: GrantMethod,
    /// The presigned URL.
    pub url: SecretUrl,
    /// Exactly the headers that were signed and that the page has to send; any other would be refused.
    #[serde(default)]
    pub headers: Map<String, String>,
    /// The form's fields in front of the file, for [`GrantMethod::Post`].
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, String>,
    /// When the store stops accepting it; milliseconds since the Unix epoch.
    pub expires_at: u64,
}

impl Grant {
    /// A grant for a PUT of part `number`, good until `expires_at`.
    pub const fn put(number: u32, url: SecretUrl, headers: Map<String, String>, expires_at: u64) -> Self {
        Self { number, method: GrantMethod::Put, url, headers, fields: Map::new(), expires_at }
    }
}

impl fmt::Debug for Grant {
    /// Without what a signature may be in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("number", &self.number)
            .field("method", &self.method)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The HTTP method of a grant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum GrantMethod {
    /// The body is the part.
    #[default]
    #[serde(rename = "PUT")]
    Put,
    /// The body is a form (`multipart/form-data`): the grant's fields, then the file in a field `file`. Only for an upload
    /// in a single request ("Browser-Based Uploads Using POST" of S3, "Policy document" of Google Cloud Storage).
    #[serde(rename = "POST")]
    Post,
}

impl GrantMethod {
    /// The method's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Put => "PUT",
            Self::Post => "POST",
        }
    }
}

/// A URL that lets whoever holds it write to the store: it never shows itself in a log, an error or an event.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Wraps a presigned URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The URL itself, for the one place that sends the request.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl(…)")
    }
}
