//! Checksums of bytes that come in pieces, for JavaScript.
//!
//! A wasm of its own, compiled for speed and not for size: a page that proves nothing does not load it, and the workers
//! that hash need nothing else.

use md5::Md5;
use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::wasm_bindgen;
use windlass_core::checksum::{Crc, base64, combine};
use windlass_core::protocol::Algorithm;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// A checksum in the making.
#[wasm_bindgen]
#[derive(Debug, Clone)]
pub struct Hash(State);

#[derive(Debug, Clone)]
enum State {
    Crc(Algorithm, Crc),
    Md5(Md5),
    Sha256(Sha256),
}

#[wasm_bindgen]
impl Hash {
    /// One of no bytes so far, by its name in the contract; none where there is no such algorithm.
    pub fn of(algorithm: &str) -> Option<Self> {
        let algorithm = Algorithm::ALL.into_iter().find(|known| known.name() == algorithm)?;
        Some(Self(match algorithm {
            Algorithm::Md5 => State::Md5(Md5::new()),
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            crc => State::Crc(crc, Crc::new(crc)?),
        }))
    }

    /// Takes the bytes that follow.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Crc(_, crc) => crc.update(bytes),
            State::Md5(md5) => md5.update(bytes),
            State::Sha256(sha) => sha.update(bytes),
        }
    }

    /// The checksum of the bytes so far, as the contract writes it.
    pub fn finish(&self) -> String {
        match &self.0 {
            State::Crc(algorithm, crc) => base64::to_base64(*algorithm, crc.value()).unwrap_or_default(),
            State::Md5(md5) => base64::encode(&md5.clone().finalize()),
            State::Sha256(sha) => base64::encode(&sha.clone().finalize()),
        }
    }
}

/// The checksum of all bytes, from those of their parts and the parts' sizes; none where it cannot be told from them.
#[wasm_bindgen]
#[expect(clippy::needless_pass_by_value, reason = "wasm-bindgen hands in no slice of strings")]
pub fn whole(algorithm: &str, sums: Vec<String>, sizes: &[f64]) -> Option<String> {
    let algorithm = Algorithm::ALL.into_iter().find(|known| known.name() == algorithm)?;
    let mut whole = 0;
    for (sum, size) in sums.iter().zip(sizes) {
        // That of no bytes is 0.
        whole = combine(algorithm, whole, base64::from_base64(algorithm, sum)?, *size as u64)?;
    }
    base64::to_base64(algorithm, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(algorithm: &str, pieces: &[&[u8]]) -> String {
        let mut hash = Hash::of(algorithm).unwrap();
        for piece in pieces {
            hash.update(piece);
        }
        hash.finish()
    }

    #[test]
    fn each_algorithm_is_itself() {
        // The nine digits: the CRC catalogue's check values, and what md5sum and sha256sum say.
        let wanted = [
            ("crc64nvme", "rosUhgp5mIg="),
            ("crc32c", "4waSgw=="),
            ("crc32", "y/Q5Jg=="),
            ("sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
            ("md5", "JfnnlDI7RTiF9RgfG2JNCw=="),
        ];
        assert_eq!(wanted.map(|(name, _)| name).as_slice(), Algorithm::ALL.map(Algorithm::name).as_slice());
        for (algorithm, value) in wanted {
            assert_eq!(hash(algorithm, &[b"123456789"]), value);
            assert_eq!(hash(algorithm, &[b"", b"1234", b"56789"]), value);
        }
    }

    #[test]
    fn finishing_ends_nothing() {
        for algorithm in Algorithm::ALL {
            let mut begun = Hash::of(algorithm.name()).unwrap();
            begun.update(b"1234");
            assert_eq!(begun.finish(), hash(algorithm.name(), &[b"1234"]));
            begun.update(b"56789");
            assert_eq!(begun.finish(), hash(algorithm.name(), &[b"123456789"]));
        }
    }

    #[test]
    fn parts_make_up_the_whole() {
        let sums = |algorithm| [&b"1234"[..], b"", b"56789"].map(|part| hash(algorithm, &[part])).to_vec();
        for algorithm in ["crc64nvme", "crc32c", "crc32"] {
            let wanted = hash(algorithm, &[b"123456789"]);
            assert_eq!(whole(algorithm, sums(algorithm), &[4.0, 0.0, 5.0]), Some(wanted));
        }
        assert_eq!(whole("md5", sums("md5"), &[4.0, 0.0, 5.0]), None);
        assert_eq!(whole("crc32", vec!["?".into()], &[1.0]), None);
    }

    #[test]
    fn others_are_not_known() {
        for name in ["", "CRC32", "sha1"] {
            assert!(Hash::of(name).is_none(), "{name}");
        }
    }
}
