//! The stores' dialects: what each accepts and how each says no.

pub mod s3;

use crate::protocol::{Limits, Provider};

impl Provider {
    /// What this dialect's own service accepts; a backend may name others for a store of its own.
    pub const fn limits(self) -> Limits {
        match self {
            Self::S3 => s3::LIMITS,
        }
    }

    /// Reads the error code out of a refusal's body, if the body has the dialect's form.
    pub fn error_code(self, body: &str) -> Option<&str> {
        match self {
            Self::S3 => s3::error_code(body),
        }
    }
}
