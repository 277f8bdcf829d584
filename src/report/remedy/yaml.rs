//! A small YAML writer: short values take one line, others a block. Members are sorted by name. A library would write a block for
//! every value, and docs/design.md has what it costs; the tests read with one.

use serde_json::Value;

/// Longest value on one line.
const SHORT: usize = 90;

/// Formats a document.
pub(super) fn document(value: &Value) -> String {
    block(value, 0).trim_start_matches('\n').to_owned()
}

fn block(value: &Value, depth: usize) -> String {
    let pad = "  ".repeat(depth);
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| format!("\n{pad}{}:{}", scalar(name), member(value, depth + 1)))
            .collect(),
        Value::Array(items) => items.iter().map(|item| format!("\n{pad}- {}", item_of(item, depth + 1))).collect(),
        other => format!(" {}", flow(other)),
    }
}

fn member(value: &Value, depth: usize) -> String {
    let short = flow(value);
    // A value with members takes lines of its own; an empty one has no lines.
    let members = match value {
        Value::Object(members) => members.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    if members == 0 || (depth > 1 && short.chars().count() <= SHORT) {
        format!(" {short}")
    } else {
        block(value, depth)
    }
}

/// Formats an item, whose first member follows the hyphen.
fn item_of(value: &Value, depth: usize) -> String {
    let short = flow(value);
    if short.chars().count() <= SHORT { short } else { block(value, depth).trim_start().to_owned() }
}

/// Formats a value on one line.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{}: {}", scalar(name), flow(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Formats a text, in quotes if it could mean anything else. JSON strings are valid YAML.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let word =
        ["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if starts && !word && text.chars().all(plain) && !text.ends_with(':') {
        return text.to_owned();
    }
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn values() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["[ -~]{0,12}", "\\PC{0,8}", Just("no".to_owned()), Just("12.10".to_owned())];
        let leaf = prop_oneof![
            text.prop_map(Value::from),
            (-9i64..99).prop_map(Value::from),
            any::<bool>().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map("[ -~]{1,10}", inner, 0..5)
                    .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(a in values(), b in values()) {
            let value = json!({"a": a, "b c": {"x": [b]}});
            prop_assert_eq!(yaml_serde::from_str::<Value>(&document(&value)).unwrap(), value);
        }
    }
}
