//! How a file is cut into parts.

use std::fmt;
use std::ops::Range;

use crate::protocol::Limits;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// The largest part, in bytes, on a line that nobody has measured yet.
pub const USUAL_LARGEST: u64 = 32 * MIB;

/// A smaller part, in bytes, costs more in requests than it saves when it is sent again.
const SMALLEST: u64 = 5 * MIB;

/// A file of middling size is cut into about this many parts: enough to fill the slots twice.
const WANTED_PARTS: u64 = 12;

/// A stream is cut as if it had this many bytes: it is shorter, or ends where the store takes no more parts.
pub const STREAM_SIZE: u64 = 64 * 1024 * MIB;

/// A part of a stream has this many bytes at most, if the limits allow it: each is held in memory until it is stored.
pub const STREAM_LARGEST: u64 = 8 * MIB;

/// Every byte of a file in exactly one part; all parts but the last have the same size.
///
/// Equal parts because some stores (Cloudflare R2) refuse anything else. A stream's plan grows, and has no last part until
/// the stream is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    size: u64,
    part_size: u64,
    count: u32,
    /// Bytes at most that may be cut so.
    longest: u64,
    /// More bytes may come.
    is_open: bool,
}

/// Why a file cannot be cut as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanError {
    /// The file is larger than the store's largest object, in bytes.
    FileTooLarge(u64),
    /// The part size asked for lies outside the store's limits or needs more parts than it takes.
    PartSize(u64),
    /// The limits themselves are impossible (a largest part smaller than the smallest, no parts at all).
    Limits,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileTooLarge(max) => write!(f, "the store takes at most {max} bytes"),
            Self::PartSize(size) => write!(f, "a part size of {size} bytes does not fit the store's limits"),
            Self::Limits => f.write_str("the store's limits contradict themselves"),
        }
    }
}

impl Plan {
    /// One part that is the whole file, for an upload in a single request.
    pub const fn single(size: u64) -> Self {
        Self { size, part_size: size, count: 1, longest: size, is_open: false }
    }

    /// Cuts `size` bytes into parts of `part_size` bytes.
    pub fn multipart(size: u64, part_size: u64, limits: &Limits) -> Result<Self, PlanError> {
        if size > limits.max_size {
            return Err(PlanError::FileTooLarge(limits.max_size));
        }
        // A file smaller than the smallest part is its own last part, and that may be of any size.
        let too_small = part_size < limits.min_part_size && part_size < size;
        if part_size == 0 || too_small || part_size > limits.max_part_size {
            return Err(PlanError::PartSize(part_size));
        }
        let count = size.div_ceil(part_size).max(1);
        match u32::try_from(count) {
            Ok(count) if count <= limits.max_parts => {
                Ok(Self { size, part_size, count, longest: longest(part_size, limits), is_open: false })
            }
            _ => Err(PlanError::PartSize(part_size)),
        }
    }

    /// Cuts what there is yet of a stream, `size` bytes, into parts of `part_size`.
    pub fn open(size: u64, part_size: u64, limits: &Limits) -> Result<Self, PlanError> {
        // A part that is not the last one has to be of a size that the store takes.
        let longest = longest(part_size, limits);
        let mut plan = Self::multipart(longest, part_size, limits)?;
        plan.grow(size, true).then_some(plan).ok_or(PlanError::FileTooLarge(longest))
    }

    /// A stream has `size` bytes by now, and is open for more or not. Tells whether so many are taken.
    pub fn grow(&mut self, size: u64, is_open: bool) -> bool {
        self.size = size.min(self.longest);
        self.is_open = is_open;
        let whole = self.size / self.part_size.max(1);
        let count = if is_open { whole } else { self.size.div_ceil(self.part_size.max(1)).max(1) };
        // No more than the limits allow, since it is no longer.
        self.count = u32::try_from(count).unwrap_or(u32::MAX);
        size <= self.longest
    }

    /// Whether more bytes may come.
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Bytes of the whole file.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of every part but the last.
    pub const fn part_size(&self) -> u64 {
        self.part_size
    }

