//! Repeats what may pass: with a jitter, with credentials that are read anew, in the region that the server names.

use crate::classify::{Action, Failed};
use crate::cloud::{Bucket, Buckets};
use crate::job::Job;
use crate::location::Location;
use crate::options::Options;
use crate::pace::Pace;
use crate::seen::Seen;
use crate::service::chain;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use transfer_protocol::{Failure, FailureKind};

/// The first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(20));

/// A try that moved so many bytes was worth it: the count begins anew.
const WORTH: u64 = 1 << 20;

/// How often credentials that have expired are read anew in a row.
const RENEWALS: u32 = 2;

/// Why a try failed.
#[derive(Debug)]
pub(crate) enum TryError {
    /// A store's error; what was seen of the exchange says more.
    Store(object_store::Error),
    /// Nothing moved for too long.
    Stalled,
    /// Something that is already judged.
    Judged(Failure),
}

impl From<object_store::Error> for TryError {
    fn from(error: object_store::Error) -> Self {
        TryError::Store(error)
    }
}

impl From<Failure> for TryError {
    fn from(failure: Failure) -> Self {
        TryError::Judged(failure)
    }
}

/// What every task works with.
pub(crate) struct Means {
    /// The command line.
    pub(crate) options: Rc<Options>,
    /// The open buckets.
    pub(crate) buckets: Buckets,
    /// How many requests are made at a time.
    pub(crate) pace: Pace,
}

impl Means {
    /// Does something with a bucket until it works, or until another try makes no sense. `number` is counted from 0.
    ///
    /// # Errors
    /// The last try's.
    pub(crate) async fn with_bucket<T>(
        &self,
        job: &Job,
        (location, action): (&Location, Action),
        mut body: impl AsyncFnMut(&Bucket, u32) -> Result<T, TryError>,
    ) -> Result<T, Failure> {
        self.repeat(job, (location, action), async |number| {
            let bucket = self.buckets.get(location).await?;
            let done = body(&bucket, number).await;
            done.map_err(|error| {
                let judged = judge(job, (location, action), &bucket.source.words, error);
                TryError::Judged(bucket.explain(judged))
            })
        })
        .await
    }

    /// Does something until it works, or until another try makes no sense.
    ///
    /// # Errors
    /// The last try's.
    pub(crate) async fn repeat<T>(
        &self,
        job: &Job,
        (location, action): (&Location, Action),
        mut body: impl AsyncFnMut(u32) -> Result<T, TryError>,
    ) -> Result<T, Failure> {
        let (mut number, mut failed, mut renewed) = (0, 0, 0);
        loop {
            let turn = self.pace.turn().await;
            job.watch.restart();
            let before = job.moved();
            let ended = self.unless_stalled(job, body(number)).await;
            if job.watch.take_slow() {
                self.pace.slow_down();
            }
            drop(turn);
            let failure = match ended {
                Ok(done) => {
                    self.pace.succeeded();
                    return Ok(done);
                }
                Err(error) => judge(job, (location, action), "", error),
            };
            let seen = job.watch.seen();
            number += 1;
            failed = if job.moved() >= before + WORTH { 0 } else { failed + 1 };
            if seen.is_expired() && renewed < RENEWALS {
                renewed += 1;
                self.buckets.forget(location).await;
            } else if !(is_elsewhere(&seen) && self.buckets.moved(location, &seen.region).await) {
                if failure.kind != FailureKind::Later || failed > self.options.retries {
                    return Err(tried(failure, number));
                }
                tokio::time::sleep(pause(failed)).await;
            }
        }
    }

    /// Gives a try up when nothing moves.
    async fn unless_stalled<T>(
        &self,
        job: &Job,
        body: impl Future<Output = Result<T, TryError>>,
    ) -> Result<T, TryError> {
        let mut body = pin!(body);
        loop {
            let left = self.options.stall.saturating_sub(job.watch.idle());
            if left.is_zero() {
                return Err(TryError::Stalled);
            }
            if let Ok(ended) = tokio::time::timeout(left, body.as_mut()).await {
                return ended;
            }
        }
    }
}

/// Whether the server says that the bucket is in another region.
fn is_elsewhere(seen: &Seen) -> bool {
    !seen.region.is_empty() && matches!(seen.status, 301 | 307 | 400)
}

fn judge(job: &Job, (location, action): (&Location, Action), source: &str, error: TryError) -> Failure {
    let seen = job.watch.seen();
    let otherwise = match error {
        TryError::Judged(failure) => return failure,
        TryError::Stalled => {
            let text = format!("{}: {} sends nothing any more", location.shown, seen.host);
            return Failure::new(FailureKind::Later, text);
        }
        TryError::Store(error) => text::masked(&chain(&error)),
    };
    Failed { location, action, seen: &seen, source, otherwise: &otherwise }.judge()
}

fn tried(failure: Failure, number: u32) -> Failure {
    if failure.kind != FailureKind::Later || number < 2 {
        return failure;
    }
    Failure { text: format!("{} (tried {number} times)", failure.text), ..failure }
}

/// The pause before another try: doubled each time, and between half and all of it, so that many clients do not come back together.
fn pause(failed: u32) -> Duration {
    let whole = PAUSES.0.saturating_mul(1 << failed.min(10)).min(PAUSES.1);
    let random = RandomState::new().hash_one(0) as u32;
    whole / 2 + (whole / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}
