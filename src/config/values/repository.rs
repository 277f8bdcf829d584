//! The repository of `code.from`: `URL[@REF]`.

use super::{ConfigValue, ValueError};
use checkout::Address;
use serde_json::{Value as Json, json};

impl ConfigValue for Address {
    fn form() -> String {
        "the URL of a git repository, with @ and a branch, tag or whole commit behind it if one is meant".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        Ok(Address::parse(text)?)
    }

    fn schema() -> Json {
        json!({"type": "string", "minLength": 3})
    }
}
