//! The driver that each CUDA toolkit came with, and the oldest one that runs it (NVIDIA's CUDA release notes, tables 2 and 3).

use crate::VersionText;

/// CUDA toolkits, and the Linux driver that each came with, which supports all of it.
const TOOLKITS: [((u32, u32), &str); 21] = [
    ((11, 0), "450.51.05"),
    ((11, 1), "455.23"),
    ((11, 2), "460.27.03"),
    ((11, 3), "465.19.01"),
    ((11, 4), "470.42.01"),
    ((11, 5), "495.29.05"),
    ((11, 6), "510.39.01"),
    ((11, 7), "515.43.04"),
    ((11, 8), "520.61.05"),
    ((12, 0), "525.60.13"),
    ((12, 1), "530.30.02"),
    ((12, 2), "535.54.03"),
    ((12, 3), "545.23.06"),
    ((12, 4), "550.54.14"),
    ((12, 5), "555.42.02"),
    ((12, 6), "560.28.03"),
    ((12, 8), "570.26"),
    ((12, 9), "575.51.03"),
    ((13, 0), "580.65.06"),
    ((13, 1), "590.44.01"),
    ((13, 2), "595.45.04"),
];

/// The oldest driver for any toolkit of a major version: minor-version compatibility.
const FLOORS: [(u32, &str); 3] = [(11, "450.80.02"), (12, "525.60.13"), (13, "580.65.06")];

/// How far a driver supports programs of a toolkit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// The driver runs them.
    Full,
    /// The driver runs them by minor-version compatibility, but does not compile their newer PTX (error 222).
    Minor,
    /// The driver does not run them; the value is the oldest driver that would.
    TooOld(VersionText),
}

/// Returns the driver that a toolkit came with; `None` for an unknown toolkit.
pub fn own_driver(cuda: &VersionText) -> Option<VersionText> {
    let found = TOOLKITS.iter().find(|((major, minor), _)| VersionText::new(*major, *minor) == cuda.short());
    found.and_then(|(_, driver)| VersionText::of(driver))
}

/// Returns the newest known toolkit that a driver fully supports.
pub fn newest_cuda(driver: &VersionText) -> Option<VersionText> {
    let runs = |row: &&((u32, u32), &str)| VersionText::of(row.1).is_some_and(|own| own <= *driver);
    TOOLKITS.iter().rev().find(runs).map(|((major, minor), _)| VersionText::new(*major, *minor))
}

/// Returns how far a driver supports programs of a toolkit; `None` if that is unknown.
pub fn support(driver: &VersionText, cuda: &VersionText) -> Option<Support> {
    let floor = FLOORS.iter().find(|(major, _)| *major == cuda.major()).and_then(|(_, floor)| VersionText::of(floor));
    let own = own_driver(cuda);
    match (floor, own) {
        (_, Some(own)) if own <= *driver => Some(Support::Full),
        // CUDA 11.0's own driver is older than the floor that was set later.
        (Some(floor), _) if *driver < floor => Some(Support::TooOld(floor)),
        (Some(_), Some(_)) => Some(Support::Minor),
        // For a toolkit newer than the table only the major version is known.
        (Some(_), None) | (None, _) => None,
    }
}

/// The first CUDA that compiles for GPUs of a major compute capability.
const FIRST: [(u32, &str); 5] = [(7, "9.0"), (8, "11.0"), (9, "11.8"), (10, "12.8"), (12, "12.8")];
/// The lowest compute capability that a major CUDA still compiles for.
const LEAST: [(u32, (u32, u32)); 2] = [(12, (5, 0)), (13, (7, 5))];

/// The reason why programs of a toolkit have no code for a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The GPU is newer; the value is the first toolkit that supports it.
    TooNew(VersionText),
    /// The toolkit dropped GPUs below this compute capability.
    TooOld(u32, u32),
}

/// Returns why programs of a toolkit cannot have code for a compute capability; `None` if they can, as far as known.
pub fn unfit(cuda: &VersionText, capability: (u32, u32)) -> Option<Unfit> {
    let first = FIRST.iter().find(|(major, _)| *major == capability.0).and_then(|(_, first)| VersionText::of(first));
    let least = LEAST.iter().find(|(major, _)| *major == cuda.major()).map(|(_, least)| *least);
    match (first.filter(|first| *cuda < *first), least.filter(|least| capability < *least)) {
        (Some(first), _) => Some(Unfit::TooNew(first)),
        (None, Some((major, minor))) => Some(Unfit::TooOld(major, minor)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(driver: &str, cuda: &str) -> Option<Support> {
        support(&VersionText::of(driver).unwrap(), &VersionText::of(cuda).unwrap())
    }

    #[test]
    fn a_toolkit_compiles_for_gpus_of_its_time() {
        let told = |cuda: &str, capability| unfit(&VersionText::of(cuda).unwrap(), capability);
        assert_eq!(told("12.4", (12, 0)), Some(Unfit::TooNew(VersionText::of("12.8").unwrap())));
        assert_eq!(told("11.7", (9, 0)), Some(Unfit::TooNew(VersionText::of("11.8").unwrap())));
        assert_eq!((told("12.8.1", (12, 0)), told("12.4", (9, 0)), told("12.4", (8, 9))), (None, None, None));
        assert_eq!((told("13.0", (7, 0)), told("13.0", (7, 5))), (Some(Unfit::TooOld(7, 5)), None));
        assert_eq!((told("12.8", (3, 5)), told("99.0", (42, 0))), (Some(Unfit::TooOld(5, 0)), None));
    }

    #[test]
    fn a_driver_runs_its_own_toolkit_and_older_ones() {
        assert_eq!(told("570.172.08", "12.8.1"), Some(Support::Full));
        assert_eq!(told("570.172.08", "11.8"), Some(Support::Full));
        assert_eq!(told("450.51.06", "11.0"), Some(Support::Full));
        assert_eq!(newest_cuda(&VersionText::of("580.142").unwrap()).unwrap().to_string(), "13.0");
        assert_eq!(newest_cuda(&VersionText::of("390.1").unwrap()), None);
    }

    #[test]
    fn within_a_major_version_newer_ones_run_with_less() {
        assert_eq!(told("535.183.01", "12.8"), Some(Support::Minor));
        assert_eq!(told("535.183.01", "13.0"), Some(Support::TooOld(VersionText::of("580.65.06").unwrap())));
        assert_eq!(told("470.57", "12.0"), Some(Support::TooOld(VersionText::of("525.60.13").unwrap())));
    }

    #[test]
    fn what_the_table_does_not_know_is_not_judged() {
        assert_eq!(told("600.1", "13.9"), None);
        assert_eq!(told("535.1", "14.0"), None);
        assert_eq!(told("535.1", "13.9"), Some(Support::TooOld(VersionText::of("580.65.06").unwrap())));
    }

    #[test]
    fn the_tables_are_in_order() {
        let drivers: Vec<VersionText> = TOOLKITS.iter().map(|(_, driver)| VersionText::of(driver).unwrap()).collect();
        assert!(drivers.is_sorted() && TOOLKITS.iter().map(|(cuda, _)| cuda).is_sorted());
        assert!(FLOORS.iter().all(|(_, floor)| VersionText::of(floor).is_some()));
    }
}
