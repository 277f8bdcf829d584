//! GPUs: as many as were asked for or promised, and permitted to be used. Judged by device nodes, never by one variable alone.

use super::rules::Rules;
use super::step::{Answer, Step, Subject, Trouble};
use super::task::Task;
use super::{Change, Check, Facts, Ground, Passing, Remedy, Scene};
use crate::config::{GpuCount, Setting, Severity};
use crate::engine::Place;
use crate::environment::Environment;
use crate::exit::Family;
use crate::gpu::{self, Node, Presence, Promise, Promised};
use crate::sys::Root;
use nix::errno::Errno;
use std::cell::OnceCell;
use std::rc::Rc;

/// The GPUs, and how many there have to be.
pub struct Gpus {
    root: Root,
    place: Place,
    demand: Demand,
    environment: Environment,
    presence: OnceCell<Presence>,
}

/// How many GPUs there have to be, and who says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Demand {
    least: u32,
    most: Option<u32>,
    /// The words for who says so.
    by: String,
    /// More than `most` is only told: a promise, not a demand.
    promise: bool,
    scheduler: bool,
    /// GPUs are wished for, and their absence is worth a warning.
    wish: bool,
}

const fn check(
    id: &'static str,
    severity: Severity,
    passing: Passing,
    about: &'static str,
    remedy: &'static str,
) -> Check {
    Check { id, family: Family::Gpu, severity, passing, about, remedy }
}

/// The checks of this family, in the order in which they are asked.
pub const STEPS: &[Step<Gpus>] = &[
    Step {
        check: check(
            "gpu.access",
            Severity::Fail,
            Passing::Depends,
            "every GPU's device node may be opened by this user and this container (a warning, where enough others may)",
            "recreate the container; `--device`, CDI or the cgroupfs driver; the device's group",
        ),
        base: false,
        ask: Gpus::permitted,
    },
    Step {
        check: check(
            "gpu.count",
            Severity::Fail,
            Passing::Depends,
            "there are as many GPUs as `gpu.count` asks for, or as a scheduler or an explicit list promises",
            "`docker run --gpus all`; `gpu.count: none` for CPUs on purpose",
        ),
        base: false,
        ask: Gpus::enough,
    },
    Step {
        check: check(
            "gpu.absent",
            Severity::Warn,
            Passing::Never,
            "an image that wants GPUs (`NVIDIA_VISIBLE_DEVICES=all`) was given one",
            "`docker run --gpus all`; `gpu.count: none` for CPUs on purpose",
        ),
        base: false,
        ask: Gpus::wished,
    },
    Step {
        check: check(
            "gpu.extra",
            Severity::Warn,
            Passing::Never,
            "there are not more GPUs than were promised",
            "CUDA_VISIBLE_DEVICES, or `gpu.count: any`",
        ),
        base: false,
        ask: Gpus::not_more,
    },
];

/// One task: nothing here can hang.
pub fn plan<'a>(scene: &Scene, ground: &Rc<Ground>, rules: &Rules<'a>) -> Vec<Task<'a>> {
    let demand = Demand::of(&scene.settings.gpu_count, Promise::of(&scene.environment).as_ref());
    let gpus = Gpus {
        root: scene.root.clone(),
        place: ground.place(),
        demand,
        environment: scene.environment.clone(),
        presence: OnceCell::new(),
    };
    Task::of_machine(STEPS, rules, gpus).into_iter().collect()
}

impl Demand {
    fn of(count: &Setting<GpuCount>, promise: Option<&Promise>) -> Self {
        let asked =
            |least, most| Demand { least, most, by: format!("asked for by {}", count.origin), ..Demand::default() };
        match (count.value, promise) {
            (GpuCount::None, _) => asked(0, Some(0)),
            (GpuCount::Exactly(number), _) => asked(number, Some(number)),
            (GpuCount::AtLeast(number), _) => asked(number, None),
            (GpuCount::Auto, Some(promise)) => Self::promised(promise),
            (GpuCount::Any, _) | (GpuCount::Auto, None) => Demand::default(),
        }
    }

