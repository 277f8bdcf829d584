//! All families of checks, in the order in which they are told. docs/checks.md is compared with it by a test.

use super::host::scratch;
use super::rules::Rules;
use super::task::CheckTask;
use super::{Check, CheckContext, HostFacts, code, data, gpu, host, output, owner, user};
use protocol::exit_code::FailureFamily;
use std::rc::Rc;

/// A family: its checks, and how they become tasks for a given scene.
pub struct FamilyRow {
    family: FailureFamily,
    checks: fn() -> Vec<&'static Check>,
    plan: for<'a> fn(&CheckContext, &Rc<HostFacts>, &Rules<'a>) -> Vec<CheckTask<'a>>,
}

macro_rules! row {
    ($subject:ident of $family:ident) => {
        FamilyRow {
            family: FailureFamily::$family,
            checks: || $subject::STEPS.iter().map(|step| &step.check).collect(),
            plan: $subject::plan,
        }
    };
}

/// What the driver tells of GPUs is judged when it has been asked, beside all other checks.
const HEALTH: FamilyRow =
    FamilyRow { family: FailureFamily::Gpu, checks: gpu::health::checks, plan: gpu::driver::plan };

/// A family with two subjects has two rows.
const TABLE: &[FamilyRow] = &[
    row!(gpu of Gpu),
    HEALTH,
    row!(data of Data),
    row!(code of Code),
    row!(output of Output),
    row!(host of Host),
    row!(scratch of Host),
    row!(user of User),
    row!(owner of User),
];

/// Every check, in the order of the table.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    TABLE.iter().flat_map(|row| (row.checks)())
}

/// Whether there are checks of a family of this name.
pub fn is_family(name: &str) -> bool {
    TABLE.iter().any(|row| row.family.name() == name)
}

/// Every name that `checks` and `--only` understand: ids and families.
pub fn names() -> impl Iterator<Item = &'static str> {
    checks().flat_map(|check| [check.id, check.family.name()])
}

/// What there is to do, in the order of the table. For a family that is off as a whole nothing is looked up.
pub fn plan<'a>(context: &CheckContext, host_facts: &Rc<HostFacts>, rules: &Rules<'a>) -> Vec<CheckTask<'a>> {
    let is_on = |row: &&FamilyRow| {
        !rules.is_off(row.family.name()) && (row.checks)().into_iter().any(|check| rules.wants(check))
    };
    TABLE.iter().filter(is_on).flat_map(|row| (row.plan)(context, host_facts, rules)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_and_begin_with_their_family() {
        let mut seen = BTreeSet::new();
        for check in checks() {
            assert!(seen.insert(check.id), "{} twice", check.id);
            assert!(
                check.id.strip_prefix(check.family.name()).is_some_and(|rest| rest.starts_with('.')),
                "{}",
                check.id
            );
            assert!(!check.about.is_empty() && !check.remedy.is_empty(), "{} says nothing", check.id);
        }
    }

    #[test]
    fn families_come_in_the_order_of_their_exit_codes() {
        let families: Vec<_> = checks().map(|check| check.family).collect();
        assert!(families.is_sorted());
        assert!(TABLE.iter().all(|row| (row.checks)().iter().all(|check| check.family == row.family)));
    }
}
