//! What checksums a page sends and a backend takes.

use serde::{Deserialize, Serialize};

/// How a checksum is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// CRC-64/NVME: S3's own; Azure's CRC64 is the same with its bytes the other way round.
    #[default]
    Crc64nvme,
    /// CRC-32C (Castagnoli): Google's own.
    Crc32c,
    /// CRC-32, as in zip files.
    Crc32,
    /// SHA-256.
    Sha256,
    /// MD5, against accidents only.
    Md5,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crc64nvme, Self::Crc32c, Self::Crc32, Self::Sha256, Self::Md5];

    /// Its name in the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc64nvme => "crc64nvme",
            Self::Crc32c => "crc32c",
            Self::Crc32 => "crc32",
            Self::Sha256 => "sha256",
            Self::Md5 => "md5",
        }
    }

    /// Bytes of a value.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Crc64nvme => 8,
            Self::Crc32c | Self::Crc32 => 4,
            Self::Sha256 => 32,
            Self::Md5 => 16,
        }
    }

    /// Whether the values of parts make up the value of the whole: those of CRCs do.
    pub const fn combines(self) -> bool {
        matches!(self, Self::Crc64nvme | Self::Crc32c | Self::Crc32)
    }
}

/// What a page sends checksums for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// The whole object, and parts where the store needs them for that.
    Object,
    /// Every request with bytes, so that the store refuses what arrives wrong.
    Part,
}

/// The checksums of one upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Checksums {
    /// How they are made.
    pub algorithm: Algorithm,
    /// Whether `sign` wants one for every part. It then makes the store check what arrives.
    pub parts: bool,
}
