//! Plain numbers, yes and no, and paths.

use super::{ConfigValue, NameError, ValueError, read_path};
use crate::config::{ConfigNode, Problems};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

macro_rules! number {
    ($($type:ty: $form:literal;)+) => {
        $(impl ConfigValue for $type {
            fn form() -> String {
                $form.into()
            }

            fn parse(text: &str) -> Result<Self, ValueError> {
                // Rust's own parser also accepts a leading plus.
                text.parse().ok().filter(|_| text.starts_with(|c: char| c.is_ascii_digit())).ok_or(ValueError::Form)
            }

            fn schema() -> Json {
                json!({"type": ["integer", "string"], "minimum": 0, "maximum": <$type>::MAX, "pattern": "^[0-9]+$"})
            }
        })+
    };
}

number! {
    u16: "a number from 0 to 65535";
    u32: "a whole number";
    u64: "a whole number";
}

/// The form of a byte, which is an exit code in a configuration.
const EXIT_CODE: &str = "an exit code from 0 to 255";

impl ConfigValue for u8 {
    fn form() -> String {
        EXIT_CODE.into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        u8::try_from(u16::parse(text)?).map_err(|_| ValueError::Form)
    }

    fn schema() -> Json {
        json!({"type": ["integer", "string"], "minimum": 0, "maximum": 255, "pattern": "^[0-9]{1,3}$"})
    }

    fn named(name: &str) -> Result<(), NameError> {
        u8::parse(name).map(drop).map_err(|_| NameError(EXIT_CODE))
    }

    fn canonical(name: &str) -> String {
        u8::parse(name).map_or_else(|_| name.to_owned(), |code| code.to_string())
    }

    fn names() -> Json {
        json!({"pattern": "^[0-9]{1,3}$"})
    }
}

impl ConfigValue for bool {
    fn form() -> String {
        "yes or no".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" => Ok(true),
            "no" | "false" | "off" => Ok(false),
            _ => Err(ValueError::Form),
        }
    }

    fn schema() -> Json {
        json!({"enum": [true, false, "yes", "no", "on", "off"]})
    }

    const OFF: bool = true;
}

impl ConfigValue for PathBuf {
    fn form() -> String {
        "a path".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text.is_empty() || text.contains('\0') {
            true => Err(ValueError::Form),
            false => Ok(text.into()),
        }
    }

    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        read_path(node, at, problems)
    }

    fn schema() -> Json {
        json!({"type": "string", "minLength": 1})
    }
}
