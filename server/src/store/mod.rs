//! The store, seen from the backend: what it signs for browsers, and what it asks the store itself.

mod error;
mod s3;

pub(crate) use error::StoreError;
pub(crate) use s3::{S3Store, Stored};
