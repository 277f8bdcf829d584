//! The steps from an address to a directory that holds the commit: lock, heal, compare, ask the server, fetch, check out. Each step can be
//! killed; the stamp tells the next start how far it came.

use super::access::Access;
use super::address::{Address, is_commit};
use super::changes::{self, Changes};
use super::failure::{Failure, FailureKind};
use super::git::{Git, GitProgress};
use super::place::Place;
use super::pointers;
use super::reference::{self, Named, NamedBy};
use super::stamp::Stamp;
use std::path::Path;
use std::time::Duration;
use sys::environment::Environment;

/// What is wanted.
#[derive(Debug)]
pub struct Request<'a> {
    /// The directory that is going to hold the code.
    pub directory: &'a Path,
    /// Whether the directory lies on another machine, where a lock of this one's kernel may mean nothing.
    pub far: bool,
    /// The repository, and the name in it.
    pub address: &'a Address,
    /// The commit that all starts of a job were told to take, in place of the name.
    pub pinned: Option<&'a str>,
    /// The commit that another node has found for a branch. It is taken in place of the branch's newest one, of which it must be an
    /// ancestor: who told it need not be trusted.
    pub told: Option<&'a str>,
    /// How many commits of the history are fetched; `None` for all.
    pub depth: Option<u32>,
    /// Whether submodules are fetched.
    pub submodules: bool,
    /// Whether pointers of Git LFS are replaced by their contents.
    pub contents: bool,
    /// What opens the repository.
    pub access: &'a Access,
    /// The environment of git.
    pub environment: &'a Environment,
}

/// What a start that waits may tell.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Another start is at work in the directory.
    Waiting(Duration),
    /// git is at work.
    Git(GitProgress),
}

/// What is in the directory now.
#[derive(Debug)]
pub struct Brought {
    /// The commit; where somebody changed the directory, the one that trainit brought.
    pub commit: String,
    /// The name that led to the commit.
    pub name: String,
    /// The kind of that name.
    pub by: NamedBy,
    /// Whether it was there already.
    pub unchanged: bool,
    /// What somebody changed; then nothing was fetched or touched.
    pub changes: Option<Changes>,
    /// The reason why the server could not be asked, and how old its last answer is.
    pub stale: Option<(Failure, Duration)>,
}

/// How often the server is asked when it cannot be reached, and the pause before each further time.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// How many commits of a branch are looked through for the one that another node has found.
const MOVED_MOST: u32 = 64;

/// Brings the commit into the directory. `found` hears which one it is before it is fetched.
///
/// # Errors
/// Why it could not be brought. Then the directory holds what it held before, or the next start goes on where this one stopped.
pub fn bring(
    request: &Request<'_>,
    found: &mut dyn FnMut(&str),
    tell: &mut dyn FnMut(&Progress),
) -> Result<Brought, Failure> {
    let place = Place::make(request.directory)?;
    place.stamp()?;
    let mut hold = place.hold(request.far, &mut |waited| tell(&Progress::Waiting(waited)))?;
    let stamp = place.stamp()?.unwrap_or_default();
    let git = Git::new(&place.directory, request.environment, request.access, request.address.is_local())?;
    let mut step = Step { request, place, git, stamp };
    let mut tell = |progress: &GitProgress| {
        hold.beat();
        tell(&Progress::Git(progress.clone()));
    };
    step.heal(&mut tell)?;
    if let Some(changes) = step.changes()? {
        return Ok(step.kept(changes));
    }
    let named = match step.resolve(&mut tell) {
        Ok(named) => step.as_told(named, &mut tell),
        Err(failure) => return step.go_on_without(failure),
    };
    found(&named.commit);
    step.check_out(&named, &mut tell)
}

/// One start at its work.
struct Step<'a> {
    request: &'a Request<'a>,
    place: Place,
    git: Git<'a>,
    stamp: Stamp,
}

