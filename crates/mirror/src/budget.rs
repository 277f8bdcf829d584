//! Whether the time of a stop is enough for an upload, by the rate of those before.

use std::time::Duration;

/// What an upload needs besides its bytes: the requests at both ends, and the start of the carrier.
const BESIDES: Duration = Duration::from_secs(10);

/// How much of a rate the newest upload counts.
const NEWEST: f64 = 0.5;

/// The rate of uploads, in bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate(Option<f64>);

impl Rate {
    /// Takes an upload that was carried out. One of no bytes or no time tells nothing.
    pub fn measured(&mut self, bytes: u64, time: Duration) {
        let seconds = time.as_secs_f64();
        if bytes == 0 || seconds <= 0.0 {
            return;
        }
        let newest = bytes as f64 / seconds;
        self.0 = Some(self.0.map_or(newest, |before| before * (1.0 - NEWEST) + newest * NEWEST));
    }

    /// Returns how long an upload is going to take; `None` as long as nothing was measured.
    pub fn time_for(self, bytes: u64) -> Option<Duration> {
        let seconds = bytes as f64 / self.0?;
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).saturating_add(BESIDES))
    }

    /// Returns the bytes a second.
    pub fn bytes_per_second(self) -> Option<u64> {
        self.0.map(|rate| rate as u64)
    }
}

/// Returns the grace that a stop needs, where it has less: as much time for saving as for the upload, in whole tens of seconds.
///
/// Saving comes first, so an upload can count on half of the grace at most.
pub fn wanted_grace(upload: Duration, grace: Option<Duration>) -> Option<Duration> {
    let enough = upload.saturating_mul(2);
    let tens = enough.as_secs().saturating_add(u64::from(enough.subsec_nanos() > 0)).div_ceil(10);
    grace.is_none_or(|grace| grace < enough).then(|| Duration::from_secs(tens.saturating_mul(10)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_grace_of_twenty_seconds_is_too_short_for_an_upload_of_a_minute() {
        let mut rate = Rate::default();
        assert_eq!(rate.time_for(MIB), None);
        rate.measured(70 * MIB, Duration::from_secs(1));
        let upload = rate.time_for(4200 * MIB).unwrap_or_default();
        assert_eq!(upload, Duration::from_secs(70));
        assert_eq!(wanted_grace(upload, Some(Duration::from_secs(20))), Some(Duration::from_secs(140)));
        assert_eq!(wanted_grace(upload, Some(Duration::from_secs(140))), None);
        assert_eq!(wanted_grace(upload, None), Some(Duration::from_secs(140)));
    }

    proptest! {
        #[test]
        fn what_is_wanted_is_always_enough(upload in 0u64..1 << 40, grace in proptest::option::of(0u64..1 << 40)) {
            let (upload, grace) = (Duration::from_millis(upload), grace.map(Duration::from_millis));
            let wanted = wanted_grace(upload, grace);
            prop_assert!(wanted.is_none() || wanted_grace(upload, wanted).is_none());
        }

        #[test]
        fn a_rate_lies_between_what_was_measured(measured in proptest::collection::vec((1u64..1 << 40, 1u64..1 << 30), 1..9)) {
            let mut rate = Rate::default();
            let mut all = Vec::new();
            for (bytes, millis) in measured {
                rate.measured(bytes, Duration::from_millis(millis));
                all.push(bytes as f64 * 1000.0 / millis as f64);
            }
            let rate = rate.bytes_per_second().unwrap_or_default() as f64;
            prop_assert!(all.iter().any(|one| rate <= one * 1.001) && all.iter().any(|one| rate + 1.0 >= one * 0.999));
        }
    }
}
