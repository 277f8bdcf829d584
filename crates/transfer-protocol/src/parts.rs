//! How an object is cut into parts for an upload.

/// How many parts S3 takes (its limits for multipart uploads).
pub const PARTS_MAX: u64 = 10_000;

/// The smallest part that is worth a request.
const LEAST: u64 = 16 << 20;

/// Parts have whole mebibytes.
const STEP: u64 = 1 << 20;

/// Returns the length of each part but the last for an object of so many bytes, such that `PARTS_MAX` is kept. Bytes of a part that is
/// being sent are held in memory.
pub fn part_length(size: u64) -> u64 {
    size.div_ceil(PARTS_MAX).max(LEAST).div_ceil(STEP).saturating_mul(STEP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_are_neither_too_many_nor_too_small(size in 0..(5_u64 << 40)) {
            let length = part_length(size);
            prop_assert!(size.div_ceil(length) <= PARTS_MAX && length >= LEAST && length.is_multiple_of(STEP));
        }
    }

    #[test]
    fn five_tebibytes_are_the_longest_object_of_s3_and_have_parts_of_half_a_gibibyte() {
        assert_eq!(part_length(5 << 40), 525 << 20);
        assert_eq!(part_length(1), 16 << 20);
    }
}
