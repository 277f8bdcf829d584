//! Versions of drivers, toolkits and compute capabilities: numbers between dots, compared as numbers (570.86 is older than 570.124).

use super::{ConfigValue, ValueError};
use gpu::VersionText;
use serde_json::{Value as Json, json};

impl ConfigValue for VersionText {
    fn form() -> String {
        "a version such as 12.8 or 570.124".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        VersionText::of(text.trim()).ok_or(ValueError::Form)
    }

    fn schema() -> Json {
        json!({"type": ["string", "number"], "pattern": "^[0-9]+(\\.[0-9]+){0,3}$"})
    }
}

/// The CUDA that the driver has to support.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CudaVersion {
    /// The version that the image was built for.
    Image,
    /// At least this version.
    AtLeast(VersionText),
}

impl ConfigValue for CudaVersion {
    fn form() -> String {
        "a version such as 12.8, or image".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "image" => Ok(CudaVersion::Image),
            _ => VersionText::parse(text).map(CudaVersion::AtLeast),
        }
    }

    fn schema() -> Json {
        json!({"type": ["string", "number"], "pattern": "^(image|[0-9]+(\\.[0-9]+){0,3})$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_image_can_say_which_cuda() {
        assert_eq!(CudaVersion::parse("image"), Ok(CudaVersion::Image));
        assert_eq!(CudaVersion::parse("12.8"), Ok(CudaVersion::AtLeast(VersionText::new(12, 8))));
        assert!(CudaVersion::parse("newest").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_version_or_none(text in "\\PC*|[0-9.]{0,20}") {
            if let Some(version) = VersionText::of(&text) {
                prop_assert_eq!(VersionText::of(&version.to_string()), Some(version));
            }
        }
    }
}
