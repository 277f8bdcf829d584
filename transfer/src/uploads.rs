//! Objects of several parts, in a cloud.

use crate::classify::Action;
use crate::job::Job;
use crate::location::Location;
use crate::objects::{FileRange, body, key};
use crate::tries::Means;
use object_store::multipart::PartId;
use object_store::{ObjectStoreExt, PutPayload};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use transfer_protocol::{Done, Failure, FailureKind};

/// The tags of the parts that this process wrote, by upload.
#[derive(Debug, Default)]
pub(crate) struct Uploads(RefCell<HashMap<String, BTreeMap<u32, String>>>);

impl Uploads {
    /// Begins an object.
    ///
    /// # Errors
    /// What `Means::with_bucket` returns.
    pub(crate) async fn begin(&self, means: &Means, job: &Job, location: &Location) -> Result<Done, Failure> {
        let key = key(location)?;
        means
            .with_bucket(job, (location, Action::Write), async |bucket, _| {
                let upload = Some(bucket.store.create_multipart(&key).await?);
                Ok(Done { upload, ..Done::default() })
            })
            .await
    }

    /// Writes one part.
    ///
    /// # Errors
    /// What `Means::with_bucket` returns.
    pub(crate) async fn part(
        &self,
        means: &Means,
        job: &Job,
        location: &Location,
        (upload, number): (&String, u32),
        range: FileRange<'_>,
    ) -> Result<Done, Failure> {
        let key = key(location)?;
        let index = number.checked_sub(1).ok_or_else(|| Failure::new(FailureKind::Bad, "parts are counted from 1"))?;
        let payload = PutPayload::from_iter(body(range)?);
        let part = means
            .with_bucket(job, (location, Action::Write), async |bucket, _| {
                Ok(bucket.store.put_part(&key, upload, index as usize, payload.clone()).await?)
            })
            .await?;
        self.0.borrow_mut().entry(upload.clone()).or_default().insert(number, part.content_id.clone());
        Ok(Done { bytes: range.length, tag: Some(part.content_id), ..Done::default() })
    }

    /// Makes the object out of its parts.
    ///
    /// # Errors
    /// What `Means::with_bucket` returns.
    pub(crate) async fn complete(
        &self,
        means: &Means,
        job: &Job,
        location: &Location,
        upload: &String,
        parts: &[String],
    ) -> Result<Done, Failure> {
        let key = key(location)?;
        let known = || self.0.borrow().get(upload).map(|parts| parts.values().cloned().collect()).unwrap_or_default();
        let tags: Vec<String> = if parts.is_empty() { known() } else { parts.to_vec() };
        let parts: Vec<PartId> = tags.into_iter().map(|content_id| PartId { content_id }).collect();
        let done = means
            .with_bucket(job, (location, Action::Write), async |bucket, number| {
                let tag = match bucket.store.complete_multipart(&key, upload, parts.clone()).await {
                    Ok(result) => result.e_tag,
                    // An earlier try may have arrived although its answer was lost: then the upload is gone, and the object there.
                    Err(object_store::Error::NotFound { .. }) if number > 0 => bucket.store.head(&key).await?.e_tag,
                    Err(error) => return Err(error.into()),
                };
                Ok(Done { tag, ..Done::default() })
            })
            .await?;
        self.0.borrow_mut().remove(upload);
        Ok(done)
    }

    /// Gives an object up.
    ///
    /// # Errors
    /// What `Means::with_bucket` returns.
    pub(crate) async fn abort(
        &self,
        means: &Means,
        job: &Job,
        location: &Location,
        upload: &String,
    ) -> Result<Done, Failure> {
        let key = key(location)?;
        self.0.borrow_mut().remove(upload);
        means
            .with_bucket(job, (location, Action::Delete), async |bucket, _| {
                match bucket.store.abort_multipart(&key, upload).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(Done::default()),
                    Err(error) => Err(error.into()),
                }
            })
            .await
    }
}
