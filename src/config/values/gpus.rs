//! The requirements for each GPU.

use super::{ConfigValue, Size, ValueError};
use serde_json::{Value as Json, json};

/// Memory of a GPU that is not in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeMemory {
    /// This number of bytes.
    Bytes(Size),
    /// This percentage of the GPU's memory.
    Percent(u8),
}

impl FreeMemory {
    /// Returns the bytes for a GPU with this total.
    pub fn of(self, total: u64) -> u64 {
        match self {
            FreeMemory::Bytes(size) => size.0,
            FreeMemory::Percent(percent) => total / 100 * u64::from(percent),
        }
    }
}

impl ConfigValue for FreeMemory {
    fn form() -> String {
        "a size such as 70GiB, or a share such as 95%".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text.trim().strip_suffix('%') {
            Some(percent) => {
                let percent = percent.trim().parse().ok().filter(|percent| *percent <= 100);
                percent.map(FreeMemory::Percent).ok_or(ValueError::Form)
            }
            None => Size::parse(text).map(FreeMemory::Bytes),
        }
    }

    fn schema() -> Json {
        json!({"anyOf": [{"type": "string", "pattern": "^\\s*[0-9]{1,3}\\s*%$"}, Size::schema()]})
    }
}

/// Whether GPUs may be cut into MIG instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MigPolicy {
    /// Both whole GPUs and instances are accepted.
    #[default]
    Allow,
    /// Only whole GPUs are accepted.
    Deny,
    /// Only instances are accepted.
    Require,
}

impl ConfigValue for MigPolicy {
    fn form() -> String {
        "one of allow, deny, require".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "allow" => Ok(MigPolicy::Allow),
            "deny" => Ok(MigPolicy::Deny),
            "require" => Ok(MigPolicy::Require),
            _ => Err(ValueError::Form),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["allow", "deny", "require"]})
    }
}

/// CUDA's forward compatibility (the libraries of cuda-compat).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardCompat {
    /// Used if it works here.
    #[default]
    Auto,
    /// Used if the image has it.
    On,
    /// Never used.
    Off,
}

impl ConfigValue for ForwardCompat {
    fn form() -> String {
        "one of auto, on, off".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "auto" => Ok(ForwardCompat::Auto),
            "on" => Ok(ForwardCompat::On),
            "off" => Ok(ForwardCompat::Off),
            _ => Err(ValueError::Form),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["auto", "on", "off"]})
    }

    const OFF: bool = true;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_a_size_or_a_share() {
        assert_eq!(FreeMemory::parse("95%").map(|free| free.of(1000)), Ok(950));
        assert_eq!(FreeMemory::parse("70GiB").map(|free| free.of(1)), Ok(70 << 30));
        for text in ["101%", "-1%", "%", "most", "0.5%"] {
            assert!(FreeMemory::parse(text).is_err(), "{text}");
        }
    }
}
