//! A CRC of bytes as they come, several times faster than by tables where a processor's own instructions for it are out
//! of reach, as they are in wasm.
//!
//! The polynomial P of a CRC has multiples with few terms. Where x^(8a) + x^(8b) + .. + 1 is one, a byte may be taken
//! away if it is added in the few places that lie so many bytes further on: the CRC stays the same. That takes an
//! exclusive or for each term, eight bytes at a time, without looking anything up and without waiting for the word
//! before. So all bytes are pushed on until only a window of them is left, as long as the furthest tap, whose CRC is
//! made bit by bit.
//!
//! The method is S. Russell's "Chorba" (arXiv 2412.16398) with other multiples. Whole bytes come for nothing, since
//! P(x)^8 = P(x^8) over GF(2). The taps were found by a birthday search; that they are of multiples is a test.

use super::Kind;
use crate::protocol::Algorithm;

/// Bytes handled at once. Every tap is much further away, so that nothing is read just after it was written.
const BLOCK: usize = 64;
/// Bytes between two moves of the window, so that all stays in the nearest cache.
const STRETCH: usize = 16 * 1024;

/// How many bytes further on a byte is added, the furthest last.
#[derive(Debug, Clone, Copy)]
pub(super) enum Taps {
    Three(&'static [usize; 3]),
    Eight(&'static [usize; 8]),
}

/// A CRC in the making.
#[derive(Clone)]
pub struct Crc {
    kind: Kind,
    /// The window, then room for a stretch. Made when there is a first block.
    work: Vec<u8>,
    /// Bytes that went through the window.
    pushed: u64,
    /// What is not yet a block.
    rest: Vec<u8>,
}

impl std::fmt::Debug for Crc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crc").field("kind", &self.kind).field("pushed", &self.pushed).finish_non_exhaustive()
    }
}

impl Crc {
    /// One of no bytes so far; none for what is no CRC.
    pub fn new(algorithm: Algorithm) -> Option<Self> {
        let kind = Kind::of(algorithm)?;
        Some(Self { kind, work: Vec::new(), pushed: 0, rest: Vec::with_capacity(BLOCK) })
    }

    /// Takes the bytes that follow.
    pub fn update(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        if !self.rest.is_empty() {
            let missing = BLOCK.saturating_sub(self.rest.len()).min(bytes.len());
            let (first, others) = bytes.split_at(missing);
            self.rest.extend_from_slice(first);
            bytes = others;
            if self.rest.len() < BLOCK {
                return;
            }
            let block = std::mem::take(&mut self.rest);
            self.push(&block);
        }
        let (blocks, rest) = bytes.split_at(bytes.len() - bytes.len() % BLOCK);
        for stretch in blocks.chunks(STRETCH) {
            self.push(stretch);
        }
        self.rest.extend_from_slice(rest);
    }

    /// The CRC of the bytes so far.
    pub fn value(&self) -> u64 {
        let kind = self.kind;
        let pushed = kind.after(kind.ones(), self.pushed) ^ self.in_window();
        self.rest.iter().fold(pushed, |value, byte| kind.with_byte(value, *byte)) ^ kind.ones()
    }

    /// Pushes whole blocks, a stretch at most, through the window.
    fn push(&mut self, blocks: &[u8]) {
        let window = self.kind.taps().furthest();
        if self.work.is_empty() {
            self.work = vec![0; window + STRETCH];
        }
        match self.kind.taps() {
            Taps::Three(taps) => push(&mut self.work, window, blocks, taps),
            Taps::Eight(taps) => push(&mut self.work, window, blocks, taps),
        }
        self.work.copy_within(blocks.len()..blocks.len() + window, 0);
        self.pushed += blocks.len() as u64;
    }

    /// The CRC, begun with zero, of what was pushed. What is still on its way arrives behind the end, so that its CRC is
    /// that of a window of zeros too many.
    fn in_window(&self) -> u64 {
        let taps = self.kind.taps();
        let furthest = taps.furthest();
        let Some(window) = self.work.get(..furthest) else { return 0 };
        let arriving = |ahead: usize| {
            let passed = taps.as_slice().iter().filter(|tap| ahead < **tap);
            passed.filter_map(|tap| window.get(furthest + ahead - tap)).fold(0, |sum, byte| sum ^ byte)
        };
        let value = (0..furthest).fold(0, |value, ahead| self.kind.with_byte(value, arriving(ahead)));
        self.kind.before(value, furthest as u64)
    }
}

/// Pushes `blocks` on. Each byte of `work` behind the window becomes that of the blocks and what arrives there.
fn push<const TAPS: usize>(work: &mut [u8], window: usize, blocks: &[u8], taps: &[usize; TAPS]) {
    for (at, block) in (window..).step_by(BLOCK).zip(blocks.as_chunks::<BLOCK>().0) {
        let Some((past, now)) = work.split_at_mut_checked(at) else { return };
        let Some(now) = now.first_chunk_mut::<BLOCK>() else { return };
        let arriving = taps.map(|tap| past.get(at - tap..).and_then(<[u8]>::first_chunk::<BLOCK>));
        let sum = |index: usize| {
            arriving.iter().flatten().fold(word(block, index), |sum, block| sum ^ word(block, index))
        };
        for (index, to) in now.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *to = sum(index).to_le_bytes();
        }
    }
}

/// The eight bytes of a block with that index.
fn word(block: &[u8; BLOCK], index: usize) -> u64 {
    block.as_chunks::<8>().0.get(index).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl Taps {
    pub(super) fn as_slice(self) -> &'static [usize] {
        match self {
            Self::Three(taps) => taps,
            Self::Eight(taps) => taps,
        }
    }

    fn furthest(self) -> usize {
        self.as_slice().last().copied().unwrap_or_default()
    }
}

impl Kind {
    pub(super) fn taps(self) -> Taps {
        match self {
            Self::CRC32_ISCSI => Taps::Three(&[767, 2524, 5275]),
            Self::CRC32_ISO_HDLC => Taps::Three(&[1927, 2181, 4018]),
            _ => Taps::Eight(&[707, 787, 1282, 1340, 1390, 1470, 1966, 2251]),
        }
    }
}
