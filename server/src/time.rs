//! The clock, as the contract counts: milliseconds since the Unix epoch.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Now.
pub(crate) fn now_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Reads an age as people write it: a whole number and `s`, `m`, `h` or `d`.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "give a number with s, m, h or d, like 7d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

/// How long it is from `now` until then; nothing if that is past.
pub(crate) fn left(until: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}

/// A duration in the contract's unit.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_numbers_with_a_unit() {
        let told = [("30s", 30), ("2m", 120), ("1h", 3600), ("7d", 604_800), ("0d", 0)];
        for (text, seconds) in told {
            assert_eq!(age(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for odd in ["", "d", "7", "7 d", "-1d", "1.5d", "7w", "99999999999d", "7ä"] {
            assert!(age(odd).is_err(), "{odd}");
        }
    }
}
