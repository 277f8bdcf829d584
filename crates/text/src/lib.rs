//! Texts that a user can read, in which a log line stays one line: names, command lines, sizes and times, with their secrets
//! masked. The crate takes bytes, and uses no crate of trainit but `protocol`, so every other crate may use it.
#![warn(unreachable_pub)]

mod escape;
mod mask;
mod quote;
mod secret_names;
mod tokens;

pub use escape::{bytes, json, line, os, path};
pub use mask::{MASK, masked, masked_bytes, masked_words};
pub use protocol::units::{count, seconds, size, span, time};
pub use quote::{command, quoted};
pub use secret_names::{is_secret, is_secret_parameter};

/// Describes where a file system comes from: `nfs4 from nas:/export`.
pub fn location(kind: &[u8], source: &[u8]) -> String {
    match source {
        b"" => bytes(kind),
        source => format!("{} from {}", bytes(kind), masked(&bytes(source))),
    }
}
