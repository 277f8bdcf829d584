//! Splits one text into the words of a command line as a shell does, without expansion: quotes and backslashes group, and `$`, `*` and `~`
//! stay. Syntax that needs a shell is rejected, so that it is not run wrongly.

/// The reason why a text is no list of words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// Nothing follows the last backslash.
    #[error("it ends with a backslash")]
    Backslash,
    /// A quote of this kind is open at the end.
    #[error("a {0} is never closed")]
    Open(char),
    /// A word that only a shell can interpret.
    #[error("`{0}` needs a shell: write sh -c '…', or put it in quotes")]
    NeedsShell(String),
}

/// Splits at blanks. `'…'` keeps everything. In `"…"` a backslash escapes `" \ $` and a backtick. Outside it escapes any
/// character. Before the end of a line it joins the lines (as in POSIX sh, 2.2).
///
/// # Errors
/// An open quote, a backslash at the end, or a word that only a shell can interpret (`&&`, `|`, `>` …).
pub fn split(text: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    let mut word = WordReader::default();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => word.finish(&mut words)?,
            '\'' => word.quoted(single(&mut chars)?),
            '"' => word.quoted(double(&mut chars)?),
            '\\' => match chars.next() {
                Some('\n') => {}
                Some(escaped) => word.quoted(escaped.into()),
                None => return Err(WordsError::Backslash),
            },
            c => word.text.push(c),
        }
    }
    word.finish(&mut words)?;
    Ok(words)
}

/// A word that is being read; a quoted one may be empty and is never an operator.
#[derive(Default)]
struct WordReader {
    text: String,
    quoted: bool,
}

impl WordReader {
    fn quoted(&mut self, part: String) {
        self.text.push_str(&part);
        self.quoted = true;
    }

    fn finish(&mut self, words: &mut Vec<String>) -> Result<(), WordsError> {
        let word = std::mem::take(self);
        if !word.quoted && is_operator(&word.text) {
            return Err(WordsError::NeedsShell(word.text));
        }
        if word.quoted || !word.text.is_empty() {
            words.push(word.text);
        }
        Ok(())
    }
}

fn is_operator(word: &str) -> bool {
    let redirection = word.trim_start_matches(|c: char| c.is_ascii_digit());
    matches!(word, "|" | "||" | "|&" | "&" | "&&" | ";" | ";;")
        || redirection.starts_with(['>', '<'])
        || word.starts_with("&>")
}

fn single(chars: &mut std::str::Chars<'_>) -> Result<String, WordsError> {
    let rest = chars.as_str();
    let (inside, after) = rest.split_once('\'').ok_or(WordsError::Open('\''))?;
    *chars = after.chars();
    Ok(inside.to_owned())
}

fn double(chars: &mut std::str::Chars<'_>) -> Result<String, WordsError> {
    let mut inside = String::new();
    loop {
        match chars.next() {
            Some('"') => return Ok(inside),
            Some('\\') => match chars.next() {
                Some('\n') => {}
                Some(c @ ('"' | '\\' | '$' | '`')) => inside.push(c),
                Some(c) => inside.extend(['\\', c]),
                None => break,
            },
            Some(c) => inside.push(c),
            None => break,
        }
    }
    Err(WordsError::Open('"'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_and_backslashes_group_as_in_a_shell() {
        let text = "python  'train it.py' --name \"a \\\"b\\\" \\n\" x\\ y '' \\\n end";
        assert_eq!(split(text).unwrap(), ["python", "train it.py", "--name", "a \"b\" \\n", "x y", "", "end"]);
    }

    #[test]
    fn nothing_is_expanded() {
        assert_eq!(split("echo $HOME ~/x *.py a=b #c").unwrap(), ["echo", "$HOME", "~/x", "*.py", "a=b", "#c"]);
    }

    #[test]
    fn what_only_a_shell_can_do_is_refused() {
        for text in ["cd /x && python", "a | tee b", "a 2>&1", "a > b", "a;  b ;", "a &"] {
            assert!(matches!(split(text), Err(WordsError::NeedsShell(_))), "{text}");
        }
        assert_eq!(split("sh -c 'a && b' '|' \\&").unwrap(), ["sh", "-c", "a && b", "|", "&"]);
    }

    #[test]
    fn open_quotes_are_told() {
        for text in ["'a", "a \"b", "a\\", "\"\\"] {
            assert!(split(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_split_or_refused(text in "\\PC*") {
            let _ = split(&text);
        }

        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("\\PC*", 0..6)) {
            // A word with special characters is quoted in a form that shells read.
            let words: Vec<String> = words.iter().map(|word| text::line(word).into_owned()).collect();
            let text = words.iter().map(|word| text::quoted(word.as_ref())).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split(&text), Ok(words));
        }
    }
}
