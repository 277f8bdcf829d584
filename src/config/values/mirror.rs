//! The place of a mirror.

use super::{ConfigValue, ValueError};

/// What a URL of a mirror begins with.
const SCHEMES: [&str; 6] = ["s3://", "gs://", "az://", "https://", "http://", "file:///"];

/// The URL of a place in an object store, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorPlace(pub String);

impl ConfigValue for MirrorPlace {
    fn form() -> String {
        "a URL of an object store without credentials: s3://BUCKET/PREFIX, gs://…, az://…, https://… or file:///…"
            .into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or(ValueError::Form)?;
        let place = rest.trim_end_matches('/');
        let odd = |character: char| character.is_control() || character.is_whitespace() || "?#@\\".contains(character);
        let is_place = !place.is_empty() && !place.contains(odd) && !place.split('/').any(|part| part == "..");
        is_place.then(|| MirrorPlace(text.trim_end_matches('/').to_owned())).ok_or(ValueError::Form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_a_place_in_a_store_and_its_url_holds_no_secret() {
        let parsed = |text: &str| MirrorPlace::parse(text).ok().map(|place| place.0);
        assert_eq!(parsed("s3://bucket/runs/42/").as_deref(), Some("s3://bucket/runs/42"));
        assert_eq!(parsed("file:///mnt/share").as_deref(), Some("file:///mnt/share"));
        for text in [
            "",
            "/mnt/share",
            "s3://",
            "ftp://h/x",
            "file://x/y",
            "https://u:p@h/x",
            "s3://b/../c",
            "https://h/x?sig=1",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
