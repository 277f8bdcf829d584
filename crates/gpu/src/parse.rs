//! The parsers of single files, together, for whoever tries them on any bytes.

use super::probe::smi;
use super::{amd, image, mig, models, nvidia};

/// Tries all of them on a text; the values are thrown away.
pub fn all(text: &str) {
    let _ = (nvidia::parse_information(text), mig::parse_access(text));
    let _ = (amd::parse_properties(text), amd::parse_bank(text));
    let _ = (image::parse_json(text), image::parse_text(text), image::parse_torch(text));
    let _ = (image::parse_require(text), image::parse_wheel(text), image::parse_library(text));
    let _ = (models::Brand::of(text), smi::parse(text));
}
