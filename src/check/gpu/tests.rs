use super::super::rules::Rules;
use super::super::step::walk;
use super::super::{Finding, Status};
use super::*;
use crate::check::{Change, Remedy};
use crate::config::{GpuCount, Loaded, OriginValue, ValueOrigin};
use gpu::{Driver, Refusal};

mod machines;
mod scenarios;

fn node(number: usize, refused: Option<Errno>) -> DeviceNode {
    let (path, model) = (format!("/dev/nvidia{number}"), Some("NVIDIA H200".to_owned()));
    let refused = refused.map(|errno| Refusal::of(path.as_str(), errno));
    DeviceNode { path, model, refused, ..DeviceNode::default() }
}

fn here(refused: &[Option<Errno>]) -> GpuPresence {
    let nodes = refused.iter().enumerate().map(|(number, refused)| node(number, *refused)).collect();
    GpuPresence { nodes, driver: Some(Driver { version: VersionText::of("580.159") }), ..GpuPresence::default() }
}

/// Runs the checks of presence and number; the scenarios test libraries.
fn walked(count: GpuCount, variables: &[(&str, &str)], presence: GpuPresence) -> Vec<Finding> {
    let environment: Environment = variables.iter().copied().collect();
    let mut loaded = Loaded::default();
    loaded.settings.gpu_count =
        OriginValue { value: count, origin: ValueOrigin::Environment("TRAINIT_GPU_COUNT".to_owned()) };
    let mut context = CheckContext::of(loaded, [("container", "docker")].into_iter().collect(), Vec::new());
    context.root = Root::at("/no/such/root");
    let mut gpus = GpuTarget::of(&context, &context.host_facts());
    gpus.demand = Demand::of(&context.settings.gpu_count, Promise::of(&environment).as_ref());
    (gpus.environment, gpus.presence) = (environment, OnceCell::from(presence));
    let only = ["gpu.access", "gpu.mig", "gpu.count", "gpu.absent", "gpu.extra"].map(str::to_owned);
    walk(STEPS, &Rules::new(&context.settings.checks, Some(&only)), &mut gpus)
}

fn one(count: GpuCount, variables: &[(&str, &str)], presence: GpuPresence) -> (String, Status, u8, String) {
    let mut findings = walked(count, variables, presence);
    assert_eq!(findings.len(), 1, "{findings:?}");
    let finding = findings.remove(0);
    (finding.check, finding.status, finding.exit.code(), finding.what)
}

#[test]
fn the_gpus_that_are_here_are_told_in_one_line() {
    let two = here(&[None, None]);
    assert_eq!(one(GpuCount::Auto, &[], two.clone()).3, "2 × NVIDIA H200, driver 580.159");
    assert_eq!(one(GpuCount::Auto, &[], GpuPresence::default()).3, "none, none asked for");
    assert_eq!(
        one(GpuCount::Any, &[("CUDA_VISIBLE_DEVICES", "1")], two).3,
        "2 × NVIDIA H200, driver 580.159, 1 shown to CUDA"
    );
}

#[test]
fn none_given_fails_and_names_the_flag() {
    let findings = walked(GpuCount::AtLeast(1), &[], GpuPresence::default());
    assert_eq!(findings[0].what, "no GPU in this container, at least 1 asked for by TRAINIT_GPU_COUNT");
    assert_eq!((findings[0].status, findings[0].exit.code()), (Status::Fail, 110));
    assert_eq!(findings[0].remedy, [Remedy::Start(Change::Gpus { count: None })]);
}

#[test]
fn all_is_no_promise_and_its_absence_one_warning() {
    let (check, status, ..) = one(GpuCount::Auto, &[("NVIDIA_VISIBLE_DEVICES", "all")], GpuPresence::default());
    assert_eq!((check.as_str(), status), ("gpu.absent", Status::Warn));
    assert_eq!(one(GpuCount::None, &[("NVIDIA_VISIBLE_DEVICES", "all")], GpuPresence::default()).1, Status::Ok);
}

#[test]
fn a_schedulers_promise_that_a_node_breaks_may_be_kept_by_another() {
    let promise = [("SLURM_GPUS_ON_NODE", "2")];
    let (check, status, code, what) = one(GpuCount::Auto, &promise, here(&[None]));
    assert_eq!((check.as_str(), status, code), ("gpu.count", Status::Fail, 210));
    assert_eq!(what, "1 GPU, 2 promised by SLURM_GPUS_ON_NODE");
    assert_eq!(one(GpuCount::Exactly(2), &[], here(&[None])).2, 110);
}

#[test]
fn more_than_promised_is_told_and_more_than_asked_for_fails() {
    let three = here(&[None, None, None]);
    assert_eq!(one(GpuCount::Auto, &[("SM_NUM_GPUS", "2")], three.clone()).0, "gpu.extra");
    assert_eq!(
        one(GpuCount::Auto, &[("SM_NUM_GPUS", "2"), ("CUDA_VISIBLE_DEVICES", "0,1")], three.clone()).1,
        Status::Ok
    );
    assert_eq!(one(GpuCount::Exactly(2), &[], three.clone()).1, Status::Fail);
    assert_eq!(one(GpuCount::AtLeast(2), &[], three.clone()).1, Status::Ok);
    assert_eq!(one(GpuCount::None, &[], three).1, Status::Fail);
}

#[test]
fn a_refused_device_fails_only_where_it_is_missed() {
    let one_refused = here(&[None, Some(Errno::EPERM)]);
    let (check, status, code, what) = one(GpuCount::Exactly(2), &[], one_refused.clone());
    assert_eq!((check.as_str(), status, code), ("gpu.access", Status::Fail, 210));
    assert_eq!(what, "1 of 2 GPUs may not be used: /dev/nvidia1 is refused by the container's device control group");
    assert_eq!(one(GpuCount::Any, &[], one_refused).1, Status::Warn);
    let (_, _, code, what) = one(GpuCount::AtLeast(1), &[], here(&[Some(Errno::EACCES)]));
    assert!(code == 110 && what.contains("cannot be opened as uid"), "{what}");
}

#[test]
fn cudas_own_list_can_hide_what_is_there() {
    let (check, _, code, what) = one(GpuCount::AtLeast(1), &[("CUDA_VISIBLE_DEVICES", "")], here(&[None, None]));
    assert_eq!(
        (check.as_str(), code, what.as_str()),
        ("gpu.count", 110, "0 GPUs, at least 1 asked for by TRAINIT_GPU_COUNT")
    );
}

#[test]
fn instances_are_counted_and_ways_without_nodes_are_not() {
    let wsl = GpuPresence { uncounted: Some("WSL2 (/dev/dxg)"), ..GpuPresence::default() };
    assert_eq!(one(GpuCount::AtLeast(1), &[("NVIDIA_VISIBLE_DEVICES", "all")], wsl).3, "through WSL2 (/dev/dxg)");
}