    fn promised(promise: &Promise) -> Self {
        let by = format!("promised by {}", promise.variable);
        let (least, most, wish) = match promise.promised {
            Promised::Exactly(number) => (number, Some(number), false),
            Promised::Some => (1, None, false),
            Promised::Wish => (0, None, true),
        };
        Demand { least, most, by, promise: true, scheduler: promise.scheduler, wish }
    }

    /// How it is told: `4 promised by RUNAI_NUM_OF_GPUS`, `at least 2 asked for by …`.
    fn words(&self) -> String {
        match self.most {
            Some(_) => format!("{} {}", self.least, self.by),
            None => format!("at least {} {}", self.least, self.by),
        }
    }
}

impl Gpus {
    fn permitted(&mut self) -> Answer {
        let refused = self.presence().nodes.iter().find(|node| node.refused.is_some());
        let Some(refused) = refused.filter(|_| self.demand.most != Some(0)) else { return Ok(()) };
        let enough = self.demand.least as usize <= self.permitted_count();
        self.refusal(refused).level(enough.then_some(Severity::Warn)).found()
    }

    fn presence(&self) -> &Presence {
        self.presence.get_or_init(|| gpu::look(&self.root))
    }

    /// So many of the permitted GPUs CUDA will show.
    fn shown(&self) -> usize {
        gpu::visible_to_cuda(&self.environment, self.permitted_count())
    }

    fn permitted_count(&self) -> usize {
        self.presence().nodes.iter().filter(|node| node.refused.is_none()).count()
    }

    fn refusal(&self, node: &Node) -> Trouble {
        let refused = self.presence().nodes.iter().filter(|node| node.refused.is_some()).count();
        let what = format!(
            "{refused} of {} may not be used: {}",
            crate::show::count(self.presence().nodes.len() as u64, "GPU"),
            node.path
        );
        match node.refused {
            Some(Errno::EPERM) => Trouble::new(format!("{what} is refused by the container's device control group"))
                .because("it was not given to this container, or `systemctl daemon-reload` on the host took it away")
                .advice("recreate the container; for good: CDI, the cgroupfs driver, or `--device` for each node")
                .passing(true),
            errno => {
                let uid = nix::unistd::geteuid();
                let reason = errno.map_or("", Errno::desc);
                Trouble::new(format!("{what} cannot be opened as uid {uid}: {reason}"))
                    .because("the node's owner, group or mode does not permit it")
                    .advice(format!("add the node's group: docker run --group-add $(stat -c %g {})", node.path))
            }
        }
    }

    fn enough(&mut self) -> Answer {
        let (least, uncountable) =
            (self.demand.least as usize, self.presence().uncounted.is_some() || self.presence().sliced);
        if self.shown() < least && !(uncountable && least > 0) {
            return if self.presence().nodes.is_empty() { self.none_given().found() } else { self.too_few().found() };
        }
        match self.demand.most {
            Some(most) if !self.demand.promise && self.shown() > most as usize && !uncountable => {
                self.too_many(most).found()
            }
            _ => Ok(()),
        }
    }

    fn none_given(&self) -> Trouble {
        let host = gpu::host_count(&self.root);
        let trouble = Trouble::new(format!("no GPU in this container, {}", self.demand.words()));
        let trouble = match host {
            Some(0) => trouble.because("this machine has no NVIDIA GPU").advice("run it on a machine that has"),
            Some(number) => trouble
                .because(format!(
                    "the machine has {}, none was given to the container",
                    crate::show::count(number as u64, "NVIDIA GPU")
                ))
                .remedy(self.give(self.demand.most.filter(|_| !self.demand.promise))),
            None => trouble.because("no device was given to the container").remedy(self.give(None)),
        };
        trouble.passing(self.demand.scheduler && host == Some(0))
    }

    fn too_few(&self) -> Trouble {
        let permitted = self.permitted_count();
        let trouble =
            Trouble::new(format!("{}, {}", crate::show::count(self.shown() as u64, "GPU"), self.demand.words()));
        if self.shown() < permitted {
            let hidden = format!("CUDA_VISIBLE_DEVICES shows {} of the {permitted} that are here", self.shown());
            return trouble.because(hidden).advice("unset CUDA_VISIBLE_DEVICES, or list valid devices");
        }
        trouble
            .because("fewer were given to the container; one may have fallen out of the node")
            .remedy(self.give(None))
            .passing(self.demand.scheduler)
    }

