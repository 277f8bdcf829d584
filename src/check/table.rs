//! All families of checks in the order of the output. A test compares docs/checks.md with this table.

use super::host::scratch;
use super::rules::Rules;
use super::task::CheckTask;
use super::{Check, CheckContext, HostFacts, code, data, gpu, host, output, owner, user};
use protocol::exit_code::FailureFamily;
use std::rc::Rc;

/// A family: its checks, and the function that plans their tasks.
pub(super) struct FamilyRow {
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

/// The driver's facts are judged after the driver has answered, in parallel to all other checks.
const HEALTH: FamilyRow =
    FamilyRow { family: FailureFamily::Gpu, checks: gpu::health::checks, plan: gpu::driver::plan };

/// A family with two targets has two rows.
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

/// Returns every check in the order of the table.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    TABLE.iter().flat_map(|row| (row.checks)())
}

/// Returns whether a family has this name.
pub(super) fn is_family(name: &str) -> bool {
    TABLE.iter().any(|row| row.family.name() == name)
}

/// Returns every name that `checks` and `--only` accept: ids and families.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    checks().flat_map(|check| [check.id, check.family.name()])
}

/// Plans all tasks in the order of the table. A family that is off as a whole costs nothing.
pub(super) fn plan<'a>(context: &CheckContext, host_facts: &Rc<HostFacts>, rules: &Rules<'a>) -> Vec<CheckTask<'a>> {
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
