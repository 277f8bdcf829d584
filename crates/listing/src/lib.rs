//! What object stores answer, as bytes: a page of a listing (S3, Google, Azure), and the dates and sums in it and in headers. Pure: it
//! knows no network. Only trainit-transfer uses it, so no parser of XML is in trainit.
#![warn(unreachable_pub)]

mod date;
mod hex;
mod page;

pub use date::http_date;
pub use hex::{hex, hex_of_base64};
pub use page::Page;
