//! Which part of the program does a request.

use crate::job::Job;
use crate::location::{Location, Scheme};
use crate::objects::{self, Fetch, FileRange};
use crate::options::Options;
use crate::output::Output;
use crate::pace::{Pace, Rate};
use crate::service::Service;
use crate::tries::Means;
use crate::uploads::Uploads;
use crate::watch::WATCH;
use crate::{cloud, directory, tls, web};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};
use transfer_protocol::{Done, Failure, FailureKind, Reply, Request, Task};

/// How many mebibytes of what is being sent are held in memory; a longer part is sent alone.
const MEMORY: u32 = 256;

/// The program's parts.
pub(crate) struct Engine {
    means: Means,
    service: Service,
    rate: Arc<Rate>,
    uploads: Uploads,
    memory: Semaphore,
    output: Rc<Output>,
}

impl Engine {
    /// Puts them together.
    ///
    /// # Errors
    /// What of the command line or the environment cannot be used, in words.
    pub(crate) fn new(options: Options, output: Rc<Output>) -> Result<Self, String> {
        let rate = Arc::new(Rate::new(options.limit));
        let service = Service::new(tls::config(options.ca.as_deref())?, Arc::clone(&rate))?;
        let options = Rc::new(options);
        let buckets = cloud::Buckets::new(Rc::clone(&options), service.clone());
        let means = Means { pace: Pace::new(options.parallel), options, buckets };
        let memory = Semaphore::new(MEMORY as usize);
        Ok(Engine { means, service, rate, uploads: Uploads::default(), memory, output })
    }

    /// Does a request, and writes its answers.
    pub(crate) async fn serve(&self, request: Request) {
        let job = Job::new(request.id, Rc::clone(&self.output));
        let watch = Arc::clone(&job.watch);
        let work = async {
            tokio::select! {
                ended = self.run(&job, &request.task) => ended,
                () = job.stay_alive() => Ok(None),
            }
        };
        match WATCH.scope(watch, work).await {
            Ok(Some(done)) => job.say(Reply::Done(done)),
            Ok(None) => {}
            Err(failure) => job.say(Reply::Failed(failure)),
        }
    }

    /// Does a request; `None` if its last answer is written.
    async fn run(&self, job: &Job, task: &Task) -> Result<Option<Done>, Failure> {
        let location = Location::parse(task.url())?;
        match location.scheme {
            Scheme::Web => self.on_web(job, task, &location).await,
            Scheme::File => self.in_directory(job, task, &location).await,
            Scheme::S3 | Scheme::Gcs | Scheme::Azure => self.in_cloud(job, task, &location).await,
        }
    }

    async fn in_cloud(&self, job: &Job, task: &Task, location: &Location) -> Result<Option<Done>, Failure> {
        let (means, uploads) = (&self.means, &self.uploads);
        let done = match task {
            Task::Who { .. } => self.who(location).await?,
            Task::List { flat, .. } => return objects::list(means, job, location, *flat).await.map(|()| None),
            Task::Head { .. } => return told(job, objects::head(means, job, location).await?),
            Task::Get { .. } => objects::get(means, &self.rate, job, location, fetch_of(task)?).await?,
            Task::Read { most, .. } => objects::read(means, job, location, *most).await?,
            Task::Put { path, offset, length, only_new, .. } => {
                let _held = self.room(*length).await;
                let body = objects::body(FileRange { path, offset: *offset, length: *length })?;
                objects::put(means, job, location, body, *only_new).await?
            }
            Task::PutText { text, only_new, .. } => {
                objects::put(means, job, location, vec![text.clone().into()], *only_new).await?
            }
            Task::Begin { .. } => uploads.begin(means, job, location).await?,
            Task::Part { upload, number, path, offset, length, .. } => {
                let _held = self.room(*length).await;
                let range = FileRange { path, offset: *offset, length: *length };
                uploads.part(means, job, location, (upload, *number), range).await?
            }
            Task::Complete { upload, parts, .. } => uploads.complete(means, job, location, upload, parts).await?,
            Task::Abort { upload, .. } => uploads.abort(means, job, location, upload).await?,
            Task::Delete { .. } => objects::delete(means, job, location).await?,
        };
        Ok(Some(done))
    }

