//! A limit of bytes in a second, shared by threads: each takes its bytes before it moves them, and sleeps until they are due.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A limit, or none.
#[derive(Debug)]
pub(crate) struct Limit {
    rate: Option<u64>,
    next: Mutex<Instant>,
}

impl Limit {
    /// Makes a limit of so many bytes in a second.
    pub(crate) fn of(rate: Option<u64>) -> Self {
        Limit { rate: rate.filter(|rate| *rate > 0), next: Mutex::new(Instant::now()) }
    }

    /// Waits until so many bytes are due.
    pub(crate) fn take(&self, bytes: u64) {
        let Some(rate) = self.rate else { return };
        let wait = match self.next.lock() {
            Ok(mut next) => reserve(&mut next, Instant::now(), bytes, rate),
            Err(_) => return,
        };
        std::thread::sleep(wait);
    }
}

/// Takes the next share of the time, and returns how long it is until then.
fn reserve(next: &mut Instant, now: Instant, bytes: u64, rate: u64) -> Duration {
    let begin = (*next).max(now);
    *next = begin + Duration::from_secs_f64(bytes as f64 / rate as f64);
    begin.saturating_duration_since(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_more_than_is_due_waits() {
        let now = Instant::now();
        let mut next = now;
        assert_eq!(reserve(&mut next, now, 100, 50), Duration::ZERO);
        assert_eq!(reserve(&mut next, now, 100, 50), Duration::from_secs(2));
        assert_eq!(reserve(&mut next, now + Duration::from_secs(9), 1, 50), Duration::ZERO);
    }
}