impl Step<'_> {
    /// Makes the repository, or removes what a killed start left in it.
    fn heal(&mut self, tell: &mut dyn FnMut(&GitProgress)) -> Result<(), Failure> {
        if !self.stamp.is_new() {
            self.place.remove_locks(self.stamp.busy);
            return Ok(());
        }
        self.place.clear_git()?;
        self.set_busy(true)?;
        let wide = self.wanted_commit().is_some_and(|commit| commit.len() == 64);
        let format = if wide { "--object-format=sha256" } else { "--quiet" };
        self.git.run(&["init", "--quiet", "--template=", format], tell).map(drop)
    }

    fn wanted_commit(&self) -> Option<&str> {
        self.request.pinned.or(self.request.address.commit())
    }

    fn set_busy(&mut self, busy: bool) -> Result<(), Failure> {
        self.stamp.busy = busy;
        self.write_stamp()
    }

    fn write_stamp(&self) -> Result<(), Failure> {
        let unwritable = |error| Failure::new(FailureKind::Unwritable(self.place.git.clone(), error));
        self.stamp.write(&self.place.git).map_err(unwritable)
    }

    fn changes(&self) -> Result<Option<Changes>, Failure> {
        match (&self.stamp.target, &self.stamp.commit) {
            (Some(target), _) => changes::of_torn(&self.git, &self.stamp, target),
            (None, Some(commit)) => changes::of_whole(&self.git, commit),
            (None, None) => Ok(None),
        }
    }

    fn kept(self, changes: Changes) -> Brought {
        let Stamp { commit, target, name, by, .. } = self.stamp;
        let (commit, by) = (commit.or(target).unwrap_or_default(), by.unwrap_or(NamedBy::Commit));
        Brought { commit, name, by, unchanged: true, changes: Some(changes), stale: None }
    }

    /// Finds the commit, by the server unless it is given.
    fn resolve(&self, tell: &mut dyn FnMut(&GitProgress)) -> Result<Named, Failure> {
        if let Some(commit) = self.wanted_commit() {
            let full = self.request.address.reference.as_ref().filter(|name| !is_commit(name));
            let full = full.filter(|name| name.starts_with("refs/")).cloned();
            return Ok(Named { full, ..Named::commit(commit) });
        }
        let address = self.request.address;
        let patterns = reference::patterns(address);
        let words = ["ls-remote", "--symref", "--", &address.url];
        let words: Vec<&str> = words.into_iter().chain(patterns.iter().map(String::as_str)).collect();
        let answer = patiently(|| self.git.run(&words, tell))?;
        reference::find(&String::from_utf8_lossy(&answer), address).ok_or_else(|| match &address.reference {
            Some(name) => Failure::new(FailureKind::NoReference(name.clone())),
            None => Failure::new(FailureKind::Empty),
        })
    }

    /// Takes the commit that another node has found, if the branch had it shortly before.
    fn as_told(&mut self, named: Named, tell: &mut dyn FnMut(&GitProgress)) -> Named {
        let told = self.request.told.filter(|told| *told != named.commit && named.by == NamedBy::Branch);
        match told {
            Some(told) if self.is_before(told, &named, tell) => Named { commit: told.to_owned(), ..named },
            _ => named,
        }
    }

    /// Returns whether a commit is one of the last of a branch.
    fn is_before(&mut self, commit: &str, branch: &Named, tell: &mut dyn FnMut(&GitProgress)) -> bool {
        let Some(full) = &branch.full else { return false };
        let depth = self.request.depth.map(|depth| depth.max(MOVED_MOST));
        self.set_busy(true).is_ok()
            && self.name_remote().is_ok()
            && self.fetch_words(&[full], depth, tell).is_ok()
            && self.has(commit).unwrap_or(false)
            && self.git.agrees(&["merge-base", "--is-ancestor", commit, &branch.commit]).unwrap_or(false)
    }

    /// Goes on with what is there, if the server only cannot be asked; the caller decides whether that is enough.
    fn go_on_without(self, failure: Failure) -> Result<Brought, Failure> {
        let wanted = self.request.address.reference.as_deref();
        let Stamp { url, name, by, commit, target, .. } = &self.stamp;
        let is_same =
            *url == self.request.address.url && wanted.is_none_or(|wanted| wanted == name) && target.is_none();
        match commit.clone().zip(*by) {
            Some((commit, by)) if is_same && failure.may_pass() => {
                let age = self.stamp.age();
                Ok(Brought {
                    commit,
                    name: name.clone(),
                    by,
                    unchanged: true,
                    changes: None,
                    stale: Some((failure, age)),
                })
            }
            _ => Err(failure),
        }
    }

    fn check_out(mut self, named: &Named, tell: &mut dyn FnMut(&GitProgress)) -> Result<Brought, Failure> {
        let whole = self.stamp.commit.as_ref() == Some(&named.commit) && self.stamp.target.is_none();
        let name = if self.request.pinned.is_some() { named.commit.clone() } else { named.name.clone() };
        (self.stamp.name, self.stamp.by) = (name.clone(), Some(named.by));
        self.stamp.url.clone_from(&self.request.address.url);
        self.stamp.asked_now();
        if !whole {
            self.set_busy(true)?;
            self.fetch(named, tell)?;
            self.replace_files(&named.commit, tell)?;
        }
        (self.stamp.commit, self.stamp.target) = (Some(named.commit.clone()), None);
        self.set_busy(false)?;
        Ok(Brought { commit: named.commit.clone(), name, by: named.by, unchanged: whole, changes: None, stale: None })
    }

    fn name_remote(&self) -> Result<(), Failure> {
        self.git.ask(&["config", "remote.origin.url", &self.request.address.url])?;
        self.git.ask(&["config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"]).map(drop)
    }

    fn fetch(&self, named: &Named, tell: &mut dyn FnMut(&GitProgress)) -> Result<(), Failure> {
        self.name_remote()?;
        if self.has(&named.commit)? {
            return Ok(());
        }
        match patiently(|| self.fetch_words(&[&named.commit], self.request.depth, tell)) {
            Err(Failure { kind: FailureKind::Unadvertised, .. }) => self.fetch_by_name(named, tell)?,
            Err(Failure { kind: FailureKind::NotPushed(_), told }) => {
                return Err(Failure { kind: FailureKind::NotPushed(named.commit.clone()), told });
            }
            other => other?,
        }
        match self.has(&named.commit)? {
            true => Ok(()),
            false => Err(Failure::new(FailureKind::NotPushed(named.commit.clone()))),
        }
    }

    /// Fetches from a server that gives no commit by its number: the name if it is known, else all branches and tags with their history.
    fn fetch_by_name(&self, named: &Named, tell: &mut dyn FnMut(&GitProgress)) -> Result<(), Failure> {
        if let Some(full) = &named.full {
            patiently(|| self.fetch_words(&[full], self.request.depth, tell))?;
            if self.has(&named.commit)? {
                return Ok(());
            }
        }
        let all = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
        let shallow = self.git.ask(&["rev-parse", "--is-shallow-repository"])?.starts_with(b"true");
        let begin = ["fetch", "--progress", "--no-tags"].into_iter().chain(shallow.then_some("--unshallow"));
        let words: Vec<&str> = begin.chain(["origin"]).chain(all).collect();
        patiently(|| self.git.run(&words, tell)).map(drop)
    }

    fn fetch_words(
        &self,
        names: &[&str],
        depth: Option<u32>,
        tell: &mut dyn FnMut(&GitProgress),
    ) -> Result<(), Failure> {
        let depth = depth.map(|depth| format!("--depth={depth}"));
        let begin = ["fetch", "--progress", "--no-tags"].into_iter().chain(depth.as_deref());
        let words: Vec<&str> = begin.chain(["origin"]).chain(names.iter().copied()).collect();
        self.git.run(&words, tell).map(drop)
    }

    fn has(&self, commit: &str) -> Result<bool, Failure> {
        self.git.agrees(&["cat-file", "-e", &format!("{commit}^{{commit}}")])
    }

    fn replace_files(&mut self, commit: &str, tell: &mut dyn FnMut(&GitProgress)) -> Result<(), Failure> {
        // What a killed checkout left was found to be nobody's work.
        let is_torn = self.stamp.target.is_some();
        self.stamp.target = Some(commit.to_owned());
        self.write_stamp()?;
        let force = if is_torn { "--force" } else { "--quiet" };
        if let Err(failure) = self.git.run(&["checkout", "--progress", "--detach", force, commit], tell) {
            if matches!(failure.kind, FailureKind::InTheWay) && !is_torn {
                self.stamp.target = None;
                self.set_busy(false)?;
            }
            return Err(failure);
        }
        if self.request.submodules {
            self.fetch_submodules(tell)?;
        }
        if self.request.contents { pointers::fetch(&self.git, tell) } else { Ok(()) }
    }

    fn fetch_submodules(&self, tell: &mut dyn FnMut(&GitProgress)) -> Result<(), Failure> {
        self.git.ask(&["submodule", "sync", "--quiet", "--recursive"])?;
        let words = ["submodule", "update", "--init", "--recursive", "--force"];
        let depth = self.request.depth.map(|depth| format!("--depth={depth}"));
        let shallow: Vec<&str> = words.into_iter().chain(depth.as_deref()).collect();
        match patiently(|| self.git.run(&shallow, tell)) {
            Err(Failure { kind: FailureKind::Unadvertised | FailureKind::NotPushed(_), .. }) => {
                patiently(|| self.git.run(&words, tell)).map(drop)
            }
            other => other.map(drop),
        }
    }
}

/// Tries again what failed on the way.
fn patiently<T>(mut work: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    for pause in PAUSES {
        match work() {
            Err(Failure { kind: FailureKind::Network, .. }) => std::thread::sleep(pause),
            other => return other,
        }
    }
    work()
}

/// Returns the commit that a directory of trainit holds as a whole, and the repository that it came from, as its stamp says.
pub fn held(directory: &Path) -> Option<(String, String)> {
    let stamp = Stamp::read(&directory.join(".git"))?;
    stamp.commit.filter(|_| stamp.target.is_none()).map(|commit| (commit, stamp.url))
}
