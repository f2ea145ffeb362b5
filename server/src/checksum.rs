//! Checksums as the contract writes them, and as the stores do.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use windlass_core::protocol::Algorithm;

/// The checksum of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checksum {
    algorithm: Algorithm,
    /// The highest first.
    bytes: Vec<u8>,
}

impl Checksum {
    /// Reads padded base64 of the algorithm's length, the highest byte first: the contract's way, S3's and Google's.
    pub(crate) fn parse(algorithm: Algorithm, text: &str) -> Option<Self> {
        // Short enough to be looked at before it is decoded.
        if text.len() != algorithm.bytes().div_ceil(3) * 4 {
            return None;
        }
        let bytes = BASE64_STANDARD.decode(text).ok().filter(|bytes| bytes.len() == algorithm.bytes())?;
        Some(Self { algorithm, bytes })
    }

    pub(crate) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The contract's way.
    pub(crate) fn base64(&self) -> String {
        BASE64_STANDARD.encode(&self.bytes)
    }

    /// The lowest byte first: Azure's way.
    pub(crate) fn base64_reversed(&self) -> String {
        let reversed: Vec<_> = self.bytes.iter().rev().copied().collect();
        BASE64_STANDARD.encode(reversed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_has_its_algorithms_length_and_is_written_as_its_store_wants_it() {
        // Of "123456789", as the catalogue of parametrised CRC algorithms has it: ae8b14860a799888.
        let sum = Checksum::parse(Algorithm::Crc64nvme, "rosUhgp5mIg=").unwrap();
        assert_eq!((sum.base64().as_str(), sum.base64_reversed().as_str()), ("rosUhgp5mIg=", "iJh5CoYUi64="));
        assert!(Checksum::parse(Algorithm::Crc32c, "4waSgw==").is_some());
        for odd in [
            "",
            "4waSgw==",
            "rosUhgp5mIg",
            "rosUhgp5mIh=",
            "rosUhgp5mI-=",
            "rosUhgp5mIgA",
            "ä",
            " rosUhgp5mIg=",
        ] {
            assert_eq!(Checksum::parse(Algorithm::Crc64nvme, odd), None, "{odd}");
        }
    }
}
