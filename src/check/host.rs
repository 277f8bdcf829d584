//! What the host gives a container to work with. So far: shared memory, which Docker makes 64 MiB.

use super::rules::Rules;
use super::step::{Answer, Step, Subject, Trouble};
use super::task::Task;
use super::{Change, Check, Facts, Ground, Passing, Remedy, Scene};
use crate::config::{Severity, Size};
use crate::exit::Family;
use crate::show;
use nix::errno::Errno;
use std::path::PathBuf;
use std::rc::Rc;

/// Below this a data loader with a few workers, or NCCL, runs out of it.
const LITTLE: u64 = 1 << 30;
/// What is advised where nothing else is known.
const ADVISED: u64 = 8 << 30;

/// Shared memory, and how much of it was asked for.
pub struct Shm {
    path: PathBuf,
    container: bool,
    minimum: Option<Size>,
    size: Option<u64>,
}

/// The checks of this family.
pub const STEPS: &[Step<Shm>] = &[Step {
    check: Check {
        id: "host.shm",
        family: Family::Host,
        severity: Severity::Warn,
        passing: Passing::Never,
        about: "/dev/shm has at least 1 GiB; with `host.shm` at least that, else the start fails",
        remedy: "`docker run --shm-size=8g`, or `--ipc=host`",
    },
    base: false,
    ask: Shm::large_enough,
}];

/// One task: nothing here can hang.
pub fn plan<'a>(scene: &Scene, ground: &Rc<Ground>, rules: &Rules<'a>) -> Vec<Task<'a>> {
    let path = scene.root.path("/dev/shm");
    let shm = Shm { path, container: ground.place.is_container(), minimum: scene.settings.host_shm.value, size: None };
    Task::of_machine(STEPS, rules, shm).into_iter().collect()
}

impl Shm {
    fn large_enough(&mut self) -> Answer {
        match nix::sys::statvfs::statvfs(&self.path) {
            Ok(stat) => self.size = Some(stat.blocks().saturating_mul(stat.fragment_size())),
            Err(Errno::ENOENT | Errno::ENOTDIR) => return self.trouble("/dev/shm does not exist".to_owned()).found(),
            Err(_) => return Ok(()),
        }
        self.judge()
    }

    /// A size of zero is a tmpfs without a limit.
    fn judge(&self) -> Answer {
        let Some(size) = self.size.filter(|size| *size > 0) else { return Ok(()) };
        match self.minimum {
            Some(minimum) if size < minimum.0 => self
                .trouble(format!("/dev/shm is {}, host.shm asks for {}", show::size(size), show::size(minimum.0)))
                .found(),
            None if size < LITTLE => self.trouble(format!("/dev/shm is {}", show::size(size))).found(),
            _ => Ok(()),
        }
    }

    fn trouble(&self, what: String) -> Trouble {
        let bytes = self.minimum.map_or(ADVISED, |minimum| minimum.0);
        let remedy = match self.container {
            true => Remedy::Start(Change::Shm { bytes }),
            false => Remedy::Do(format!("mount -o remount,size={bytes} /dev/shm")),
        };
        Trouble::new(what)
            .because("data loader workers and NCCL share memory through it, and die of a bus error when it is full")
            .remedy(remedy)
            .level(self.minimum.map(|_| Severity::Fail))
    }
}

impl Subject for Shm {
    const MAIN: &'static str = "host.shm";

    fn name(&self) -> Option<String> {
        None
    }

    fn summary(&mut self) -> Option<String> {
        let size = self.size.filter(|size| *size > 0).map_or("without a limit".to_owned(), show::size);
        Some(format!("/dev/shm {size}"))
    }

    fn facts(&self) -> Facts {
        self.size.map(|size| ("shm_bytes".to_owned(), size.into())).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Rules;
    use super::super::step::walk;
    use super::super::{Finding, Status};
    use super::*;
    use crate::config::Settings;

    fn judged(size: Option<u64>, minimum: Option<u64>) -> Option<Finding> {
        let shm = Shm { path: PathBuf::from("/dev/shm"), container: true, minimum: minimum.map(Size), size };
        let settings = Settings::default();
        let trouble = shm.judge().err()?;
        trouble.finding(&STEPS[0].check, &Rules::new(&settings.checks, None))
    }

    #[test]
    fn little_shared_memory_is_a_warning() {
        let finding = judged(Some(64 << 20), None).unwrap();
        assert_eq!((finding.status, finding.what.as_str()), (Status::Warn, "/dev/shm is 64 MiB"));
        assert_eq!(finding.remedy, [Remedy::Start(Change::Shm { bytes: 8 << 30 })]);
        assert_eq!(judged(Some(1 << 30), None), None);
        assert_eq!(judged(Some(0), None), None);
    }

    #[test]
    fn less_than_what_was_asked_for_is_a_failure() {
        let finding = judged(Some(2 << 30), Some(16 << 30)).unwrap();
        assert_eq!((finding.status, finding.exit.code()), (Status::Fail, 114));
        assert_eq!(finding.remedy, [Remedy::Start(Change::Shm { bytes: 16 << 30 })]);
        assert_eq!(judged(Some(64 << 20), Some(64 << 20)), None);
    }

    #[test]
    fn a_missing_directory_is_told() {
        let path = PathBuf::from("/no/such/shm");
        let mut shm = Shm { path, container: false, minimum: None, size: None };
        let settings = Settings::default();
        let findings = walk(STEPS, &Rules::new(&settings.checks, None), &mut shm);
        assert_eq!(findings[0].what, "/dev/shm does not exist");
        assert!(matches!(&findings[0].remedy[..], [Remedy::Do(line)] if line.starts_with("mount ")));
    }
}
