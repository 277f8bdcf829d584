//! Why data cannot be brought, as data: what happened decides whether another try can help. The words are in `words`.

use super::key::BadKey;
use super::space::TooLittle;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use store::StoreError;
use store::failed::FailedAttempt;
use store::lease::LeaseOwner;

/// The reason why data cannot be brought.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A system call failed.
    #[error("{doing} {}", text::path(.path))]
    Io {
        /// What was done: `reading`.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system answered.
        #[source]
        error: io::Error,
    },
    /// The source is not there.
    #[error("{source_name} is not there")]
    Missing {
        /// The source.
        source_name: String,
        /// What is there instead, if that is known.
        near: Vec<String>,
    },
    /// The source holds nothing, or nothing that is wanted.
    #[error("{source_name} holds nothing")]
    Empty {
        /// The source.
        source_name: String,
        /// Whether it holds something that `only=` does not want.
        unwanted: bool,
        /// What is there instead, if that is known.
        near: Vec<String>,
    },
    /// There are fewer files than nodes, and none is for this one.
    #[error("{source_name} has too few files")]
    NoPart {
        /// The source.
        source_name: String,
        /// How many files it has.
        files: u64,
        /// How many nodes share them.
        nodes: u32,
    },
    /// Source and target are the same, or one is in the other.
    #[error("the source lies in its own target, or the other way round")]
    Itself,
    /// A key is no path.
    #[error("{key}: {why}")]
    Key {
        /// The key, for people.
        key: String,
        /// Why.
        why: BadKey,
    },
    /// Two keys are for one path, or one is a file and the other a directory.
    #[error("two objects are for one path")]
    TwoForOne {
        /// The key that came second.
        key: String,
        /// The path that is there.
        path: String,
    },
    /// Links lead out of the source.
    #[error("links lead out of the source")]
    LinksLeave {
        /// Some of them, with their targets.
        some: Vec<String>,
        /// How many there are.
        count: u64,
    },
    /// There is too little room.
    #[error("too little room")]
    Room {
        /// What there is too little of.
        what: TooLittle,
        /// Where.
        directory: PathBuf,
        /// The largest entries of the store there.
        largest: Vec<String>,
    },
    /// The target holds what is not ours.
    #[error("{} holds something else", text::path(.0))]
    NotOurs(PathBuf),
    /// The target cannot be made.
    #[error("{} cannot be made", text::path(path))]
    NoPlace {
        /// The target.
        path: PathBuf,
        /// Whether a store is configured.
        store: bool,
        /// What the system answered.
        #[source]
        error: io::Error,
    },
    /// An object changes while it is read.
    #[error("{key} changes while it is read")]
    Changes {
        /// The object.
        key: String,
        /// Its tags, old and new.
        tags: [String; 2],
    },
    /// Objects could not be fetched.
    #[error("objects could not be fetched")]
    Objects {
        /// Some of them.
        some: Vec<String>,
        /// How many failed, of those that were tried.
        count: u64,
        /// The first failure.
        first: Box<ObjectFailure>,
    },
    /// The source as a whole refused.
    #[error("{source_name}")]
    Refused {
        /// The source.
        source_name: String,
        /// Why.
        failure: Box<ObjectFailure>,
    },
    /// A file is not what its size or sum says.
    #[error("{key} is not what the source says")]
    Damaged {
        /// The object.
        key: String,
        /// What was found, and what has to be.
        found: String,
    },
    /// The time is over.
    #[error("the time is over")]
    Late {
        /// The limit.
        limit: Duration,
        /// Bytes that are there, and those there are in all.
        bytes: [u64; 2],
        /// Bytes that this start brought.
        brought: u64,
        /// How long this start worked.
        worked: Duration,
    },
    /// No program moves this kind of source.
    #[error("nothing here can fetch {0}")]
    NoMeans(String),
    /// The program that moves objects is not there.
    #[error("trainit-transfer is not here")]
    NoTransfer(String),
    /// The program that moves objects is of no more use.
    #[error("{0}")]
    Transfer(String),
    /// The program of `stage.command` failed.
    #[error("stage.command failed")]
    Command {
        /// The command line.
        line: String,
        /// How it ended.
        how: String,
        /// Its last words.
        said: String,
        /// Whether it was there at all.
        is_there: bool,
    },
    /// Another start found that it cannot be done.
    #[error("another start failed")]
    Elsewhere(Box<FailedAttempt>, PathBuf),
    /// Another start did not finish in time.
    #[error("another start has not finished")]
    Waited(Box<LeaseOwner>),
    /// Another start took this one for dead, and goes on with its work.
    #[error("another start goes on with this")]
    TakenOver,
    /// The store is of no use.
    #[error("the store is of no use")]
    Store(#[from] StoreError),
    /// Nothing waits for the data any more.
    #[error("stopped")]
    Stopped,
}

/// The failure of one object or request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectFailure {
    /// What kind of failure it is.
    pub kind: Failed,
    /// What happened, for people.
    pub text: String,
    /// What helps.
    pub hints: Vec<String>,
    /// Seconds that the server's clock is ahead, if that is the reason.
    pub skew: Option<i64>,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It is refused.
    Denied,
    /// It is not there.
    Gone,
    /// It has changed.
    Changed,
    /// It may work later.
    Later,
    /// The local disk is full.
    Full,
    /// It cannot work.
    Bad,
}

/// `Result` with this error.
pub(crate) type Result<T, E = StageError> = std::result::Result<T, E>;

impl StageError {
    /// Makes the error of a system call.
    pub fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> StageError {
        let path = path.into();
        move |error| StageError::Io { doing, path, error }
    }

    /// Returns whether another try, here later or on another node, can help.
    pub fn may_pass(&self) -> bool {
        match self {
            StageError::Io { error, .. } | StageError::NoPlace { error, .. } => {
                protocol::errno::cause_of(error).is_some()
            }
            StageError::Objects { first: failure, .. } | StageError::Refused { failure, .. } => {
                matches!(failure.kind, Failed::Later | Failed::Changed)
            }
            StageError::Elsewhere(failed, _) => !failed.permanent,
            StageError::Command { is_there, .. } => *is_there,
            StageError::Changes { .. }
            | StageError::Damaged { .. }
            | StageError::Late { .. }
            | StageError::Waited(_)
            | StageError::TakenOver
            | StageError::Transfer(_)
            | StageError::Stopped => true,
            _ => false,
        }
    }

    /// Returns whether the clock is what is wrong: seconds that the server's is ahead.
    pub fn skew(&self) -> Option<i64> {
        match self {
            StageError::Objects { first: failure, .. } | StageError::Refused { failure, .. } => failure.skew,
            _ => None,
        }
    }
}
