//! Names of secrets: names of variables, options, parameters and JSON members whose values are secret. `mask.rs` masks the values.

/// Ends of names whose values are secret, in capitals.
const SECRET: [&str; 8] = ["TOKEN", "KEY", "PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "CREDENTIALS", "CREDENTIAL"];

/// Last words of names whose values are secret. As parts of other words (`bypass`, `oauth`) they mean nothing.
const SECRET_WORDS: [&str; 6] = ["PASS", "PWD", "PW", "AUTH", "AUTHORIZATION", "JWT"];

/// Words before `token` in names that are no secret: special tokens of a tokenizer.
const PLAIN_TOKENS: [&str; 20] = [
    "EOS", "BOS", "PAD", "UNK", "SEP", "CLS", "MASK", "STOP", "START", "END", "IMAGE", "VIDEO", "AUDIO", "SPECIAL",
    "MAX", "MIN", "NUM", "NEXT", "NEW", "PER",
];
/// Words before `key` in names that are no secret: fields of a data set or a table.
const PLAIN_KEYS: [&str; 22] = [
    "SORT",
    "PRIMARY",
    "FOREIGN",
    "PUBLIC",
    "GROUP",
    "TEXT",
    "LABEL",
    "IMAGE",
    "INPUT",
    "OUTPUT",
    "PROMPT",
    "CAPTION",
    "DATASET",
    "COLUMN",
    "PARTITION",
    "SCORE",
    "METRIC",
    "FEATURE",
    "TARGET",
    "RESPONSE",
    "QUERY",
    "FIELD",
];

/// First words of options that take no value, whatever they end with.
const SWITCHES: [&str; 6] = ["NO", "DISABLE", "ENABLE", "SKIP", "WITHOUT", "ASK"];

/// Shell variables and a key of the configuration that end like a secret. The key takes a word of a fixed list.
const PLAIN_NAMES: [&str; 4] = ["PWD", "OLDPWD", "TRAINIT_JUPYTER_AUTH", "jupyter.auth"];

/// Parameters whose values give access to the target of a URL, besides those with a secret's name.
const SIGNATURES: [&str; 4] = ["sig", "signature", "x-amz-signature", "x-goog-signature"];

/// Tells whether a variable, option or member of this name holds a secret (`HF_TOKEN`, `--api-key`, `db.password`).
pub fn is_secret(name: &str) -> bool {
    let ends_with = |end: &&str| name.len().checked_sub(end.len()).and_then(|at| name.as_bytes().get(at..));
    let has_end = SECRET.iter().any(|end| ends_with(end).is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes())));
    if PLAIN_NAMES.contains(&name) {
        return false;
    }
    let mut parts = name.rsplit(['_', '-', '.']).filter(|part| !part.is_empty());
    let (last, before) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_one = |words: &[&str], part: &str| words.iter().any(|word| part.eq_ignore_ascii_case(word));
    let plain = last.eq_ignore_ascii_case("token") && is_one(&PLAIN_TOKENS, before)
        || last.eq_ignore_ascii_case("key") && is_one(&PLAIN_KEYS, before);
    !plain && (has_end || is_one(&SECRET_WORDS, last) || is_camel(last))
}

/// Tells whether a word is a secret's name in camel case: `dbPass`, `basicAuth`.
fn is_camel(word: &str) -> bool {
    ["Pass", "Pwd", "Auth"].iter().any(|end| word.len() > end.len() && word.ends_with(end))
        && !["ByPass", "OAuth"].contains(&word)
}

/// Tells whether the word behind an option is the option's value, and secret.
pub(crate) fn is_secret_option(name: &str) -> bool {
    let bare = name.trim_start_matches('-');
    let first = bare.split(['-', '_']).next().unwrap_or_default();
    name.starts_with('-') && is_secret(bare) && !SWITCHES.iter().any(|switch| first.eq_ignore_ascii_case(switch))
}

/// Tells whether the value of a URL's parameter gives access to the target of the URL.
pub fn is_secret_parameter(name: &str) -> bool {
    is_secret(name) || SIGNATURES.iter().any(|known| name.eq_ignore_ascii_case(known))
}
