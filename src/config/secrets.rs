//! What must never be shown: values of variables and options named like secrets, and passwords in URLs.

/// What stands where a secret was.
pub const MASK: &str = "***";

/// Whether a variable's, key's or option's name says that its value is a secret: `*TOKEN`, `*KEY`, `*PASSWORD`, `*SECRET`.
pub fn is_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    ["TOKEN", "KEY", "PASSWORD", "SECRET"].iter().any(|ending| upper.ends_with(ending))
}

/// A text in which the user part of every URL is masked: `https://***@host/`.
pub fn mask_urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c)).unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => out.extend([MASK, "@", host]),
            None => out.push_str(authority),
        }
        rest = path;
    }
    out.push_str(rest);
    out
}

/// Words of a command line with the values of options named like secrets masked: `--token=x`, `--token x`, `A_KEY=x`.
pub fn mask_words<S: AsRef<str>>(words: &[S]) -> Vec<String> {
    let mut value_follows = false;
    let mut masked = Vec::with_capacity(words.len());
    for word in words {
        let word = word.as_ref();
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        masked.push(match value {
            _ if value_follows && !word.starts_with('-') => MASK.to_owned(),
            Some(_) if is_secret(name) => format!("{name}={MASK}"),
            _ => mask_urls(word),
        });
        value_follows = value.is_none() && word.starts_with("--") && is_secret(name);
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_by_their_ending() {
        for name in ["HF_TOKEN", "WANDB_API_KEY", "password", "jupyter.token", "--MY_SECRET"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["HF_HOME", "TOKENIZERS_PARALLELISM", "KEYS"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn the_user_part_of_every_url_is_masked() {
        assert_eq!(mask_urls("https://u:p@h/x http://h/a@b"), "https://***@h/x http://h/a@b");
        assert_eq!(mask_urls("s3://a:b@c@host"), "s3://***@host");
        assert_eq!(mask_urls("no url: //"), "no url: //");
    }

    #[test]
    fn values_of_secret_options_are_masked() {
        let words = ["jupyter", "--ServerApp.token=abc", "--password", "x", "--lr", "3", "A_KEY=1"];
        assert_eq!(
            mask_words(&words),
            ["jupyter", "--ServerApp.token=***", "--password", "***", "--lr", "3", "A_KEY=***"]
        );
    }
}