    /// How many parts; at least one, since an empty file is one empty part.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The bytes of part `number`, or `None` where there is no such part.
    pub fn range(&self, number: u32) -> Option<Range<u64>> {
        if number == 0 || number > self.count {
            return None;
        }
        let start = u64::from(number - 1) * self.part_size;
        Some(start..self.size.min(start.saturating_add(self.part_size)))
    }

    /// Bytes of part `number`; 0 where there is no such part.
    pub fn part_len(&self, number: u32) -> u64 {
        self.range(number).map_or(0, |range| range.end - range.start)
    }
}

/// Bytes at most that can be cut into parts of `part_size`.
pub fn longest(part_size: u64, limits: &Limits) -> u64 {
    part_size.saturating_mul(limits.max_parts.into()).min(limits.max_size)
}

/// A good part size for a file of `size` bytes where nobody asked for one, in bytes.
///
/// A whole number of MiB where `largest` leaves room for it, else of KiB, within the limits: the smallest that gives a
/// middling file enough parts to fill the line, never more than `largest` bytes unless the number of parts or the store forces it.
pub fn choose_part_size(size: u64, largest: u64, limits: &Limits) -> Result<u64, PlanError> {
    if limits.max_parts == 0 || limits.max_part_size == 0 || limits.min_part_size > limits.max_part_size {
        return Err(PlanError::Limits);
    }
    if size > limits.max_size {
        return Err(PlanError::FileTooLarge(limits.max_size));
    }
    let forced = size.div_ceil(u64::from(limits.max_parts));
    let liked = (size / WANTED_PARTS).max(SMALLEST).min(largest);
    let wanted = forced.max(liked).max(limits.min_part_size).max(1);
    let rounded = wanted.div_ceil(MIB) * MIB;
    let fits = rounded <= limits.max_part_size && (rounded <= largest || wanted > largest);
    // Ciphers work by blocks: parts begin with one.
    let down = wanted / KIB * KIB;
    let part_size = if fits {
        rounded
    } else if down >= forced.max(limits.min_part_size).max(1) {
        down
    } else {
        wanted
    };
    if part_size > limits.max_part_size {
        return Err(PlanError::FileTooLarge(limits.max_part_size.saturating_mul(limits.max_parts.into())));
    }
    Ok(part_size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::Provider;

    const S3: Limits = Provider::S3.limits();

    #[track_caller]
    fn check(size: u64, part_size: u64, count: u32) {
        let chosen = choose_part_size(size, USUAL_LARGEST, &S3).unwrap();
        let plan = Plan::multipart(size, chosen, &S3).unwrap();
        assert_eq!((plan.part_size(), plan.count()), (part_size, count));
    }

    #[test]
    fn an_empty_file_is_one_empty_part() {
        check(0, 5 * MIB, 1);
        assert_eq!(Plan::single(0).range(1), Some(0..0));
    }

    #[test]
    fn the_smallest_multipart_file_has_two_parts() {
        check(5 * MIB + 1, 5 * MIB, 2);
    }

    #[test]
    fn a_middling_file_fills_the_slots() {
        check(64 * MIB, 6 * MIB, 11);
        check(300 * MIB, 25 * MIB, 12);
    }

    #[test]
    fn a_big_file_keeps_parts_cheap_to_repeat() {
        check(50 * 1024 * MIB, 32 * MIB, 1600);
    }

    #[test]
    fn parts_are_as_large_as_the_line_and_what_is_on_it_like() {
        let chosen = |size, largest| choose_part_size(size, largest, &S3).unwrap();
        assert_eq!(chosen(50_000 * MIB, 64 * MIB), 64 * MIB);
        assert_eq!(chosen(50_000 * MIB, 8 * MIB), 8 * MIB);
        assert_eq!(chosen(50_000 * MIB, 1), 5 * MIB, "the number of parts forces it");
        let azure = Limits { min_part_size: 1, ..S3 };
        assert_eq!(choose_part_size(50 * MIB, 32 * MIB, &azure), Ok(5 * MIB));
        assert_eq!(choose_part_size(50 * MIB, MIB + MIB / 2, &azure), Ok(MIB + MIB / 2));
        assert_eq!(choose_part_size(50 * MIB, MIB + MIB / 2 + 77, &azure), Ok(MIB + MIB / 2));
    }

    #[test]
    fn the_largest_object_fits_the_number_of_parts() {
        let part = choose_part_size(S3.max_size, USUAL_LARGEST, &S3).unwrap();
        assert!(Plan::multipart(S3.max_size, part, &S3).unwrap().count() <= 10_000);
        assert_eq!(
            choose_part_size(S3.max_size + 1, USUAL_LARGEST, &S3),
            Err(PlanError::FileTooLarge(S3.max_size))
        );
    }

    #[test]
    fn refuses_what_the_store_would_refuse() {
        assert_eq!(Plan::multipart(64 * MIB, MIB, &S3), Err(PlanError::PartSize(MIB)));
        assert_eq!(Plan::multipart(64 * MIB, 0, &S3), Err(PlanError::PartSize(0)));
        assert_eq!(Plan::multipart(1 << 40, 5 * MIB, &S3), Err(PlanError::PartSize(5 * MIB)));
        assert_eq!(Plan::multipart(u64::MAX, 5 * MIB, &S3), Err(PlanError::FileTooLarge(S3.max_size)));
        let none = Limits { max_parts: 0, ..S3 };
        assert_eq!(choose_part_size(1, USUAL_LARGEST, &none), Err(PlanError::Limits));
    }

    #[test]
    fn a_stream_has_whole_parts_until_it_ends() {
        let mut plan = Plan::open(0, 8 * MIB, &S3).unwrap();
        assert_eq!((plan.count(), plan.is_open()), (0, true));
        for (size, is_open, count) in [
            (8 * MIB - 1, true, 0),
            (8 * MIB, true, 1),
            (20 * MIB, true, 2),
            (20 * MIB, false, 3),
            (16 * MIB, false, 2),
        ] {
            assert!(plan.grow(size, is_open));
            assert_eq!(plan.count(), count, "{size}");
        }
        assert!(
            plan.grow(80_000 * MIB, true) && !plan.grow(80_008 * MIB, true) && !plan.grow(u64::MAX, false)
        );
        assert_eq!(plan.count(), 10_000);
        assert_eq!(Plan::open(0, MIB, &S3), Err(PlanError::PartSize(MIB)));
        let part = choose_part_size(STREAM_SIZE, STREAM_LARGEST, &S3).unwrap();
        assert_eq!(part, 8 * MIB);
    }

    proptest! {
        #[test]
        fn covers_every_byte_exactly_once(size in 0..=S3.max_size) {
            let plan = Plan::multipart(size, choose_part_size(size, USUAL_LARGEST, &S3).unwrap(), &S3).unwrap();
            let mut next = 0;
            for number in 1..=plan.count() {
                let range = plan.range(number).unwrap();
                prop_assert_eq!(range.start, next);
                let len = range.end - range.start;
                prop_assert!(len <= S3.max_part_size);
                if number < plan.count() {
                    prop_assert!(len >= S3.min_part_size);
                    prop_assert_eq!(len, plan.part_size());
                }
                next = range.end;
            }
            prop_assert_eq!(next, size);
            prop_assert_eq!(plan.range(0), None);
            prop_assert_eq!(plan.range(plan.count() + 1), None);
        }

        #[test]
        fn any_limits_give_a_plan_within_them_or_a_refusal(
            size: u64, largest in 1u64..1 << 40, min in 0u64..1 << 40, max in 0u64..1 << 40, parts in 0u32..20_000,
            max_size: u64,
        ) {
            let limits = Limits { min_part_size: min, max_part_size: max, max_parts: parts, max_size };
            if let Ok(part_size) = choose_part_size(size, largest, &limits) {
                let plan = Plan::multipart(size, part_size, &limits).unwrap();
                prop_assert!(plan.count() <= parts);
                prop_assert!(plan.part_size() <= max);
                prop_assert_eq!(plan.range(plan.count()).unwrap().end, size);
            }
        }
    }
}
