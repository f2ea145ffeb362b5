//! Google Cloud Storage: multipart uploads of the XML API.

use super::MIB;
use crate::protocol::Limits;

/// Parts of 5 MiB to 5 GiB, 10,000 of them, objects up to 5 TiB, as in "Quotas & limits" and "XML API multipart uploads".
pub const LIMITS: Limits = Limits {
    min_part_size: 5 * MIB,
    max_part_size: 5 * 1024 * MIB,
    max_parts: 10_000,
    max_size: 5 * 1024 * 1024 * MIB,
};
