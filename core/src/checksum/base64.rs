//! Checksums as the contract and the stores write them: their bytes, highest first, in base64 with padding (RFC 4648).

use crate::protocol::Algorithm;

/// A CRC's value as text; none for what is no CRC.
pub fn to_base64(algorithm: Algorithm, value: u64) -> Option<String> {
    let skipped = 8_usize.checked_sub(algorithm.bytes()).filter(|_| algorithm.combines())?;
    let bytes = value.to_be_bytes();
    Some(encode(bytes.get(skipped..)?))
}

/// The value of a CRC that was written so; none where `text` is anything else, and for what is no CRC.
pub fn from_base64(algorithm: Algorithm, text: &str) -> Option<u64> {
    let bytes = decode(text).filter(|bytes| bytes.len() == algorithm.bytes() && algorithm.combines())?;
    Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// Bytes as text.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let padded = at > group.len();
            text.push(if padded { '=' } else { letter((bits >> (18 - 6 * at)) as u8 & 63) });
        }
    }
    text
}

/// Text as bytes; none where it is not how [`encode`] would write some.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let (groups, rest) = text.as_bytes().as_chunks::<4>();
    let mut bytes = Vec::with_capacity(groups.len() * 3);
    for group in groups {
        let padding = group.iter().rev().take_while(|letter| **letter == b'=').count();
        let mut bits = 0_u32;
        for letter in group.iter().take(4 - padding) {
            bits = bits << 6 | u32::from(digit(*letter)?);
        }
        let [_, decoded @ ..] = (bits << (6 * padding)).to_be_bytes();
        bytes.extend(decoded.iter().take(3_usize.checked_sub(padding)?));
    }
    // Padding in the middle and bits beyond the last byte have no other way to show.
    (rest.is_empty() && encode(&bytes) == text).then_some(bytes)
}

fn letter(digit: u8) -> char {
    char::from(match digit {
        0..26 => b'A' + digit,
        26..52 => b'a' + digit - 26,
        52..62 => b'0' + digit - 52,
        62 => b'+',
        _ => b'/',
    })
}

fn digit(letter: u8) -> Option<u8> {
    Some(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}