    fn too_many(&self, most: u32) -> Trouble {
        let trouble =
            Trouble::new(format!("{}, {}", crate::show::count(self.shown() as u64, "GPU"), self.demand.words()));
        match most {
            0 => trouble
                .because("this job is meant to run without")
                .advice("start it without --gpus, or with CUDA_VISIBLE_DEVICES empty"),
            most => trouble
                .because("somebody else may count on the others")
                .advice(format!("start it with --gpus {most}; or gpu.count: >={most} where more are fine")),
        }
    }

    fn give(&self, count: Option<u32>) -> Remedy {
        match self.place {
            Place::Host => Remedy::Do("load the driver: modprobe nvidia; nvidia-smi tells more".to_owned()),
            _ => Remedy::Start(Change::Gpus { count }),
        }
    }

    fn wished(&mut self) -> Answer {
        if !self.demand.wish || !self.presence().nodes.is_empty() || self.presence().uncounted.is_some() {
            return Ok(());
        }
        let host = gpu::host_count(&self.root).filter(|number| *number > 0);
        let because = match host {
            Some(number) => format!("the machine has {}", crate::show::count(number as u64, "NVIDIA GPU")),
            None => "this image is made for GPUs (NVIDIA_VISIBLE_DEVICES=all)".to_owned(),
        };
        Trouble::new("no GPU in this container").because(because).remedy(self.give(None)).found()
    }

    fn not_more(&mut self) -> Answer {
        match self.demand.most {
            Some(most) if self.demand.promise && self.shown() > most as usize && !self.presence().sliced => {
                Trouble::new(format!("{}, {}", crate::show::count(self.shown() as u64, "GPU"), self.demand.words()))
                    .because("the others may belong to somebody else")
                    .advice("set CUDA_VISIBLE_DEVICES to the promised ones, or gpu.count: any")
                    .found()
            }
            _ => Ok(()),
        }
    }

    /// `2 × NVIDIA H200`, or `2 GPUs` where they differ or have no names.
    fn counted(&self) -> String {
        let number = self.permitted_count();
        let mut models = self.presence().nodes.iter().map(|node| node.model.as_deref());
        let first = models.next().flatten();
        match first.filter(|first| models.all(|model| model == Some(first))) {
            Some(model) => format!("{number} × {}", crate::show::line(model)),
            None => crate::show::count(number as u64, "GPU"),
        }
    }
}

impl Subject for Gpus {
    const MAIN: &'static str = "gpu.count";

    fn name(&self) -> Option<String> {
        None
    }

    fn summary(&mut self) -> Option<String> {
        if let Some(way) = self.presence().uncounted {
            return Some(format!("through {way}"));
        }
        if self.presence().nodes.is_empty() {
            return Some("none, none asked for".to_owned());
        }
        let driver = self.presence().driver.as_ref().and_then(|driver| driver.version.as_ref());
        let driver = driver.map(|version| format!(", driver {version}")).unwrap_or_default();
        let hidden = if self.shown() < self.permitted_count() {
            format!(", {} shown to CUDA", self.shown())
        } else {
            String::new()
        };
        let sliced = if self.presence().sliced { ", cut into MIG instances" } else { "" };
        Some(format!("{}{driver}{sliced}{hidden}", self.counted()))
    }

    fn facts(&self) -> Facts {
        let node = |node: &Node| serde_json::json!({"path": node.path, "model": node.model, "refused": node.refused.map(Errno::desc)});
        let driver = self.presence().driver.as_ref().and_then(|driver| driver.version.clone());
        let facts = [
            ("gpus", self.presence().nodes.iter().map(node).collect()),
            ("driver", driver.into()),
            ("mig", self.presence().sliced.into()),
            ("shown_to_cuda", self.shown().into()),
        ];
        facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

#[cfg(test)]
mod tests;
