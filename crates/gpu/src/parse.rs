//! All parsers of single files, for tests that run them on arbitrary bytes.

use super::probe::smi;
use super::{amd, image, mig, models, nvidia};

/// Runs every parser on a text, and discards the values.
pub fn all(text: &str) {
    let _ = (nvidia::parse_information(text), mig::parse_access(text));
    let _ = (amd::parse_properties(text), amd::parse_bank(text));
    let _ = (image::parse_json(text), image::parse_text(text), image::parse_torch(text));
    let _ = (image::parse_require(text), image::parse_wheel(text), image::parse_library(text));
    let _ = (models::Brand::of(text), smi::parse(text));
}
