//! A job's history: one line at the start of each attempt, when its workload begins, and at its end, and the sum of the time. The crate
//! knows bytes and times alone: it opens no file, and asks no clock.
#![warn(unreachable_pub)]

mod attempt;
mod compact;
mod entry;
mod join;
mod lines;
mod parts;
mod sum;

pub use attempt::{Attempt, Attempts};
pub use compact::compacted;
pub use entry::{
    ClosedBy, EndEntry, Entry, LINE_MAX, ReadyEntry, Reason, ResumedFrom, SavedAt, StartEntry, SumEntry, VERSION,
    Versions, rounded,
};
pub use join::{joined, sound_lines};
pub use lines::{ReadLines, read};
pub use parts::{GapKind, Part, Parts};
pub use sum::{AccountedAttempt, Accounts, Sum, accounts};
