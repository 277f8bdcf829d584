use super::*;
use proptest::prelude::*;

const UV: &str = "  × Failed to build `Flash_Thing==1.0`\n  ├─▶ The build backend returned an error\n      Traceback\n\
    ModuleNotFoundError: No module named 'torch.utils'\n\n      hint: This error likely indicates that `flash-thing@1.0` depends on `torch`\n";

const PIP: &str = "2026-01-01T00:00:00,000   Added one from file:///one.tar.gz to build tracker '/tmp/t'\n\
    2026-01-01T00:00:00,000   Removed one from file:///one.tar.gz from build tracker '/tmp/t'\n\
    2026-01-01T00:00:00,000   Added two==2.0 from https://h/two.tar.gz to build tracker '/tmp/t'\n\
    2026-01-01T00:00:00,000   Running command Getting requirements to build wheel\n\
    2026-01-01T00:00:00,000   ModuleNotFoundError: No module named 'torch'\n\
    2026-01-01T00:00:00,000   ERROR: [present-rich] Getting requirements to build wheel exited with 1\n";

fn missing(module: &str, package: Option<&str>) -> MissingModule {
    MissingModule { module: module.into(), package: package.map(str::to_owned) }
}

#[test]
fn module_and_package_are_found_in_the_words_of_both_installers() {
    assert_eq!(MissingModule::find(UV, ""), Some(missing("torch", Some("flash-thing"))));
    assert_eq!(MissingModule::find("", PIP), Some(missing("torch", Some("two"))));
    let path = PIP.replace("two==2.0 from https://h/two.tar.gz", "file:///code/two");
    assert_eq!(MissingModule::find("", &path), Some(missing("torch", None)));
    let wheel = PIP.replace(
        "Added two==2.0 from https://h/two.tar.gz to build tracker '/tmp/t'",
        "Building wheel for two (pyproject.toml): started",
    );
    assert_eq!(MissingModule::find("", &wheel), Some(missing("torch", Some("two"))));
    let backend = UV.replace(
        "ModuleNotFoundError: No module named 'torch.utils'",
        "BackendUnavailable: Cannot import 'hatchling.build'",
    );
    assert_eq!(MissingModule::find(&backend, "").unwrap().module, "hatchling");
    assert_eq!(MissingModule::find("error: command 'gcc' failed", "nothing"), None);
}

#[test]
fn what_is_installed_is_shown_to_the_build_once() {
    let mut plan = BuildPlan::default();
    let flash = missing("torch", Some("flash"));
    assert_eq!(plan.next(&flash, true, false), BuildStep::Share);
    assert_eq!(plan.next(&flash, true, false), BuildStep::GiveUp);
    assert_eq!(plan.next(&missing("torch", Some("apex")), true, false), BuildStep::Share);
    assert_eq!(plan.for_uv(), ["--no-build-isolation-package", "flash", "--no-build-isolation-package", "apex"]);
    assert_eq!(plan.for_pip(), "SKIPPED = []\nSHARED = [\"flash\",\"apex\"]\n");
}

#[test]
fn what_a_requirement_brings_is_installed_first_and_what_none_brings_ends_it() {
    let mut plan = BuildPlan::default();
    let flash = missing("torch", Some("flash"));
    assert_eq!(plan.next(&flash, false, true), BuildStep::Postpone);
    assert_eq!(
        (plan.skipped.as_slice(), plan.shared.as_slice()),
        (["flash".to_owned()].as_slice(), ["flash".to_owned()].as_slice())
    );
    assert_eq!(plan.next(&missing("wheel", Some("flash")), false, true), BuildStep::GiveUp);
    assert_eq!(BuildPlan::default().next(&flash, false, false), BuildStep::GiveUp);
}

#[test]
fn a_package_without_a_name_shares_with_all_and_cannot_be_left_for_later() {
    let mut plan = BuildPlan::default();
    assert_eq!(plan.next(&missing("torch", None), false, true), BuildStep::GiveUp);
    assert_eq!(plan.next(&missing("torch", None), true, true), BuildStep::Share);
    assert_eq!(
        (plan.for_uv(), plan.for_pip()),
        (vec!["--no-build-isolation".to_owned()], "SKIPPED = []\nSHARED = None\n".to_owned())
    );
    assert_eq!(plan.next(&missing("torch", None), true, true), BuildStep::GiveUp);
}

proptest! {
    #[test]
    fn no_output_makes_a_panic(text in "((ModuleNotFoundError: No module named |uild `| Added | to build tracker|'|`|\\PC{0,6})[ \n]?){0,20}") {
        let _ = MissingModule::find(&text, &text);
    }
}
