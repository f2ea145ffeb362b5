//! CRCs of bytes, and of bytes that come in parts.
//!
//! [`Crc`] makes them, [`combine`] joins those of two parts to that of both, and [`base64`] is how the stores write
//! them. Whoever only joins pays for no more than a multiplication of polynomials.
//!
//! The three are those of the CRC catalogue by the names of `Kind`. All of them take the lowest bit of a byte first,
//! begin with all ones and turn all bits over in the end, so that one arithmetic serves them.

pub mod base64;
mod crc;
mod field;
#[cfg(test)]
mod tests;

pub use crc::Crc;
pub use field::combine;

use crate::protocol::Algorithm;

/// What tells one CRC from the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    /// Bits of a value.
    width: u32,
    /// The polynomial, as a value is written: the highest bit is the constant term, and the term x^width is left out.
    polynomial: u64,
}

impl Kind {
    /// CRC-64/NVME: 0xad93d23594c93659, reflected.
    const CRC64_NVME: Self = Self { width: 64, polynomial: 0x9a6c_9329_ac4b_c9b5 };
    /// CRC-32/ISCSI, which the stores call CRC-32C: 0x1edc6f41, reflected.
    const CRC32_ISCSI: Self = Self { width: 32, polynomial: 0x82f6_3b78 };
    /// CRC-32/ISO-HDLC, that of zip files: 0x04c11db7, reflected.
    const CRC32_ISO_HDLC: Self = Self { width: 32, polynomial: 0xedb8_8320 };

    /// That of an algorithm; none for those that are no CRC.
    fn of(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::Crc64nvme => Some(Self::CRC64_NVME),
            Algorithm::Crc32c => Some(Self::CRC32_ISCSI),
            Algorithm::Crc32 => Some(Self::CRC32_ISO_HDLC),
            Algorithm::Sha256 | Algorithm::Md5 => None,
        }
    }

    /// A value of ones, with which a CRC begins and by which it is turned over.
    fn ones(self) -> u64 {
        u64::MAX >> (64 - self.width)
    }
}
