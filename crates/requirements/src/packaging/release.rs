//! Stores the numbers of a release (`1.26.4`) without heap memory, because one check parses thousands of versions.

/// The most numbers of a release.
const MOST: usize = 8;

/// The numbers of a release, at least one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Release {
    numbers: [u64; MOST],
    count: usize,
}

impl Release {
    /// Appends a number; `None` if there are too many.
    pub(super) fn push(&mut self, number: u64) -> Option<()> {
        *self.numbers.get_mut(self.count)? = number;
        self.count += 1;
        Some(())
    }

    /// Returns all numbers.
    pub(super) fn numbers(&self) -> &[u64] {
        self.numbers.get(..self.count).unwrap_or_default()
    }

    /// Returns the numbers up to the last that is not zero: `1.0` equals `1`.
    pub(super) fn significant(&self) -> &[u64] {
        let numbers = self.numbers();
        let count = numbers.iter().rposition(|number| *number != 0).map_or(0, |last| last + 1);
        numbers.get(..count).unwrap_or_default()
    }

    /// Removes the last number; `None` if none is left.
    pub(super) fn without_last(mut self) -> Option<Self> {
        self.count = self.count.checked_sub(1).filter(|count| *count > 0)?;
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(numbers: &[u64]) -> Option<Release> {
        let mut release = Release::default();
        numbers.iter().try_for_each(|number| release.push(*number)).map(|()| release)
    }

    #[test]
    fn zeros_at_the_end_and_what_was_taken_away_do_not_count() {
        let found = release(&[1, 0, 2, 0]).unwrap();
        assert_eq!((found.numbers(), found.significant()), (&[1, 0, 2, 0][..], &[1, 0, 2][..]));
        let shorter = found.without_last().and_then(Release::without_last).unwrap();
        assert_eq!((shorter.numbers(), shorter.significant()), (&[1, 0][..], &[1][..]));
        assert!(release(&[1]).unwrap().without_last().is_none() && release(&[1; 9]).is_none());
    }
}