    async fn on_web(&self, job: &Job, task: &Task, location: &Location) -> Result<Option<Done>, Failure> {
        let (means, service) = (&self.means, &self.service);
        let done = match task {
            Task::Who { .. } => words("nobody: a web server is asked without credentials"),
            Task::Head { .. } => return told(job, web::head(means, service, job, location).await?),
            Task::Get { .. } => web::get((means, service, &self.rate), job, location, fetch_of(task)?).await?,
            Task::Read { most, .. } => web::read(means, service, job, location, *most).await?,
            Task::List { .. } => return Err(only_read(location, "be listed: name a file")),
            _ => return Err(only_read(location, "be written")),
        };
        Ok(Some(done))
    }

    async fn in_directory(&self, job: &Job, task: &Task, location: &Location) -> Result<Option<Done>, Failure> {
        let done = match task {
            Task::Who { .. } => words("this process's user"),
            Task::List { flat, .. } => return directory::list(job, location, *flat).await.map(|()| None),
            Task::Head { .. } => return told(job, directory::head(location)?),
            Task::Get { .. } => directory::get(&self.rate, job, location, fetch_of(task)?).await?,
            Task::Read { most, .. } => directory::read(location, *most)?,
            Task::Put { path, offset, length, only_new, .. } => {
                let body = objects::body(FileRange { path, offset: *offset, length: *length })?;
                directory::put(job, location, &body, *only_new)?
            }
            Task::PutText { text, only_new, .. } => directory::put(job, location, &[text.clone().into()], *only_new)?,
            Task::Begin { .. } => directory::begin(job, location)?,
            Task::Part { upload, number, path, offset, length, .. } => {
                directory::part(job, location, (upload, *number), FileRange { path, offset: *offset, length: *length })?
            }
            Task::Complete { upload, parts, .. } => directory::complete(location, upload, parts)?,
            Task::Abort { upload, .. } => directory::abort(location, upload),
            Task::Delete { .. } => directory::delete(location)?,
        };
        Ok(Some(done))
    }

    /// Waits until what is to be sent fits into memory.
    async fn room(&self, length: u64) -> Option<SemaphorePermit<'_>> {
        let wanted = u32::try_from(length.div_ceil(1 << 20)).unwrap_or(MEMORY).min(MEMORY);
        self.memory.acquire_many(wanted).await.ok()
    }

    async fn who(&self, location: &Location) -> Result<Done, Failure> {
        let bucket = self.means.buckets.get(location).await?;
        match bucket.source.words.as_str() {
            "" if bucket.source.looked.is_empty() => Ok(words("nobody: requests are not signed")),
            "" => Ok(words(&format!("nobody: there are no credentials at {}", bucket.source.looked.join(", ")))),
            found => Ok(words(found)),
        }
    }
}

fn words(text: &str) -> Done {
    Done { text: Some(text::masked(text)), ..Done::default() }
}

fn told(job: &Job, object: transfer_protocol::Object) -> Result<Option<Done>, Failure> {
    job.say(Reply::Object(object));
    job.flush();
    Ok(None)
}

fn only_read(location: &Location, what: &str) -> Failure {
    Failure::new(FailureKind::Bad, format!("{}: a web server cannot {what}", location.shown))
}

fn fetch_of(task: &Task) -> Result<Fetch<'_>, Failure> {
    let Task::Get { tag, offset, length, path, at, sha256, .. } = task else {
        return Err(Failure::new(FailureKind::Bad, "this is no get"));
    };
    if offset.checked_add(*length).is_none() || at.checked_add(*length).is_none() {
        return Err(Failure::new(FailureKind::Bad, "the range has no end"));
    }
    Ok(Fetch { tag: tag.as_deref(), offset: *offset, length: *length, path, at: *at, sha256: *sha256 })
}
