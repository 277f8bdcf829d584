//! A mirror behind trainit-transfer.

use mirror::Store;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use protocol::handover::MirrorPolicy;
use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::credentials;
use transfer_protocol::{
    Answer, Carrier, CarrierError, CarrierOptions, Done, Failure, FailureKind, Object, Reply, SearchPath, Task, locate,
};

/// How many requests are open at a time; the program works on as many of them as it was told to.
const OPEN: usize = 32;

/// How long one wait for an answer takes.
const WAIT: Duration = Duration::from_secs(1);

/// A mirror behind a running program.
#[derive(Debug)]
pub(crate) struct CarriedStore(Carrier);

impl CarriedStore {
    /// Starts the program, which inherits these descriptors.
    ///
    /// # Errors
    /// There is no such program, or it cannot be started.
    pub(crate) fn start<'a>(
        policy: &MirrorPolicy,
        inherits: impl Iterator<Item = BorrowedFd<'a>>,
    ) -> Result<Self, Failure> {
        let program = program().ok_or_else(missing)?;
        let inherited: Vec<BorrowedFd<'_>> = inherits.collect();
        let set = |flag: FdFlag| {
            for fd in &inherited {
                let _ = fcntl(fd, FcntlArg::F_SETFD(flag));
            }
        };
        set(FdFlag::empty());
        let started = Carrier::start(&program, &options(policy), |_| {});
        set(FdFlag::FD_CLOEXEC);
        started.map(CarriedStore).map_err(lost)
    }

    /// Waits for the next answer.
    fn next(&mut self) -> Result<Option<Answer>, Failure> {
        self.0.next(WAIT).map_err(lost)
    }
}

impl Store for CarriedStore {
    fn run(&mut self, tasks: Vec<Task>, moved: &mut dyn FnMut(u64)) -> Result<Vec<Done>, Failure> {
        let mut outcomes: Vec<Option<Done>> = tasks.iter().map(|_| None).collect();
        let mut tasks = tasks.into_iter().enumerate();
        let mut open: HashMap<u64, (usize, u64)> = HashMap::new();
        loop {
            while open.len() < OPEN
                && let Some((index, task)) = tasks.next()
            {
                open.insert(self.0.send(task).map_err(lost)?, (index, 0));
            }
            if open.is_empty() {
                return Ok(outcomes.into_iter().flatten().collect());
            }
            let Some(answer) = self.next()? else { continue };
            let Some((index, through)) = open.get_mut(&answer.id) else { continue };
            match answer.reply {
                Reply::Failed(failure) => return Err(failure),
                Reply::Progress(bytes) => {
                    moved(bytes.saturating_sub(*through));
                    *through = bytes.max(*through);
                }
                Reply::Done(done) => {
                    moved(done.bytes.saturating_sub(*through));
                    outcomes.get_mut(*index).into_iter().for_each(|outcome| *outcome = Some(done.clone()));
                    open.remove(&answer.id);
                }
                Reply::Object(_) | Reply::Prefix(_) | Reply::End(_) => {}
            }
        }
    }

    fn list(&mut self, url: &str) -> Result<Vec<Object>, Failure> {
        let mut found = Vec::new();
        let mut hear = |reply| {
            if let Reply::Object(object) = reply {
                found.push(object);
            }
        };
        self.0.call(Task::List { url: url.to_owned(), flat: true }, &mut hear).map_err(lost)??;
        Ok(found)
    }
}

fn options(policy: &MirrorPolicy) -> CarrierOptions {
    CarrierOptions {
        endpoint: policy.endpoint.clone(),
        ca: policy.ca.as_ref().map(PathBuf::from),
        parallel: policy.parallel,
        limit: policy.limit,
        retries: policy.retries,
    }
}

/// Finds the program, beside trainit or on PATH.
fn program() -> Option<PathBuf> {
    let own = std::fs::read_link(Path::new("/proc/self/exe")).ok();
    let path = std::env::var_os("PATH");
    let as_root = credentials::own_uid() == 0;
    locate(SearchPath { own: own.as_deref(), path: path.as_deref(), as_root })
}

fn missing() -> Failure {
    Failure::new(FailureKind::Bad, "trainit-transfer, which reads and writes object stores, is not here")
        .hint("install it beside trainit: docs/packages.md")
}

/// A program that is of no more use may be of use when it is started again.
fn lost(error: CarrierError) -> Failure {
    Failure::new(FailureKind::Later, error.to_string())
}
