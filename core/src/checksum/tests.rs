//! Against the catalogue, against other implementations' values, and against itself in pieces.

#![allow(clippy::indexing_slicing, reason = "a test may stop where it stands")]

use proptest::prelude::*;

use super::crc::Crc;
use super::{Kind, base64, combine};
use crate::protocol::Algorithm;

/// Those that are CRCs, each with the catalogue's check value: that of the nine digits.
const CRCS: [(Algorithm, u64); 3] = [
    (Algorithm::Crc64nvme, 0xae8b_1486_0a79_9888),
    (Algorithm::Crc32c, 0xe306_9283),
    (Algorithm::Crc32, 0xcbf4_3926),
];

fn crc(algorithm: Algorithm, bytes: &[u8]) -> u64 {
    let mut crc = Crc::new(algorithm).unwrap();
    crc.update(bytes);
    crc.value()
}

/// The definition, bit by bit.
fn plain(algorithm: Algorithm, bytes: &[u8]) -> u64 {
    let kind = Kind::of(algorithm).unwrap();
    bytes.iter().fold(kind.ones(), |value, byte| kind.with_byte(value, *byte)) ^ kind.ones()
}

/// Bytes that look like chance.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[test]
fn the_catalogue_agrees() {
    for (algorithm, check) in CRCS {
        assert_eq!(crc(algorithm, b"123456789"), check, "{algorithm:?}");
        assert_eq!(crc(algorithm, b""), 0, "{algorithm:?}");
    }
}

#[test]
fn taps_are_those_of_a_multiple() {
    for (algorithm, _) in CRCS {
        let kind = Kind::of(algorithm).unwrap();
        let taps = kind.taps().as_slice();
        let sum = taps.iter().fold(kind.one(), |sum, tap| sum ^ kind.before(kind.one(), *tap as u64));
        assert_eq!(sum, 0, "{algorithm:?}");
        assert!(taps.is_sorted(), "the furthest is the last: {algorithm:?}");
    }
}

#[test]
fn lengths_around_every_edge() {
    let bytes = noise(200_000);
    for (algorithm, _) in CRCS {
        let edges =
            [1, 7, 8, 63, 64, 65, 127, 2251, 4018, 5275, 5276, 16_383, 16_384, 16_448, 32_768, 200_000];
        for len in edges {
            assert_eq!(crc(algorithm, &bytes[..len]), plain(algorithm, &bytes[..len]), "{algorithm:?} {len}");
        }
    }
}

#[test]
fn an_empty_part_changes_nothing() {
    for (algorithm, check) in CRCS {
        assert_eq!(combine(algorithm, check, 0, 0), Some(check));
        assert_eq!(combine(algorithm, 0, check, 9), Some(check));
    }
}

#[test]
fn what_is_no_crc_is_told() {
    for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
        assert!(Crc::new(algorithm).is_none());
        assert_eq!(combine(algorithm, 1, 2, 3), None);
        assert_eq!(base64::to_base64(algorithm, 1), None);
        assert_eq!(base64::from_base64(algorithm, "AAAAAAAAAAAAAAAAAAAAAA=="), None);
    }
}

#[test]
fn values_are_written_highest_byte_first() {
    let (algorithm, check) = CRCS[0];
    assert_eq!(base64::to_base64(algorithm, check).as_deref(), Some("rosUhgp5mIg="));
    let (algorithm, check) = CRCS[2];
    assert_eq!(base64::to_base64(algorithm, check).as_deref(), Some("y/Q5Jg=="));
}

#[test]
fn other_text_is_no_value() {
    for text in [
        "",
        "y/Q5Jg",
        "y/Q5Jg=",
        "y/Q5Jh==",
        "y_Q5Jg==",
        "y/Q=Jg==",
        "y/Q5Jg== ",
        "y/Q5JgA=",
        "====",
        "ÿ/Q5Jg==",
    ] {
        assert_eq!(base64::from_base64(Algorithm::Crc32, text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn pieces_are_the_whole(
        bytes in prop::collection::vec(any::<u8>(), 0..40_000),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        for (algorithm, _) in CRCS {
            let whole = plain(algorithm, &bytes);
            let mut streamed = Crc::new(algorithm).unwrap();
            let mut joined = 0;
            for ends in cuts.windows(2) {
                let piece = &bytes[ends[0]..ends[1]];
                streamed.update(piece);
                joined = combine(algorithm, joined, crc(algorithm, piece), piece.len() as u64).unwrap();
            }
            prop_assert_eq!(streamed.value(), whole);
            prop_assert_eq!(joined, whole);
        }
    }

    #[test]
    fn any_numbers_combine(first: u64, second: u64, len: u64) {
        for (algorithm, _) in CRCS {
            let value = combine(algorithm, first, second, len).unwrap();
            prop_assert!(value <= Kind::of(algorithm).unwrap().ones());
        }
    }

    #[test]
    fn text_and_bytes_there_and_back(bytes in prop::collection::vec(any::<u8>(), 0..40), value: u64) {
        prop_assert_eq!(base64::decode(&base64::encode(&bytes)), Some(bytes));
        for (algorithm, _) in CRCS {
            let value = value & Kind::of(algorithm).unwrap().ones();
            let text = base64::to_base64(algorithm, value).unwrap();
            prop_assert_eq!(base64::from_base64(algorithm, &text), Some(value));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,16}") {
        prop_assert!(base64::decode(&text).is_none_or(|bytes| base64::encode(&bytes) == text));
    }
}
