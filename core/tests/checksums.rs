//! The checksums against values that others made: `vectors/make.py` says who and how.

#![allow(clippy::unwrap_used, reason = "the helpers of a test fail the test")]

use serde_json::Value;
use windlass_core::checksum::{Crc, base64, combine};
use windlass_core::protocol::Algorithm;

const CRCS: [Algorithm; 3] = [Algorithm::Crc64nvme, Algorithm::Crc32c, Algorithm::Crc32];

/// As `make.py` makes them.
fn content(length: u64) -> Vec<u8> {
    (0..length).map(|at| ((at * 2_654_435_761) >> 13) as u8).collect()
}

fn crc(algorithm: Algorithm, bytes: &[u8]) -> u64 {
    let mut crc = Crc::new(algorithm).unwrap();
    bytes.chunks(100_000).for_each(|piece| crc.update(piece));
    crc.value()
}

#[test]
fn others_make_the_same() {
    let file: Value = serde_json::from_str(include_str!("vectors/crc.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert!(vectors.len() > 10);
    for vector in vectors {
        let bytes = content(vector["length"].as_u64().unwrap());
        let (first, second) = bytes.split_at(bytes.len() / 3);
        for algorithm in CRCS {
            let expected = base64::from_base64(algorithm, vector[algorithm.name()].as_str().unwrap());
            let value = crc(algorithm, &bytes);
            assert_eq!(Some(value), expected, "{algorithm:?} of {} bytes", bytes.len());
            let parts = [first, second].map(|part| crc(algorithm, part));
            assert_eq!(combine(algorithm, parts[0], parts[1], second.len() as u64), expected);
        }
    }
}

/// Another that knows how to join; it is asked for lengths that nobody has the bytes for.
#[test]
fn others_combine_the_same() {
    let theirs = |algorithm| match algorithm {
        Algorithm::Crc64nvme => crc_fast::CrcAlgorithm::Crc64Nvme,
        Algorithm::Crc32c => crc_fast::CrcAlgorithm::Crc32Iscsi,
        _ => crc_fast::CrcAlgorithm::Crc32IsoHdlc,
    };
    for algorithm in CRCS {
        let (first, second) = (crc(algorithm, b"first"), crc(algorithm, b"second"));
        for length in [1, 5 << 20, (5 << 30) + 1, 5 << 40, 50 << 40, 1 << 62] {
            let joined = crc_fast::checksum_combine(theirs(algorithm), first, second, length);
            assert_eq!(combine(algorithm, first, second, length), Some(joined), "{algorithm:?} {length}");
        }
    }
}
