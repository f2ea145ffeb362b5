//! Polynomials over GF(2), modulo that of a CRC.
//!
//! A value stands for a polynomial by its bits, the highest for x^0. Bytes that follow multiply what was before them by
//! x^8 each, which is all there is to joining the CRCs of parts: with as many ones at both ends, the CRC of `a` and `b`
//! is crc(a) * x^(8 * len(b)) + crc(b).

use super::Kind;
use crate::protocol::Algorithm;

/// The CRC of two stretches of bytes that follow each other, from that of each and the second's length; none for
/// what is no CRC.
pub fn combine(algorithm: Algorithm, first: u64, second: u64, len_second: u64) -> Option<u64> {
    let kind = Kind::of(algorithm)?;
    Some(kind.after(first & kind.ones(), len_second) ^ (second & kind.ones()))
}

impl Kind {
    /// x^0.
    pub(super) fn one(self) -> u64 {
        1 << (self.width - 1)
    }

    /// `value` times x.
    pub(super) fn times_x(self, value: u64) -> u64 {
        (value >> 1) ^ if value & 1 == 1 { self.polynomial } else { 0 }
    }

    /// The CRC of what `value` is that of, and a byte more; without ones at either end.
    pub(super) fn with_byte(self, value: u64, byte: u8) -> u64 {
        (0..8).fold(value ^ u64::from(byte), |value, _| self.times_x(value))
    }

    /// 1 / x. The polynomial's own constant term is 1, so that x has one.
    fn inverse_of_x(self) -> u64 {
        (((self.one() ^ self.polynomial) << 1) | 1) & self.ones()
    }

    /// What `value` becomes by `bytes` zeros after it: `value` times x^(8 * bytes).
    pub(super) fn after(self, value: u64, bytes: u64) -> u64 {
        self.times(value, self.eighth_power(self.times_x(self.one()), bytes))
    }

    /// Takes `bytes` zeros at its end away: `value` / x^(8 * bytes).
    pub(super) fn before(self, value: u64, bytes: u64) -> u64 {
        self.times(value, self.eighth_power(self.inverse_of_x(), bytes))
    }

    fn times(self, a: u64, mut b: u64) -> u64 {
        let mut product = 0;
        let mut bit = self.one();
        while bit != 0 {
            if a & bit != 0 {
                product ^= b;
            }
            b = self.times_x(b);
            bit >>= 1;
        }
        product
    }

    /// `base`^(8 * `exponent`), by squaring.
    fn eighth_power(self, mut base: u64, mut exponent: u64) -> u64 {
        for _ in 0..3 {
            base = self.times(base, base);
        }
        let mut power = self.one();
        while exponent != 0 {
            if exponent & 1 == 1 {
                power = self.times(power, base);
            }
            base = self.times(base, base);
            exponent >>= 1;
        }
        power
    }
}
