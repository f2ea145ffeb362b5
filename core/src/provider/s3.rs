//! Amazon S3 and everything that speaks its protocol.

use super::MIB;
use crate::protocol::Limits;

/// Parts of 5 MiB to 5 GiB, 10,000 of them, objects up to 50 TB (since 2025-12), as in "Amazon S3 multipart
/// upload limits".
pub const LIMITS: Limits = Limits {
    min_part_size: 5 * MIB,
    max_part_size: 5 * 1024 * MIB,
    max_parts: 10_000,
    max_size: 50_000_000_000_000,
};
