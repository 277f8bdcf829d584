//! How many GPUs are promised, as a type. It knows nothing of variables and lists.

/// A promised number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promised {
    /// Exactly this many GPUs.
    Exactly(u32),
    /// From the first number to the second: indices and UUIDs may name the same GPUs.
    Between(u32, u32),
    /// This many MIG instances, where instances can be told apart; else at least one GPU.
    Instances(u32),
    /// At least one: a fraction of a GPU.
    Some,
    /// No number: the image uses GPUs if there are any.
    NoNumber,
}

impl Promised {
    /// Returns the largest number; `None` without a limit.
    pub fn most(self) -> Option<u32> {
        match self {
            Promised::Exactly(number) | Promised::Between(_, number) | Promised::Instances(number) => Some(number),
            Promised::Some | Promised::NoNumber => None,
        }
    }

    /// Returns whether the number is one of MIG instances.
    pub(crate) fn is_of_instances(self) -> bool {
        matches!(self, Promised::Instances(_))
    }
}
