//! Limits of the machine: open files, locked memory, threads.

use super::{ConfigValue, Size, ValueError};
use serde_json::{Value as Json, json};

/// The number of files that the workload may have open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenFiles {
    /// The inherited limit.
    #[default]
    Inherited,
    /// The usual number for a data loader, if the hard limit permits it.
    Auto,
    /// At least this number.
    AtLeast(u32),
}

/// The usual number for a data loader: its workers pass each tensor as an open file.
const USUAL_FILES: u64 = 65536;

impl OpenFiles {
    /// Returns the number that the limit is raised to, as far as possible; `None` if the limit is inherited.
    pub fn wanted(self) -> Option<u64> {
        match self {
            OpenFiles::Inherited => None,
            OpenFiles::Auto => Some(USUAL_FILES),
            OpenFiles::AtLeast(count) => Some(count.into()),
        }
    }
}

impl ConfigValue for OpenFiles {
    fn form() -> String {
        "a number of files, auto or off".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "off" => Ok(OpenFiles::Inherited),
            "auto" => Ok(OpenFiles::Auto),
            _ => u32::parse(text).map(OpenFiles::AtLeast),
        }
    }

    fn schema() -> Json {
        json!({"type": ["integer", "string"], "minimum": 0, "pattern": "^(auto|off|[0-9]+)$"})
    }

    const OFF: bool = true;
}

/// The memory that the workload may lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockedMemory {
    /// No limit.
    Unlimited,
    /// At least this size.
    AtLeast(Size),
}

impl LockedMemory {
    /// Returns the limit in bytes, as in setrlimit(2).
    pub fn bytes(self) -> u64 {
        match self {
            LockedMemory::Unlimited => u64::MAX,
            LockedMemory::AtLeast(size) => size.0,
        }
    }
}

impl ConfigValue for LockedMemory {
    fn form() -> String {
        "a size such as 64GiB, or unlimited".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "unlimited" | "-1" => Ok(LockedMemory::Unlimited),
            _ => Size::parse(text).map(LockedMemory::AtLeast),
        }
    }

    fn schema() -> Json {
        json!({"anyOf": [{"enum": ["unlimited", -1]}, Size::schema()]})
    }
}

/// The number of threads for each process of the workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// No number is set.
    #[default]
    Off,
    /// The process's share of the CPUs that the container may use.
    Auto,
    /// Exactly this number.
    Exactly(u32),
}

impl Threads {
    /// Returns the number of threads for a process with this share of the CPUs; `None` if none is set.
    pub fn count(self, share: impl FnOnce() -> u32) -> Option<u32> {
        match self {
            Threads::Off => None,
            Threads::Auto => Some(share()),
            Threads::Exactly(count) => Some(count),
        }
    }
}

impl ConfigValue for Threads {
    fn form() -> String {
        "a number of threads, auto or off".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "off" => Ok(Threads::Off),
            "auto" => Ok(Threads::Auto),
            _ => u32::parse(text)
                .and_then(|count| if count > 0 { Ok(Threads::Exactly(count)) } else { Err(ValueError::Form) }),
        }
    }

    fn schema() -> Json {
        json!({"type": ["integer", "string"], "minimum": 1, "pattern": "^(auto|off|[1-9][0-9]*)$"})
    }

    const OFF: bool = true;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_are_understood() {
        assert_eq!(OpenFiles::parse("auto"), Ok(OpenFiles::Auto));
        assert_eq!(OpenFiles::parse("1048576"), Ok(OpenFiles::AtLeast(1 << 20)));
        assert_eq!(LockedMemory::parse("unlimited").map(LockedMemory::bytes), Ok(u64::MAX));
        assert_eq!(LockedMemory::parse("64GiB").map(LockedMemory::bytes), Ok(64 << 30));
        assert_eq!((Threads::parse("auto"), Threads::parse("8")), (Ok(Threads::Auto), Ok(Threads::Exactly(8))));
        for text in ["0", "-1", "many", "", "1.5"] {
            assert!(Threads::parse(text).is_err(), "{text}");
        }
        assert!(OpenFiles::parse("64k").is_err() && LockedMemory::parse("all").is_err());
    }
}
