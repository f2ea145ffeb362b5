//! Checksums as this machine's own code makes them: what the ones that browsers run are measured against.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crc_fast::{CrcAlgorithm, Digest};
use windlass_hash::Hash;

/// More than a cache holds.
const BYTES: usize = 64 << 20;
/// Bytes at once, as the workers in a browser read them.
const STEP: usize = 1 << 19;
const WHILE: Duration = Duration::from_millis(300);
const ROUNDS: usize = 5;

/// Prints a row for each maker: the algorithm, who makes it, and MB/s. `cargo xtask bench` reads them.
pub(crate) fn table() {
    let bytes: Vec<u8> =
        (0..BYTES as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    say!("{:<12} {:<28} {:>8}", "native", "median of 5", "MB/s");
    for (algorithm, theirs) in [
        ("crc64nvme", Some(CrcAlgorithm::Crc64Nvme)),
        ("crc32c", Some(CrcAlgorithm::Crc32Iscsi)),
        ("crc32", Some(CrcAlgorithm::Crc32IsoHdlc)),
        ("sha256", None),
        ("md5", None),
    ] {
        if let Some(theirs) = theirs {
            let mut digest = Digest::new(theirs);
            say!("{algorithm:<12} {:<28} {:>8.0}", "crc-fast", rate(&bytes, |piece| digest.update(piece)));
            black_box(digest.finalize());
        }
        if let Some(mut hash) = Hash::of(algorithm) {
            say!("{algorithm:<12} {:<28} {:>8.0}", "windlass-hash", rate(&bytes, |piece| hash.update(piece)));
            black_box(hash.finish());
        }
    }
}

/// Bytes a microsecond, which is MB/s.
fn rate(bytes: &[u8], mut update: impl FnMut(&[u8])) -> f64 {
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            let pieces = bytes.chunks(STEP).cycle().take_while(|_| began.elapsed() < WHILE);
            let count: usize = pieces.map(|piece| (update(piece), piece.len()).1).sum();
            count as f64 / began.elapsed().as_micros() as f64
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates.get(ROUNDS / 2).copied().unwrap_or_default()
}
