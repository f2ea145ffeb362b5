//! Azure Blob Storage: block blobs.

use super::MIB;
use crate::protocol::Limits;

/// Blocks of up to 4000 MiB, 50,000 of them, as in "Scalability and performance targets for Blob storage" (since service
/// version 2019-12-12). A block has no smallest size but that it is not empty.
pub const LIMITS: Limits =
    Limits { min_part_size: 1, max_part_size: 4000 * MIB, max_parts: 50_000, max_size: 50_000 * 4000 * MIB };
