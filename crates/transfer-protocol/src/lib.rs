//! The line protocol between trainit and trainit-transfer, the program that moves bytes to and from object stores: requests, answers,
//! and lines of JSON with a limit. `carrier` is trainit's end: it finds the program, starts it and exchanges lines with it. The crate
//! knows no object store, and nothing of what the bytes are for.
#![warn(unreachable_pub)]

mod answer;
mod carrier;
mod line;
mod locate;
mod options;
mod parts;
mod request;

pub use answer::{Answer, Done, Failure, FailureKind, Object, Reply};
pub use carrier::{Carrier, CarrierError, STALL};
pub use line::{Fault, LINE_MAX, LineReader, decode_answer, decode_request, encode};
pub use locate::{PROGRAM, SearchPath, locate};
pub use options::CarrierOptions;
pub use parts::{PARTS_MAX, part_length};
pub use request::{Request, Task};
