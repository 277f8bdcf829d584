//! The words of `--generate`: texts for packagers, and schemas. It holds constants alone and uses no other file.

/// The words that `--generate` accepts.
pub(super) const GENERATED: [&str; 11] = [
    "man",
    "complete-bash",
    "complete-zsh",
    "complete-fish",
    "schema",
    "schema-history",
    "schema-check",
    "schema-status",
    "schema-config-show",
    "schema-env",
    "schema-log",
];
