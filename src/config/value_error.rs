//! Why a text is no value of a type, or no name of a map's entry. `Problems` adds the key, its origin and the expected form.

use super::words::WordsError;

/// The reason why a text is no value of a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The type's form says enough.
    #[error("it has another form")]
    Form,
    /// A duration beyond 136 years.
    #[error("it is too long")]
    TooLong,
    /// A size beyond 64 bits.
    #[error("it is too large")]
    TooLarge,
    /// A unit that engines read in two ways.
    #[error("is {0} 1000 or 1024? Write {upper}B or {upper}iB", upper = .0.to_ascii_uppercase())]
    AmbiguousUnit(String),
    /// A range that goes downwards.
    #[error("the first is larger than the second")]
    Downwards,
    /// `all` for a number of GPUs.
    #[error("`any` takes whatever is there, a number demands so many")]
    AllGpus,
    /// A duration alone, where `hold:` belongs before it.
    #[error("write hold:{0}")]
    HoldMissing(String),
    /// An index that is no URL.
    #[error("it has to begin with https://")]
    NoUrl,
    /// Neither a number nor a name of a user or a group.
    #[error("`{0}` is neither a number nor a name")]
    NoUser(String),
    /// A repository that cannot be brought.
    #[error(transparent)]
    Address(#[from] checkout::AddressError),
    /// A text that cannot be split into items.
    #[error(transparent)]
    Words(#[from] WordsError),
}

/// A name that an entry of a map cannot have; it holds the form that a name has to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name is not {0}")]
pub struct NameError(pub &'static str);
