//! Secrets never appear: passwords in URLs, and values of options and variables that are named like secrets. Works on the
//! words of a command line and on the words inside one word (`sh -c "HF_TOKEN=… python train.py"`).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What stands for a secret.
pub const MASK: &str = "***";

/// Ends of names whose values are secret, in capitals with `_`.
const SECRET: [&str; 6] = ["TOKEN", "KEY", "PASSWORD", "PASSWD", "SECRET", "CREDENTIALS"];

/// Whether a variable or option of this name holds a secret (`HF_TOKEN`, `--api-key`, `db.password`).
pub fn is_secret(name: &str) -> bool {
    // Only the end is looked at: `mask_named` asks for every `=` in a text that may be long.
    let ends_with = |end: &&str| name.len().checked_sub(end.len()).and_then(|at| name.as_bytes().get(at..));
    SECRET.iter().any(|end| ends_with(end).is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes())))
}

/// Text with its secrets masked: an error message, a line of an installer.
pub fn masked(text: &str) -> String {
    mask_text(text, &mut false)
}

/// The words of a command line with their secrets masked. A word that is not UTF-8 is passed on as it is, unless it is itself
/// a secret.
pub fn masked_words<S: AsRef<OsStr>>(words: &[S]) -> Vec<OsString> {
    let mut secret_follows = false;
    words.iter().map(|word| masked_word(word.as_ref(), &mut secret_follows)).collect()
}

fn masked_word(word: &OsStr, secret_follows: &mut bool) -> OsString {
    match word.to_str() {
        // A whole argument is the value, blanks included.
        Some(text) if *secret_follows && !text.starts_with('-') => {
            *secret_follows = false;
            OsString::from(MASK)
        }
        Some(text) => OsString::from(mask_text(text, secret_follows)),
        None if std::mem::take(secret_follows) => OsString::from(MASK),
        None => OsString::from_vec(word.as_bytes().to_vec()),
    }
}

/// Masks blank-separated pieces and keeps the blanks.
fn mask_text(text: &str, secret_follows: &mut bool) -> String {
    text.split_inclusive(char::is_whitespace)
        .map(|piece| {
            let word = piece.trim_end();
            let blank = piece.get(word.len()..).unwrap_or_default();
            mask_piece(word, secret_follows) + blank
        })
        .collect()
}

fn mask_piece(piece: &str, secret_follows: &mut bool) -> String {
    if piece.is_empty() {
        return String::new();
    }
    if std::mem::take(secret_follows) && !piece.starts_with('-') {
        return MASK.to_owned();
    }
    let piece = mask_urls(piece);
    if let Some(named) = mask_named(&piece) {
        return named;
    }
    let option = piece.starts_with('-') && is_secret(&piece);
    *secret_follows = option || piece.trim_start_matches(['"', '\'']).eq_ignore_ascii_case("bearer");
    piece
}

/// `NAME=VALUE` where some `=` stands behind a secret's name: all after it goes, since a secret may hold any character.
fn mask_named(piece: &str) -> Option<String> {
    let named = piece.match_indices('=').find_map(|(at, _)| piece.get(..at).filter(|name| is_secret(name)))?;
    Some(format!("{named}={MASK}"))
}

/// `scheme://user:password@host` without what is before the `@` (RFC 3986, section 3.2.1).
fn mask_urls(mut text: &str) -> String {
    if !text.contains('@') {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    while let Some((scheme, rest)) = text.split_once("://") {
        let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority);
        let host = authority.rsplit_once('@').map_or(authority.to_owned(), |(_, host)| format!("{MASK}@{host}"));
        shown.extend([scheme, "://", &host]);
        text = path;
    }
    shown + text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &[&str]) -> String {
        masked_words(line).join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn values_of_options_named_like_secrets_are_masked() {
        assert_eq!(words(&["run", "--api-key", "abc", "--lr", "3"]), "run --api-key *** --lr 3");
        assert_eq!(words(&["run", "--hub_token=abc"]), "run --hub_token=***");
        assert_eq!(words(&["env", "HF_TOKEN=abc", "python"]), "env HF_TOKEN=*** python");
        assert_eq!(words(&["x", "wandb.api_key=abc"]), "x wandb.api_key=***");
        assert_eq!(
            words(&["--set=env.A_TOKEN=abc", "http://h/?a=1&key=abc"]),
            "--set=env.A_TOKEN=*** http://h/?a=1&key=***"
        );
        assert_eq!(words(&["x", "--password", "two words", "y"]), "x --password *** y");
    }

    #[test]
    fn names_that_only_look_alike_are_not() {
        let line = ["train", "--tokenizer", "gpt2", "--max-tokens", "100", "--keys=3"];
        assert_eq!(words(&line), line.join(" "));
        assert_eq!(words(&["x", "--token", "--verbose"]), "x --token --verbose");
    }

    #[test]
    fn secrets_inside_a_shell_command_are_masked() {
        assert_eq!(
            words(&["sh", "-c", "HF_TOKEN=abc  python train.py --token t"]),
            "sh -c HF_TOKEN=***  python train.py --token ***"
        );
        assert_eq!(words(&["curl", "-H", "Authorization: Bearer abc"]), "curl -H Authorization: Bearer ***");
    }

    #[test]
    fn a_url_loses_its_user_and_password() {
        assert_eq!(masked("see https://u:p@host/x?y=1#z"), "see https://***@host/x?y=1#z");
        assert_eq!(masked("--index-url=https://tok@host:80/simple"), "--index-url=https://***@host:80/simple");
        assert_eq!(masked("http://host/a@b"), "http://host/a@b");
        assert_eq!(masked("git+https://a:b@h/p@v1"), "git+https://***@h/p@v1");
    }

    proptest! {
        #[test]
        fn a_secret_never_survives(before in "[ -~]{0,20}", secret in "s3cr3t[a-z0-9]{8}", after in "[ -~]{0,20}") {
            for line in [format!("{before} --auth-token {secret} {after}"), format!("{before} MY_PASSWORD={secret} {after}"),
                         format!("{before} https://me:{secret}@host/{after}")] {
                let shown = masked(&line);
                prop_assert!(!shown.contains(&secret), "{}", shown);
            }
        }

        #[test]
        fn any_bytes_are_taken(words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..5)) {
            let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
            prop_assert_eq!(masked_words(&words).len(), words.len());
        }
    }
}
