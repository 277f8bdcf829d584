//! How things are written so that a person can read them and a log line stays one line: names, command lines, sizes, times.
//! Bytes in, words out. Knows nobody, so that every room may use it.

mod escape;
mod mask;
mod quote;
mod secret_names;
mod tokens;

pub use escape::{bytes, json, line, os, path};
pub use mask::{MASK, masked, masked_bytes, masked_words};
pub use protocol::units::{count, seconds, size, time};
pub use quote::{command, quoted};
pub use secret_names::{is_secret, is_secret_parameter};

/// Where a file system comes from: `nfs4 from nas:/export`.
pub fn location(kind: &[u8], source: &[u8]) -> String {
    match source {
        b"" => bytes(kind),
        source => format!("{} from {}", bytes(kind), masked(&bytes(source))),
    }
}
